"""The sender: reads the ledger, lets the policy decide, and sees to it that messages arrive.

A process of its own, so that no channel can touch what protects an account. It keeps everything in
a file that only it writes, and vouches for itself by the verdict `alerts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from queue import SimpleQueue
from typing import NamedTuple, Protocol

import msgspec

from portcullis.alerts import asked, signals, words
from portcullis.alerts.alert import Alert, Signal, Terms
from portcullis.alerts.couriers import Carried, Couriers
from portcullis.alerts.following import Following
from portcullis.alerts.message import Described, Message
from portcullis.alerts.outbox import Delivery, Outbox, Planned
from portcullis.alerts.policy import Policy, Telling
from portcullis.alerts.retries import after
from portcullis.alerts.signals import Place
from portcullis.domain.alert_requests import VERBS
from portcullis.domain.bounds import forget_oldest
from portcullis.domain.events import Event, RequestAnswered, RequestReceived
from portcullis.domain.model import HOUR, MINUTE, SECOND, Verdict
from portcullis.errors import StoreError
from portcullis.ports import InboxRequest, StoredEvent
from portcullis.worker.requests import Asked

VOUCH_EVERY = 20 * SECOND
VOUCH_LASTS = 60 * SECOND
INBOX_EVERY = SECOND
UNTAKEN = 2 * SECOND
"""A request that waits for so long has no worker to take it up."""

COMMIT_EVERY = 5 * SECOND
TIDY_EVERY = HOUR
CRITICAL_LATE = MINUTE
APPLIED_MAX = 10_000
ASKED_MAX = 1_000
UNCONNECTED_LIMIT = 4_000
CHANGE = "change"
"""Why a delivery is made that changes a message which was delivered before."""


class Surroundings(Protocol):
    """What the sender needs besides the ledger."""

    def waiting(self) -> Sequence[InboxRequest]:
        """Requests that nobody has taken up. Raises StoreError."""

    def leave(self, verdict: Verdict) -> None:
        """Leave the sender's own verdict. Raises StoreError."""


class Channel(NamedTuple):
    """A channel that can be sent to; `pace` in microseconds."""

    address: str
    described: Described
    pace: int


