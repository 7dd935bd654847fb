"""The values of alerting: what happened (signal), what a person must know (alert), who is told."""

from __future__ import annotations

import base64
import hashlib
from typing import Literal

import msgspec

from portcullis.alerts.kinds import BY_NAME, SEVERITIES
from portcullis.alerts.readable import readable
from portcullis.domain.judge import Severity
from portcullis.domain.session import Window

AlertState = Literal["firing", "acknowledged", "resolved"]
SignalState = Literal["firing", "more", "resolved", "replaced"]
"""`more` adds to an open alert; `replaced` ends one that another says better, without a word."""


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """Something began to be wrong, still is, or is over. Times in microseconds.

    `subject` tells one cause from another of the same kind and account; `subjects` names evidence
    that a shut gate lacks; `excluded` is a channel that must not carry it, `only` the one that
    must. `flat`: whether the account is known to be flat. `until`: what ends it, in words.
    """

    kind: str
    at: int
    state: SignalState = "firing"
    account: str | None = None
    subject: str = ""
    severity: Severity | None = None
    message: str = ""
    cause: str = ""
    action: str = ""
    formula: str = ""
    measured: str = ""
    limit: str = ""
    flat: Literal["", "confirmed", "not confirmed", "unknown"] = ""
    until: str = ""
    trace: str = ""
    position: int = 0
    subjects: tuple[str, ...] = ()
    link: str = ""
    excluded: str = ""
    only: str = ""

    @property
    def fingerprint(self) -> str:
        """What makes it the same alert when it is seen again: never a text or a number."""
        text = "\0".join((self.kind, self.account or "", self.subject))
        return hashlib.sha256(text.encode()).hexdigest()[:32]


TEXTS = ("message", "cause", "action", "formula", "measured", "limit", "until")
"""What of a signal is told in words."""


def as_shown(signal: Signal) -> Signal:
    """The signal with its words as a person may be shown them."""
    found = {name: getattr(signal, name) for name in (*TEXTS, "link")}
    return msgspec.structs.replace(signal, **{k: readable(v) for k, v in found.items() if v})


class Told(msgspec.Struct):
    """What a channel was told of an alert: how often, when last, and whether that it is over."""

    times: int = 0
    last_at: int = 0
    over: bool = False


class Checkpoint(msgspec.Struct, frozen=True):
    """The ledger's newest signed head: the number of events, and their root in hex."""

    position: int
    root: str


class Alert(msgspec.Struct, kw_only=True):
    """Something a person must know. Times in microseconds, 0 where it was not yet.

    `due`: when a channel is to be told next. `held_back`: the channels that quiet hours, a silence
    or a storm keep it from; they are told later whatever became of it. `checkpoint`: the newest
    when it was raised.
    """

    id: str
    kind: str
    fingerprint: str
    severity: Severity
    topic: str
    account: str | None
    subject: str
    title: str
    message: str
    cause: str
    action: str
    first_at: int
    last_at: int
    count: int = 1
    state: AlertState = "firing"
    formula: str = ""
    measured: str = ""
    limit: str = ""
    flat: str = ""
    until: str = ""
    trace: str = ""
    position: int = 0
    subjects: tuple[str, ...] = ()
    link: str = ""
    excluded: str = ""
    only: str = ""
    acknowledged_by: str = ""
    acknowledged_at: int = 0
    note: str = ""
    resolved_at: int = 0
    due: dict[str, int] = {}
    told: dict[str, Told] = {}
    held_back: dict[str, None] = {}
    checkpoint: Checkpoint | None = None

    @property
    def is_open(self) -> bool:
        return self.state != "resolved"


