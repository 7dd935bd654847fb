"""What the ledger's events mean to a person: which things began to be wrong, and which are over.

Pure. Evidence is late and a venue away by the ledger's own time, so that a dead worker is one alert
and not one for everything that it no longer writes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from portcullis.alerts import account_signals
from portcullis.alerts.alert import Signal
from portcullis.alerts.kinds import GATE_KINDS
from portcullis.alerts.memory import Found, Held, Memory, Place, signal
from portcullis.domain.events import (
    AlertRaised,
    AuthorizationLost,
    BoundReached,
    BreachFound,
    CommandConcluded,
    CommandIssued,
    DataFault,
    Event,
    LedgerRestored,
    LockSet,
    LooseningHeld,
    ModeChanged,
    Reconciled,
    RulesLoaded,
    VenueLinked,
    VerdictRecorded,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from portcullis.domain.evidence import OF_THE_WORKER
from portcullis.domain.model import MINUTE
from portcullis.domain.money import duration
from portcullis.domain.plan import decode_plan

AWAY_TOO_LONG = 5 * MINUTE
SILENT_AFTER = MINUTE
OPERATIONS = "operations"
OURS = "alerts"
CHANGES_TOLD = 5


def observe(memory: Memory, place: Place, event: Event) -> Found:
    """The signals of one event; events come in the ledger's order."""
    memory.seen_at = max(memory.seen_at, place.at)
    found = [*_heard(memory, place), *_end_of_start(memory, place, event)]
    handler = _HANDLERS.get(type(event))
    if handler is not None:
        found += handler(memory, place, event)
    return found


def elapsed(memory: Memory, now: int) -> Found:
    """The signals of time alone; `now` is the machine's, in microseconds."""
    return [
        *account_signals.unanswered(memory),
        *_late(memory),
        *_away(memory),
        *_silent(memory, now),
    ]


# --- the gate -------------------------------------------------------------------------------------


def _mode(_memory: Memory, place: Place, event: ModeChanged) -> Found:
    if event.after == "STARTING":
        return []
    if event.after == "ACTIVE":
        told = f"opened by {event.by}: {event.why}" if event.by else f"open: {event.why}"
        ended = (*GATE_KINDS, "capital_inconsistent")  # of what the worker itself saw of capital
        over = [signal(kind, place, state="resolved", message=told) for kind in ended]
        if not event.by:
            return over
        return [*over, signal("mode_released", place, subject=str(place.position), message=told)]
    kind = _gate_kind(event)
    subjects = tuple(each.partition(":")[0] for each in event.evidence)
    why = f"{event.why}: {'; '.join(event.evidence)}" if event.evidence else event.why
    told = f"shut by {event.by}: {event.why}" if event.by else why
    stays = event.before == "STARTING" and not event.evidence
    if stays:
        told = "the worker started, and the gate stays shut as it was before"
    others = [
        signal(other, place, state="replaced")
        for other in GATE_KINDS
        if other != kind and kind == "shutdown"
    ]
    fell = signal(
        kind,
        place,
        message=f"{event.after}: {told}",
        severity="warning" if (event.by or stays) and kind == "gate_fell" else None,
        subjects=subjects,
        cause=event.by and f"{event.by} asked for it",
        until="a person releases the gate, with a reason",
    )
    return [*others, fell]


def _gate_kind(event: ModeChanged) -> str:
    if event.after == "SHUTDOWN":
        return "shutdown"
    # A start that finds all evidence leads back to a gate that was shut before.
    if event.before == "STARTING" and event.evidence:
        return "start_failed"
    return "gate_fell"


# --- evidence -------------------------------------------------------------------------------------


def _verdict(memory: Memory, place: Place, event: VerdictRecorded) -> Found:
    verdict = event.verdict
    if verdict.name == OURS:
        return []
    lasts = memory.required.get(verdict.name, 0)
    ends = min(verdict.expires_at, verdict.checked_at + lasts) if lasts else verdict.expires_at
    before = memory.evidence.get(verdict.name)
    now = Held(verdict.passed, ends, verdict.summary, verdict.link, lacking=not verdict.passed)
    memory.evidence[verdict.name] = now
    if not verdict.passed:
        return [_lacking(verdict.name, now, place.at, f"failed: {verdict.summary}", place.position)]
    if before is not None and before.lacking:
        kind = _evidence_kind(verdict.name, passed=before.passed)
        said = f"{verdict.name} is good again: {verdict.summary}"
        return [signal(kind, place, state="resolved", subject=verdict.name, message=said)]
    return []


def _late(memory: Memory) -> Found:
    """Required evidence that nobody renewed. What the worker vouches for is late with itself."""
    found = []
    for name, held in memory.evidence.items():
        is_late = not held.lacking and held.expires_at <= memory.seen_at
        if is_late and name in memory.required and name not in OF_THE_WORKER:
            held.lacking = True
            ago = duration(memory.seen_at - held.expires_at)
            why = f"nothing new: it held until {ago} ago, and said last: {held.summary}"
            found.append(_lacking(name, held, held.expires_at, why))
    return found


def _lacking(name: str, held: Held, at: int, why: str, position: int = 0) -> Signal:
    return Signal(
        kind=_evidence_kind(name, passed=held.passed),
        at=at,
        position=position,
        subject=name,
        message=f"{name}: {why}",
        link=held.link,
        until="a verdict that passes; the gate stays shut until a person releases it",
    )


def _evidence_kind(name: str, *, passed: bool) -> str:
    """Late evidence of the heartbeat is silence of the side that beats."""
    if name == OPERATIONS and passed:
        return "operations_silent"
    return "capital_inconsistent" if name == "capital" and not passed else "evidence_lacking"


