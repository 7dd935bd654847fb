"""The sender: reads the ledger, lets the policy decide, and sees to it that messages arrive.

A process of its own, so that no channel can touch what protects an account. It keeps everything in
a file that only it writes, and vouches for itself by the verdict `alerts`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Protocol

import msgspec

from portcullis.alerts import asked, signals, sparing, vouching, words
from portcullis.alerts.alert import Alert, Checkpoint, Signal, Terms, rank
from portcullis.alerts.book import Telling
from portcullis.alerts.couriers import Carried, Couriers
from portcullis.alerts.following import Following
from portcullis.alerts.memory import Place
from portcullis.alerts.message import Channel, KnownChannel, Message
from portcullis.alerts.outbox import CHANGE, Delivery, Outbox, Planned
from portcullis.alerts.policy import Policy
from portcullis.alerts.retries import after
from portcullis.domain.alert_requests import VERBS
from portcullis.domain.bounds import forget_oldest
from portcullis.domain.events import Event, RequestAnswered, RequestReceived
from portcullis.domain.model import HOUR, SECOND, Verdict
from portcullis.errors import PortcullisError
from portcullis.ports import InboxRequest, StoredEvent
from portcullis.worker.requests import REQUEST_MAX, Asked

VOUCH_EVERY = 20 * SECOND
INBOX_EVERY = SECOND
UNTAKEN = 2 * SECOND
"""A request that waits for so long has no worker to take it up."""

COMMIT_EVERY = 5 * SECOND
TIDY_EVERY = HOUR
STEPPED = SECOND
"""The clock was set back when it is behind what it showed by more than this."""

SLEPT = 10 * SECOND
"""Between two turns: the machine slept, or its clock was put forward."""

APPLIED_MAX = 10_000
ASKED_MAX = 1_000
UNCONNECTED_LIMIT = 4_000


class Surroundings(Protocol):
    """What the sender needs besides the ledger."""

    def waiting(self) -> Sequence[InboxRequest]:
        """Requests about alerts that nobody has taken up. Raises StoreError."""

    def leave(self, verdict: Verdict) -> None:
        """Leave the sender's own verdict. Raises StoreError, and UsageError in a full inbox."""


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
        self.policy = Policy(self.kept.book, self.kept.terms)
        self._channels: Mapping[str, Channel] = {}
        self._known: Collection[str] | None = None
        self._planned: list[Planned] = []
        self._may_send: dict[str, int] = {}
        self._committed_at = self._looked_at = self._vouched_at = self._tidied_at = 0
        self._heard_at = now()
        self._dirty = False
        self._may_be_gone = False
        self._again: list[asked.Again] = []
        self._seen: list[Alert] = []
        self._ended: list[Carried] = []
        self._heard: SimpleQueue[tuple[str, int]] = SimpleQueue()

    def use_terms(self, terms: Terms) -> None:
        """Put other terms in force; they stay so over a restart, until there are others."""
        self.policy.terms = self.kept.terms = terms
        self._dirty = True

    def use_channels(
        self, channels: Mapping[str, Channel], faulty: Mapping[str, str] | None = None
    ) -> None:
        """Send to these. What waits for a `faulty` one (with why) goes on waiting, for any other is
        given up; before this was called the first time, everything waits.
        """
        faults = faulty or {}
        self._channels, self._known = channels, {*channels, *faults}
        self._may_be_gone = True
        self.kept.channels = {
            **{name: each.published() for name, each in channels.items()},
            **{name: KnownChannel(fault=why) for name, why in faults.items()},
        }
        self._dirty, self._committed_at = True, 0

    def turn(self, wait: float, trouble: str = "") -> str:
        """Everything that is due, then `wait` seconds for attempts to end; what is wrong, if
        anything is. `trouble` is what the caller knows to be wrong.
        """
        now = self._now()
        problems = [trouble] if trouble else []
        steps: tuple[Callable[[], None], ...] = (
            partial(self._mind_the_clock, now),
            partial(self._read, now),
            partial(self._look_into_inbox, now),
            partial(self._plan, now),
            partial(self._commit, now),
            partial(self._dispatch, now),
            partial(self.settle, wait),
            lambda: self._vouch("; ".join(dict.fromkeys(problems))),
            self._tidy,
        )
        for step in steps:
            try:
                step()
            except PortcullisError as error:
                problems.append(str(error))
        return "; ".join(dict.fromkeys(problems))

    def settle(self, wait: float) -> None:
        """Note how attempts ended, waiting so many seconds for it. Raises StoreError; what could
        not be noted is the next time.
        """
        self._ended += self._couriers.ended(wait)
        self._note()

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
        self._seen += effect.seen
        self._again += effect.again
        return effect

    # --- what is new ------------------------------------------------------------------------------

    def _mind_the_clock(self, now: int) -> None:
        """No wait gets longer by a clock that is set back, and nobody is silent who only slept."""
        kept = self.kept
        back = kept.at - now
        if back > STEPPED:
            self._outbox.set_back(now)
            sparing.set_back(kept.book, back, now)
            self._may_send = {name: min(at, now) for name, at in self._may_send.items()}
            self._heard_at = min(self._heard_at, now)
        elif back < -SLEPT:
            self._heard_at = now
        kept.at = now

    def _read(self, now: int) -> None:
        batch = self._following.read(self.kept.progress, now)
        memory = self.kept.memory
        self.policy.checkpoint = Checkpoint(batch.head.position, batch.head.root.hex())
        for row, event in (*batch.before, *batch.events):
            self._take(signals.observe(memory, _place(row), event), now)
            self._hear(row, event)
        if batch.progress != self.kept.progress:
            self._heard_at = now
        memory.seen_at = max(memory.seen_at, batch.seen_at)
        self._dirty = self._dirty or bool(batch.events)
        self.kept.progress = batch.progress

    def _take(self, found: Sequence[Signal], now: int) -> None:
        for signal in found:
            self.policy.take(signal, now)

    def _hear(self, row: StoredEvent, event: Event) -> None:
        """A request counts once the ledger says that it was taken."""
        if isinstance(event, RequestReceived) and event.verb in VERBS:
            self.kept.asked[event.request_id] = asked.Request(
                event.request_id,
                event.verb,
                event.by,
                event.reason,
                row.at,
                event.arguments,
                row.trace,
                row.position,
            )
            forget_oldest(self.kept.asked, ASKED_MAX)
        elif isinstance(event, RequestAnswered):
            request = self.kept.asked.pop(event.request_id, None)
            if request is not None and event.outcome == "done":
                self.ask(request)

    def _look_into_inbox(self, now: int) -> None:
        """What is asked while no worker takes it up: it must not wait for the worker's return."""
        if abs(now - self._looked_at) < INBOX_EVERY:
            return
        self._looked_at = now
        for waiting in self._surroundings.waiting():
            is_ours = waiting.verb in VERBS and waiting.role != "readonly"
            is_new = waiting.request_id not in self.kept.applied
            if not (is_ours and is_new) or abs(now - waiting.asked_at) < UNTAKEN:
                continue
            if len(waiting.body) + len(waiting.by) + len(waiting.request_id) > REQUEST_MAX:
                continue  # as below
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
        # Silence is what this process did not hear, and no difference between two clocks.
        memory = self.kept.memory
        self._take(signals.elapsed(memory, memory.seen_at + now - self._heard_at), now)
        due = self.policy.next_due()
        if due is None or due > now:
            return
        for telling in self.policy.due(now):
            self._planned.append(self._message(telling, now))

    def _message(self, telling: Telling, now: int) -> Planned:
        channel = self._channels.get(telling.channel)
        limit = channel.described.limit if channel else UNCONNECTED_LIMIT
        head = words.head_of(self.policy.checkpoint)
        text = words.text_of(telling, limit, head, self.kept.memory.accounts)
        first = max(telling.alerts, key=lambda alert: rank(alert.severity))
        names = tuple(alert.id for alert in telling.alerts)
        return Planned(
            telling.channel, telling.why, first.severity, names, text.title, text.body, now
        )

    def _plan_changes(self, now: int) -> None:
        """Where a service can change what was delivered, it shows who has seen it."""
        two_way = {name for name, each in self._channels.items() if each.described.two_way}
        while self._seen:
            alert = self._seen[0]
            seen = f"Acknowledged by {alert.acknowledged_by} {words.clock(now)}"
            self._planned += [
                Planned(
                    told.channel,
                    CHANGE,
                    "info",
                    told.alerts,
                    told.title,
                    f"{told.body}\n{seen}",
                    now,
                    told.receipt,
                )
                for told in (self._outbox.receipts(alert.id) if two_way else ())
                if told.channel in two_way
            ]
            self._seen.pop(0)

    def _commit(self, now: int) -> None:
        while not self._heard.empty():
            bot, offset = self._heard.get()
            self.kept.offsets[bot], self._dirty = offset, True
        self._plan_changes(now)
        is_due = self._dirty and abs(now - self._committed_at) >= COMMIT_EVERY
        if self.kept.book.changed or self._planned or self._again or is_due:
            self._outbox.commit(self.kept, self._planned, now, self._again)
            self._may_be_gone |= bool(self._again) or any(
                each.channel not in self._channels for each in self._planned
            )
            self._planned, self._again, self._dirty, self._committed_at = [], [], False, now
        if self._may_be_gone and self._known is not None:
            self._give_up_gone(self._known, now)

    def _give_up_gone(self, known: Collection[str], now: int) -> None:
        for channel, severity in self._outbox.drop_gone(known, now).items():
            told = f"channel {channel} has no address: portcullis alert connect {channel}"
            self._fail(channel, told, severity, now)
        self._may_be_gone = False

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

    def _note(self) -> None:
        now = self._now()
        ends, failed = [], list[tuple[str, str, str]]()
        for each in self._ended:
            row = self._outbox.by_number(each.number)
            channel = self._channels.get(each.channel)
            if row is None or row.state == "delivered":
                continue
            if row.state != "sending" and each.outcome.kind != "delivered":
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
                failed.append((each.channel, named, row.severity))
        if ends:
            self._outbox.ended(ends, now)
        self._ended = []
        for failure in failed:
            self._fail(*failure, now)

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
        return vouching.verdict(self._outbox, self.kept.book, self._channels, problem, self._now())

    def _vouch(self, problem: str) -> None:
        now = self._now()
        if abs(now - self._vouched_at) >= VOUCH_EVERY:
            self._surroundings.leave(self.verdict(problem))
            self._vouched_at = now

    def _tidy(self) -> None:
        now = self._now()
        if abs(now - self._tidied_at) >= TIDY_EVERY:
            self._outbox.forget(now)
            self._tidied_at = now


def _place(row: StoredEvent) -> Place:
    return Place(row.position, row.at, row.trace)


def _as_message(row: Delivery) -> Message:
    """The number names the message at its service, so that a repeat can be told from a new one."""
    changes = row.receipt if row.why == CHANGE else ""
    answerable = row.why not in ("over", CHANGE)
    return Message(
        str(row.number), row.severity, row.title, row.body, row.alerts, answerable, changes
    )
