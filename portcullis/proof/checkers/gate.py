"""Invariant 4: the gate is open only on fresh, passing evidence, and only a person re-opens it."""

from __future__ import annotations

from collections.abc import Iterator

from portcullis.domain.events import (
    FACT_KINDS,
    AccountReported,
    Event,
    LockEnded,
    LockSet,
    ModeChanged,
    ProposalAnswered,
    ProposalReceived,
    RequestReceived,
    VerdictRecorded,
    WorkerStarted,
)
from portcullis.domain.model import Lock, OrderRequest, Verdict
from portcullis.ports import StoredEvent
from portcullis.proof.checkers.record import Record


class _Watch:
    """What decides about the gate, folded a second time and as simply as can be."""

    def __init__(self, record: Record) -> None:
        self.required = record.story.plan.required
        self.verdicts: dict[str, Verdict] = {}
        self.mode = "STARTING"
        self.before_start = "ACTIVE"
        self.started_at = 0
        self.locks: dict[tuple[str, int], Lock] = {}
        self.forbidden: dict[str, int] = {}
        self.told: dict[str, int] = {}
        self.orders: dict[str, OrderRequest] = {}
        self.opener = ""

    def see(self, row: StoredEvent, event: Event) -> None:
        if isinstance(event, VerdictRecorded):
            known = self.verdicts.get(event.verdict.name)
            if known is None or event.verdict.checked_at >= known.checked_at:
                self.verdicts[event.verdict.name] = event.verdict
        elif isinstance(event, WorkerStarted):
            self.started_at = row.at
        elif isinstance(event, ModeChanged):
            if event.after == "STARTING" and event.before != "STARTING":
                self.before_start = event.before
            self.mode = event.after
        elif isinstance(event, LockSet):
            self.locks[event.account, event.lock.id] = event.lock
        elif isinstance(event, LockEnded):
            self.locks.pop((event.account, event.lock_id), None)
        elif isinstance(event, AccountReported):
            self._hear(row, event)
        elif isinstance(event, ProposalReceived):
            self.orders[event.proposal_id] = event.order
        elif isinstance(event, RequestReceived):
            self.opener = event.role if event.verb == "open" else ""

    def _hear(self, row: StoredEvent, event: AccountReported) -> None:
        """The venue's word on an account; an older one changes nothing."""
        if event.reported_at < self.told.get(event.account, 0):
            return
        self.told[event.account] = event.reported_at
        self.forbidden.pop(event.account, None)
        if event.can_trade is not True:
            self.forbidden[event.account] = row.position

    def lacking(self, at: int) -> list[str]:
        """Required evidence that is missing, failed, over, or older than the worker's start."""
        found = []
        for need in self.required:
            verdict = self.verdicts.get(need.name)
            if (
                verdict is None
                or not verdict.passed
                or verdict.expires_at <= at
                or (need.at_start and verdict.checked_at < self.started_at)
            ):
                found.append(need.name)
        return found

    def locked(self, account: str, instrument: str) -> list[str]:
        return [
            lock.rule
            for (name, _), lock in self.locks.items()
            if name == account and lock.instrument in (None, instrument)
        ]


def approvals_are_earned(record: Record) -> Iterator[str]:
    """An approved entry had an open gate, fresh evidence, no lock and a venue that lets trade."""
    watch = _Watch(record)
    for row, event in record.events:
        watch.see(row, event)
        if not isinstance(event, ProposalAnswered) or not event.approved or event.lane == "exit":
            continue
        order = watch.orders[event.proposal_id]
        wrong = [f"evidence {name}" for name in watch.lacking(row.at)]
        wrong += [f"lock of {rule}" for rule in watch.locked(event.account, order.instrument)]
        wrong += [f"mode {watch.mode}"] if watch.mode != "ACTIVE" else []
        wrong += ["the venue forbids"] if event.account in watch.forbidden else []
        if order.size > event.largest_allowed:
            wrong.append(f"{order.size} asked, {event.largest_allowed} allowed")
        if wrong:
            yield f"event {row.position} approves {event.proposal_id} against {', '.join(wrong)}"


def a_proposal_is_approved_once(record: Record) -> Iterator[str]:
    """A program that asks again under the same id gets no second position."""
    approved: dict[str, int] = {}
    for row, event in record.of(ProposalAnswered):
        if event.approved:
            first = approved.setdefault(event.proposal_id, row.position)
            if first != row.position:
                yield f"event {row.position} approves {event.proposal_id} again, after {first}"


def the_gate_falls_by_itself(record: Record) -> Iterator[str]:
    """No event is taken with the gate open on evidence that was over at the event before it."""
    watch, last_at = _Watch(record), 0
    for row, event in record.events:
        if row.kind in FACT_KINDS:
            if last_at and watch.mode == "ACTIVE" and watch.lacking(last_at):
                yield f"event {row.position}: the gate is open without {watch.lacking(last_at)}"
            last_at = row.at
        watch.see(row, event)


def only_a_person_opens(record: Record) -> Iterator[str]:
    """ACTIVE comes from an administrator's word, or at a start that found it so; with evidence."""
    watch = _Watch(record)
    for row, event in record.events:
        watch.see(row, event)
        if not isinstance(event, ModeChanged) or event.after != "ACTIVE":
            continue
        resumed = event.before == "STARTING" and watch.before_start == "ACTIVE"
        if watch.opener != "admin" and not resumed:
            yield f"event {row.position} opens the gate by nobody's word"
        if watch.lacking(row.at):
            yield f"event {row.position} opens the gate without {', '.join(watch.lacking(row.at))}"


def the_gate_opens_again(record: Record) -> Iterator[str]:
    """After the calm, with a person on call and all evidence coming, the gate is open."""
    watch = _Watch(record)
    for row, event in record.events:
        watch.see(row, event)
    if record.is_settled and record.time_is_right and watch.mode != "ACTIVE":
        yield f"the gate is still {watch.mode} after the calm"