class Sender:
    """The whole of it, a turn at a time. Times come from `now`, in microseconds."""

    def __init__(
        self,
        outbox: Outbox,
        following: Following,
        surroundings: Surroundings,
        couriers: Couriers,
        now: Callable[[], int],
    ) -> None:
        self._outbox, self._following, self._now = outbox, following, now
        self._surroundings, self._couriers = surroundings, couriers
        self.kept = outbox.load()
        self.policy = Policy(self.kept.book, Terms())
        self._channels: Mapping[str, Channel] = {}
        self._asked: dict[str, asked.Request] = {}
        self._planned: list[Planned] = []
        self._may_send: dict[str, int] = {}
        self._head = ""
        self._committed_at = self._looked_at = self._vouched_at = self._tidied_at = 0
        self._dirty = False
        self._heard: SimpleQueue[tuple[str, int]] = SimpleQueue()

    def configure(self, terms: Terms, channels: Mapping[str, Channel]) -> None:
        """Put other terms and channels in force."""
        self.policy.terms, self._channels = terms, channels

    def turn(self, wait: float, trouble: str = "") -> str:
        """Everything that is due, then `wait` seconds for attempts to end; what is wrong, if
        anything is. `trouble` is what the caller knows to be wrong.
        """
        now = self._now()
        problems = [trouble] if trouble else []
        for step in (self._read, self._look_into_inbox, self._plan, self._commit, self._dispatch):
            try:
                step(now)
            except StoreError as error:
                problems.append(str(error))
        try:
            self.settle(wait)
            self._vouch("; ".join(problems))
            self._tidy()
        except StoreError as error:
            problems.append(str(error))
        return "; ".join(problems)

    def settle(self, wait: float) -> None:
        """Note how attempts ended, waiting so many seconds for it. Raises StoreError."""
        self._note(self._couriers.ended(wait))

    def keep_offset(self, bot: str, offset: int) -> None:
        """Remember how far a bot was listened to; safe from any thread."""
        self._heard.put((bot, offset))

    def ask(self, request: asked.Request) -> asked.Effect:
        """Carry a request out, once."""
        if request.request_id in self.kept.applied:
            return asked.Effect()
        now = self._now()
        effect = asked.carry_out(self.policy, request, now)
        self.kept.applied[request.request_id] = effect.refused
        forget_oldest(self.kept.applied, APPLIED_MAX)
        self._committed_at = 0  # whoever asked waits for it
        self._dirty = True
        for alert in effect.seen:
            self._change_messages(alert, now)
        for name, channel in effect.again:
            self._outbox.redeliver(name, channel, now)
        return effect

    # --- what is new ------------------------------------------------------------------------------

    def _read(self, now: int) -> None:
        batch = self._following.read(self.kept.progress, now)
        memory = self.kept.memory
        for row, event in batch.before:
            self._take(signals.observe(memory, _place(row), event), now)
        for row, event in batch.events:
            self._take(signals.observe(memory, _place(row), event), now)
            self._hear(row, event)
        memory.seen_at = max(memory.seen_at, batch.seen_at)
        self._dirty = self._dirty or bool(batch.events)
        self.kept.progress, self._head = batch.progress, batch.head

    def _take(self, found: Sequence[Signal], now: int) -> None:
        for signal in found:
            self.policy.take(signal, now)

    def _hear(self, row: StoredEvent, event: Event) -> None:
        """A request counts once the ledger says that it was taken."""
        if isinstance(event, RequestReceived) and event.verb in VERBS:
            self._asked[event.request_id] = asked.Request(
                event.request_id,
                event.verb,
                event.by,
                event.reason,
                row.at,
                event.arguments,
                row.trace,
                row.position,
            )
            forget_oldest(self._asked, ASKED_MAX)
        elif isinstance(event, RequestAnswered):
            request = self._asked.pop(event.request_id, None)
            if request is not None and event.outcome == "done":
                self.ask(request)

    def _look_into_inbox(self, now: int) -> None:
        """What is asked while no worker takes it up: it must not wait for the worker's return."""
        if now - self._looked_at < INBOX_EVERY:
            return
        self._looked_at = now
        for waiting in self._surroundings.waiting():
            is_ours = waiting.verb in VERBS and waiting.role != "readonly"
            if not is_ours or now - waiting.asked_at < UNTAKEN:
                continue
            try:
                body = msgspec.msgpack.decode(waiting.body, type=Asked)
            except (msgspec.MsgspecError, RecursionError):
                continue  # the worker refuses it when it comes to it
            self.ask(
                asked.Request(
                    waiting.request_id,
                    waiting.verb,
                    waiting.by,
                    body.reason,
                    waiting.asked_at,
                    dict(body.arguments),
                )
            )

    def _plan(self, now: int) -> None:
        self._take(signals.elapsed(self.kept.memory, now), now)
        due = self.policy.next_due()
        if due is None or due > now:
            return
        for telling in self.policy.due(now):
            self._planned.append(self._message(telling, now))

    def _message(self, telling: Telling, now: int) -> Planned:
        channel = self._channels.get(telling.channel)
        limit = channel.described.limit if channel else UNCONNECTED_LIMIT
        text = words.text_of(telling, limit, self._head, self.kept.memory.accounts)
        first = min(telling.alerts, key=lambda alert: _RANK[alert.severity])
        names = tuple(alert.id for alert in telling.alerts)
        return Planned(
            telling.channel, telling.why, first.severity, names, text.title, text.body, now
        )

    def _change_messages(self, alert: Alert, now: int) -> None:
        """Where a service can change what was delivered, it shows who has seen it."""
        for told in self._outbox.receipts(alert.id):
            channel = self._channels.get(told.channel)
            if channel is not None and channel.described.two_way:
                seen = f"Acknowledged by {alert.acknowledged_by} {words.clock(now)}"
                body = f"{told.body}\n{seen}"
                self._planned.append(
                    Planned(
                        told.channel,
                        CHANGE,
                        "info",
                        told.alerts,
                        told.title,
                        body,
                        now,
                        told.receipt,
                    )
                )

    def _commit(self, now: int) -> None:
        while not self._heard.empty():
            bot, offset = self._heard.get()
            self.kept.offsets[bot], self._dirty = offset, True
        is_due = self._dirty and now - self._committed_at >= COMMIT_EVERY
        if not (self.kept.book.changed or self._planned or is_due):
            return
        self._outbox.commit(self.kept, self._planned, now)
        gone = {each.channel for each in self._planned} - self._channels.keys()
        self._planned, self._dirty, self._committed_at = [], False, now
        if gone:
            self._give_up_unconnected(sorted(gone), now)

    def _give_up_unconnected(self, gone: Sequence[str], now: int) -> None:
        self._outbox.drop_gone(tuple(self._channels), now)
        for channel in gone:
            told = f"channel {channel} has no address: portcullis alert connect {channel}"
            self._fail(channel, told, "warning", now)

    # --- deliveries -------------------------------------------------------------------------------

    def _dispatch(self, now: int) -> None:
        due: list[tuple[Delivery, Channel]] = []
        for name, channel in self._channels.items():
            if self._couriers.is_free(name) and self._may_send.get(name, 0) <= now:
                row = self._outbox.next_of(name, now)
                if row is not None:
                    due.append((row, channel))
        if not due:
            return
        self._outbox.begin([row.number for row, _ in due])
        for row, channel in due:
            self._may_send[row.channel] = now + channel.pace
            self._couriers.carry(row.channel, row.number, channel.address, _as_message(row))

    def _note(self, ended: Sequence[Carried]) -> None:
        now = self._now()
        ends = []
        for each in ended:
            row = self._outbox.by_number(each.number)
            channel = self._channels.get(each.channel)
            if row is None or row.state == "delivered":
                continue
            if row.state == "waiting" and each.outcome.kind != "delivered":
                continue  # it was given up as hanging, and counted then
            then = after(
                each.outcome,
                attempts=row.attempts,
                created_at=row.created_at,
                now=now,
                severity=row.severity,
                number=row.number,
                best_effort=channel is not None and channel.described.best_effort,
            )
            ends.append((each.number, each.outcome, then))
            if each.outcome.kind == "busy":
                self._may_send[each.channel] = max(
                    self._may_send.get(each.channel, 0), now + each.outcome.wait
                )
            if then.state == "dead" and row.why != CHANGE:
                told = f"channel {each.channel}: {each.outcome.kind}: {each.outcome.detail}"
                named = f"{told}; it told of alerts {', '.join(row.alerts)}"
                self._fail(each.channel, named, row.severity, now)
        if ends:
            self._outbox.ended(ends, now)

    def _fail(self, channel: str, told: str, severity: str, now: int) -> None:
        """A message that does not arrive is an alert for the other channels."""
        self.policy.take(
            Signal(
                kind="delivery_failed",
                at=now,
                subject=channel,
                severity="critical" if severity == "critical" else "warning",
                message=told,
                excluded=channel,
            ),
            now,
        )

    # --- itself -----------------------------------------------------------------------------------

    def verdict(self, problem: str) -> Verdict:
        """What the sender vouches for: that what is critical gets through."""
        now = self._now()
        late = self._outbox.late("critical", now - CRITICAL_LATE)
        if problem:
            passed, summary = False, problem
        elif late:
            passed, summary = False, f"{late} critical messages have waited for more than a minute"
        else:
            names = ", ".join(self._channels) or "no channel is connected"
            passed, summary = True, f"{len(self.kept.book.open)} alerts open; channels: {names}"
        return Verdict("alerts", passed, now, now + VOUCH_LASTS, summary, "sender")

    def _vouch(self, problem: str) -> None:
        now = self._now()
        if now - self._vouched_at >= VOUCH_EVERY:
            self._surroundings.leave(self.verdict(problem))
            self._vouched_at = now

    def _tidy(self) -> None:
        now = self._now()
        if now - self._tidied_at >= TIDY_EVERY:
            self._outbox.forget(now)
            self._tidied_at = now


_RANK = {"critical": 0, "warning": 1, "info": 2}


def _place(row: StoredEvent) -> Place:
    return Place(row.position, row.at, row.trace)


def _as_message(row: Delivery) -> Message:
    """The number names the message at its service, so that a repeat can be told from a new one."""
    changes = row.receipt if row.why == CHANGE else ""
    answerable = row.why not in ("over", CHANGE)
    return Message(
        str(row.number), row.severity, row.title, row.body, row.alerts, answerable, changes
    )