# --- the venue ------------------------------------------------------------------------------------


def _linked(memory: Memory, place: Place, event: VenueLinked) -> Found:
    if not event.connected:
        memory.away.setdefault(event.venue, place.at)
        memory.away_why[event.venue] = event.reason
        return []
    since = memory.away.pop(event.venue, None)
    memory.away_why.pop(event.venue, None)
    told = f"{event.venue} is connected again"
    if since is not None:
        told += f" after {duration(place.at - since)}"
    over = ["authorization_lost"]
    if event.venue in memory.away_told:
        memory.away_told.remove(event.venue)
        over.append("venue_disconnected")
    return [
        signal(kind, place, state="resolved", subject=event.venue, message=told) for kind in over
    ]


def _away(memory: Memory) -> Found:
    found = []
    for venue, since in memory.away.items():
        if venue not in memory.away_told and memory.seen_at - since > AWAY_TOO_LONG:
            memory.away_told.append(venue)
            why = memory.away_why.get(venue, "")
            told = f"{venue} has been away for {duration(memory.seen_at - since)}: {why}"
            found.append(Signal(kind="venue_disconnected", at=since, subject=venue, message=told))
    return found


def _unauthorized(_memory: Memory, place: Place, event: AuthorizationLost) -> Found:
    told = f"{event.venue}: {event.detail}"
    return [signal("authorization_lost", place, subject=event.venue, message=told)]


def _data_fault(_memory: Memory, place: Place, event: DataFault) -> Found:
    subject = f"{event.source} {event.instrument or ''}".strip()
    return [signal("data_fault", place, subject=subject, message=f"{subject}: {event.detail}")]


# --- the worker -----------------------------------------------------------------------------------


def _started(memory: Memory, place: Place, event: WorkerStarted) -> Found:
    memory.stopped = False
    memory.unclean = 0 if event.clean else place.position
    return []


def _stopped(memory: Memory, _place: Place, _event: WorkerStopped) -> Found:
    memory.stopped = True
    return []


def _failed(memory: Memory, place: Place, event: WorkerFailed) -> Found:
    memory.unclean = 0
    told = f"it ended by: {event.what}; it runs again, and the gate stays shut"
    return [signal("worker_crashed", place, message=told, cause=event.what)]


def _end_of_start(memory: Memory, place: Place, event: Event) -> Found:
    """A start after an end without a word, once it is clear that no word follows."""
    if not memory.unclean or isinstance(event, WorkerFailed | ModeChanged | WorkerStarted):
        return []
    memory.unclean = 0
    told = "it ended without a word (killed, or the machine went down), and runs again"
    return [signal("worker_crashed", place, message=told, severity="warning")]


def _silent(memory: Memory, now: int) -> Found:
    if memory.stopped or memory.silent or now - memory.seen_at <= SILENT_AFTER:
        return []
    memory.silent = True
    told = f"nothing in the ledger for {duration(now - memory.seen_at)}"
    return [Signal(kind="worker_silent", at=memory.seen_at, message=told)]


def _heard(memory: Memory, place: Place) -> Found:
    if not memory.silent:
        return []
    memory.silent = False
    return [signal("worker_silent", place, state="resolved", message="the worker writes again")]


def _bound(_memory: Memory, place: Place, event: BoundReached) -> Found:
    told = f"{event.bound} reached {event.limit}: {event.detail}"
    return [signal("bound_reached", place, subject=event.bound, message=told)]


def _restored(_memory: Memory, place: Place, event: LedgerRestored) -> Found:
    told = f"from {event.backup} up to event {event.position} by {event.by}: {event.reason}"
    return [signal("ledger_restored", place, subject=event.backup, message=told)]


def _rules(memory: Memory, place: Place, event: RulesLoaded) -> Found:
    is_first, memory.rules = not memory.rules, event.digest
    plan = decode_plan(event.plan)
    memory.required = {need.name: need.lasts for need in plan.required}
    memory.accounts = tuple(each.account for each in plan.accounts)
    if is_first or not event.difference:
        return []
    told = _some(event.difference)
    return [signal("rules_loaded", place, subject=event.digest[:12], message=told)]


def _loosening(_memory: Memory, place: Place, event: LooseningHeld) -> Found:
    told = f"{event.by} asked, {event.reason}: {_some(event.held)}"
    until = "the account's next session begins, an approver agrees, or somebody withdraws it"
    return [signal("loosening_held", place, subject=event.digest[:12], message=told, until=until)]


def _some(changes: tuple[str, ...]) -> str:
    more = len(changes) - CHANGES_TOLD
    return "; ".join(changes[:CHANGES_TOLD]) + (f"; and {more} more" if more > 0 else "")


_HANDLERS: dict[Any, Callable[[Memory, Place, Any], Found]] = {
    ModeChanged: _mode,
    VerdictRecorded: _verdict,
    BreachFound: account_signals.breach,
    LockSet: account_signals.lock,
    CommandIssued: account_signals.issued,
    CommandConcluded: account_signals.concluded,
    AlertRaised: account_signals.raised,
    Reconciled: account_signals.reconciled,
    VenueLinked: _linked,
    AuthorizationLost: _unauthorized,
    DataFault: _data_fault,
    WorkerStarted: _started,
    WorkerStopped: _stopped,
    WorkerFailed: _failed,
    BoundReached: _bound,
    LedgerRestored: _restored,
    RulesLoaded: _rules,
    LooseningHeld: _loosening,
}

KINDS_READ: tuple[str, ...] = tuple(sorted(str(event.__struct_config__.tag) for event in _HANDLERS))
"""The kinds of events that anything here depends on; `Memory.seen_at` needs the newest of all."""
