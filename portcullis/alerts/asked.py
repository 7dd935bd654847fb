"""Carrying out what people and programs ask about alerts. Pure.

A request comes from the ledger, or from the inbox while no worker takes it up; the same one twice
is carried out once, which is the caller's to see to.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from portcullis.alerts.alert import Alert, Signal, Silence, Subscription
from portcullis.alerts.book import Unknown
from portcullis.alerts.kinds import BY_NAME, TOPICS
from portcullis.alerts.policy import Policy
from portcullis.alerts.quiet_hours import NotHours, quiet_hours
from portcullis.alerts.readable import readable
from portcullis.domain import alert_requests

ALL = "all"
SUBSCRIPTIONS_MAX = 200


class Request(msgspec.Struct, frozen=True):
    """What was asked: by whom, why, and when (microseconds)."""

    request_id: str
    verb: str
    by: str
    reason: str
    at: int
    arguments: Mapping[str, Any] = {}
    trace: str = ""
    position: int = 0


class Again(msgspec.Struct, frozen=True):
    """What was given up and is to be sent again: one delivery by its number, or all of an alert on
    one channel or (None) on every.
    """

    alert: str | None = None
    channel: str | None = None
    delivery: int | None = None


class Effect(msgspec.Struct):
    """What is to be done besides: alerts whose messages are to be changed, what is to be sent
    again, and what could not be done.
    """

    seen: list[Alert] = []
    again: list[Again] = []
    refused: str = ""


def carry_out(policy: Policy, request: Request, now: int) -> Effect:
    """Let the policy do what is asked. What cannot be is said in the effect."""
    if request.verb not in alert_requests.VERBS:
        return Effect()
    fault = alert_requests.wrong(request.verb, request.arguments, now)
    if fault:
        return Effect(refused=fault)
    by, reason = _short(request.by), _short(request.reason)
    at = request.at if 0 <= request.at <= now else now
    request = msgspec.structs.replace(request, by=by, reason=reason, at=at)
    effect = Effect()
    try:
        _VERBS[request.verb](policy, request, now, effect)
    except (Unknown, NotHours) as fault_found:
        effect.refused = str(fault_found)
    return effect


def _short(text: str) -> str:
    return readable(text)[: alert_requests.TEXT_MAX]


def silence_name(request_id: str) -> str:
    """Eight letters and digits that a person can type; ids of one origin begin alike."""
    return base64.b32encode(hashlib.sha256(request_id.encode()).digest())[:8].decode().lower()


def _acknowledge(policy: Policy, request: Request, now: int, effect: Effect) -> None:
    name, over = request.arguments["alert"], bool(request.arguments.get("over"))
    effect.seen.append(policy.acknowledge(name, request.by, request.reason, now, over=over))


def _silence(policy: Policy, request: Request, now: int, _effect: Effect) -> None:
    given = request.arguments
    start = max(now, given.get("start_at") or now)
    name = given.get("alert")
    alert = policy.book.alerts.get(name) if name else None
    if name and alert is None:
        raise Unknown(f"there is no alert {name!r} that is open or lately was")
    is_critical = alert is not None and alert.severity == "critical"
    policy.silence(
        Silence(
            id=silence_name(request.request_id),
            start=start,
            end=start + given["for_us"],
            by=request.by,
            reason=request.reason,
            alert=alert.fingerprint if alert else None,
            kind=given.get("kind"),
            topic=given.get("topic"),
            account=given.get("account"),
            # One alert that a person has seen may be silenced whatever it is, for a while.
            critical=bool(given.get("critical")) or is_critical,
        )
    )


def _unsilence(policy: Policy, request: Request, now: int, _effect: Effect) -> None:
    policy.end_silence(request.arguments["silence"], now)


def _redeliver(_policy: Policy, request: Request, _now: int, effect: Effect) -> None:
    given = request.arguments
    effect.again.append(Again(given.get("alert"), given.get("channel"), given.get("delivery")))


def _subscribe(policy: Policy, request: Request, _now: int, effect: Effect) -> None:
    given = request.arguments
    topics = _listed(given.get("topics") or ALL)
    unknown = [topic for topic in topics or () if topic not in TOPICS]
    if unknown:
        effect.refused = f"no topic is named {unknown[0]!r}; there are {', '.join(TOPICS)}"
        return
    if len(policy.book.subscriptions) >= SUBSCRIPTIONS_MAX:
        effect.refused = f"there are {SUBSCRIPTIONS_MAX} subscriptions by request; end some first"
        return
    quiet = given.get("quiet")
    policy.subscribe(
        Subscription(
            given["channel"],
            given.get("severity") or "warning",
            topics or (),
            _listed(given.get("accounts") or ""),
            given.get("after_us") or 0,
            quiet_hours(quiet) if quiet else None,
        )
    )


def _listed(text: str) -> tuple[str, ...] | None:
    """Names between commas; None for `all`."""
    if text == ALL:
        return None
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _unsubscribe(policy: Policy, request: Request, _now: int, effect: Effect) -> None:
    channel, accounts = request.arguments["channel"], request.arguments.get("accounts")
    gone = sum(policy.unsubscribe(channel, each) for each in _listed(accounts or "") or (None,))
    if not gone:
        effect.refused = f"{channel} has no such subscription by request"


def _alert(policy: Policy, request: Request, now: int, effect: Effect) -> None:
    """What a program has to tell, of a kind that is known."""
    given = request.arguments
    if given["kind"] not in BY_NAME:
        effect.refused = f"no kind of alert is named {given['kind']!r}"
        return
    texts: dict[str, Any] = {
        name: given.get(name) or "" for name in ("message", "cause", "action", "link", "subject")
    }
    policy.take(
        Signal(
            kind=given["kind"],
            at=request.at,
            state=given["state"],
            account=given.get("account"),
            severity=given.get("severity"),
            trace=request.trace,
            position=request.position,
            **texts,
        ),
        now,
    )


def _test(policy: Policy, request: Request, now: int, _effect: Effect) -> None:
    policy.take(
        Signal(
            kind="test",
            at=request.at,
            subject=request.request_id,
            message=f"{request.by} asked for a test: {request.reason}",
            trace=request.trace,
            position=request.position,
            only=request.arguments["channel"],
        ),
        now,
    )


_VERBS: dict[str, Callable[[Policy, Request, int, Effect], None]] = {
    "acknowledge": _acknowledge,
    "silence": _silence,
    "unsilence": _unsilence,
    "redeliver": _redeliver,
    "subscribe": _subscribe,
    "unsubscribe": _unsubscribe,
    "alert": _alert,
    "alert_test": _test,
}