def alert_of(signal: Signal, checkpoint: Checkpoint | None = None) -> Alert:
    """The alert that a first signal begins. The same signal always gives the same id."""
    kind = BY_NAME[signal.kind]
    return Alert(
        id=_name(signal),
        kind=kind.name,
        fingerprint=signal.fingerprint,
        severity=signal.severity or kind.severity,
        topic=kind.topic,
        account=signal.account,
        subject=signal.subject,
        title=kind.title,
        message=signal.message or kind.title,
        cause=signal.cause or kind.cause,
        action=signal.action or kind.action,
        first_at=signal.at,
        last_at=signal.at,
        formula=signal.formula,
        measured=signal.measured,
        limit=signal.limit,
        flat=signal.flat,
        until=signal.until,
        trace=signal.trace,
        position=signal.position,
        subjects=signal.subjects,
        link=signal.link,
        excluded=signal.excluded,
        only=signal.only,
        checkpoint=checkpoint,
    )


def _name(signal: Signal) -> str:
    """Eight letters and digits that a person can type."""
    text = f"{signal.fingerprint} {signal.position} {signal.at}"
    return base64.b32encode(hashlib.sha256(text.encode()).digest())[:8].decode().lower()


def rank(severity: Severity) -> int:
    """How bad a severity is: more is worse."""
    return SEVERITIES.index(severity)


def worse(left: Severity, right: Severity) -> bool:
    """Whether the left one is worse."""
    return rank(left) > rank(right)


class Subscription(msgspec.Struct, frozen=True):
    """Which alerts a channel wants. An account's alerts go only where that account is named, or
    where `accounts` is None: all of them.

    `after`: told only if nobody has acknowledged it for so long (microseconds). `quiet`: when
    nothing but what is critical is told.
    """

    channel: str
    severity: Severity = "warning"
    topics: tuple[str, ...] = ()
    accounts: tuple[str, ...] | None = ()
    after: int = 0
    quiet: Window | None = None

    def wants(self, alert: Alert) -> bool:
        if alert.excluded == self.channel or worse(self.severity, alert.severity):
            return False
        if self.topics and alert.topic not in self.topics:
            return False
        return alert.account is None or self.accounts is None or alert.account in self.accounts


class Silence(msgspec.Struct, kw_only=True):
    """Alerts that are kept back from `start` to `end`; what is None matches everything.

    `critical`: those too, which a silence may do for `CRITICAL_SILENCE_MAX` at most.
    """

    id: str
    start: int
    end: int
    by: str
    reason: str
    alert: str | None = None
    kind: str | None = None
    topic: str | None = None
    account: str | None = None
    critical: bool = False
    kept_back: list[str] = []

    def covers(self, alert: Alert, now: int) -> bool:
        if not self.start <= now < self.end or (alert.severity == "critical" and not self.critical):
            return False
        wanted = (
            (self.alert, alert.fingerprint),
            (self.kind, alert.kind),
            (self.topic, alert.topic),
            (self.account, alert.account),
        )
        return all(want is None or want == have for want, have in wanted)


class SeverityTerms(msgspec.Struct, frozen=True):
    """How alerts of a severity are told; times in microseconds, 0: not at all.

    `window`: alerts of a topic that come within it are one message. `repeat`: pause between
    reminders, `most` messages in all, until somebody acknowledges. `acknowledged_for`: after that
    an acknowledged alert that is still open is told again.
    """

    window: int = 0
    repeat: int = 0
    most: int = 1
    acknowledged_for: int = 0


class Terms(msgspec.Struct, frozen=True):
    """The policy as configured. `storm_messages` within `storm_within` on one channel, and what is
    not critical waits for one digest.
    """

    subscriptions: tuple[Subscription, ...] = ()
    critical: SeverityTerms = SeverityTerms(0, 900_000_000, 12, 14_400_000_000)
    warning: SeverityTerms = SeverityTerms(10_000_000, 0, 1, 28_800_000_000)
    info: SeverityTerms = SeverityTerms(30_000_000)
    storm_messages: int = 8
    storm_within: int = 600_000_000

    def of(self, severity: Severity) -> SeverityTerms:
        return {"critical": self.critical, "warning": self.warning, "info": self.info}[severity]
