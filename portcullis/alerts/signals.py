"""What the ledger's events mean to a person: which things began to be wrong, and which are over.

Pure. Evidence is late and a venue away by the ledger's own time, so that a dead worker is one alert
and not one for everything that it no longer writes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from portcullis.alerts.alert import Signal, SignalState
from portcullis.alerts.kinds import BY_NAME, GATE_KINDS
from portcullis.domain.bounds import forget_oldest
from portcullis.domain.events import (
    AlertRaised,
    AuthorizationLost,
    BreachFound,
    CommandConcluded,
    CommandIssued,
    DataFault,
    Event,
    LedgerRestored,
    LockSet,
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
from portcullis.domain.model import MINUTE, SECOND, Lock
from portcullis.domain.money import duration
from portcullis.domain.plan import decode_plan

AWAY_TOO_LONG = 5 * MINUTE
SILENT_AFTER = MINUTE
ANSWERED_WITHIN = 2 * SECOND
"""A breach that has no command by then needs none: its account is flat, or a lock answers it."""

COMMANDS_MAX = 10_000
OPERATIONS = "operations"
OURS = "alerts"
CHANGES_TOLD = 5


class Held(msgspec.Struct):
    """What is known of a piece of evidence: how its last verdict was, and until when it holds."""

    passed: bool
    expires_at: int
    summary: str
    link: str = ""
    lacking: bool = False


class Standing(msgspec.Struct):
    """A breach that is being answered: since when, and by which commands."""

    at: int
    rule: str
    keys: list[str] = []
    answered: bool = False


class Memory(msgspec.Struct):
    """What is remembered from event to event."""

    seen_at: int = 0
    stopped: bool = True
    silent: bool = False
    unclean: int = 0
    rules: str = ""
    required: dict[str, int] = {}
    accounts: tuple[str, ...] = ()
    evidence: dict[str, Held] = {}
    away: dict[str, int] = {}
    away_why: dict[str, str] = {}
    away_told: list[str] = []
    breaches: dict[str, dict[str, Standing]] = {}
    failing: list[str] = []
    commands: dict[str, tuple[str, tuple[str, ...]]] = {}


class Place(msgspec.Struct, frozen=True):
    """Where an event is in the ledger."""

    position: int
    at: int
    trace: str = ""


Found = list[Signal]


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
        *_unanswered(memory),
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
        over = [_signal(kind, place, state="resolved", message=told) for kind in GATE_KINDS]
        if not event.by:
            return over
        return [*over, _signal("mode_released", place, subject=str(place.position), message=told)]
    kind = _gate_kind(event)
    subjects = tuple(each.partition(":")[0] for each in event.evidence)
    why = f"{event.why}: {'; '.join(event.evidence)}" if event.evidence else event.why
    told = f"shut by {event.by}: {event.why}" if event.by else why
    others = [
        _signal(other, place, state="replaced")
        for other in GATE_KINDS
        if other != kind and kind == "shutdown"
    ]
    fell = _signal(
        kind,
        place,
        message=f"{event.after}: {told}",
        severity="warning" if event.by and kind == "gate_fell" else None,
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
        return [_signal(kind, place, state="resolved", subject=verdict.name, message=said)]
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


# --- accounts -------------------------------------------------------------------------------------


def _breach(memory: Memory, place: Place, event: BreachFound) -> Found:
    subject = f"{event.rule} {event.instrument or ''}".strip()
    memory.breaches.setdefault(event.account, {})[subject] = Standing(place.at, event.rule)
    reason = event.reason
    return [
        _signal(
            "breach",
            place,
            account=event.account,
            subject=subject,
            message=f"{event.rule}: {reason.message}",
            cause=f"rule {event.code} {event.rule}",
            formula=reason.formula,
            measured=reason.measured,
            limit=reason.limit,
            flat="not confirmed",
        )
    ]


def _lock(memory: Memory, place: Place, event: LockSet) -> Found:
    lock = event.lock
    if lock.rule == "manual":
        told = f"{lock.cause}; {_until(lock)}"
        subject = str(place.position)
        return [
            _signal("locked_by_person", place, account=event.account, subject=subject, message=told)
        ]
    return [
        _signal(
            "breach",
            place,
            state="more",
            account=event.account,
            subject=subject,
            until=_until(lock),
        )
        for subject, standing in memory.breaches.get(event.account, {}).items()
        if standing.rule == lock.rule
    ]


def _until(lock: Lock) -> str:
    return {
        "at": f"locked until {duration(max(0, (lock.until or 0) - lock.set_at))} after the breach",
        "next_session": "locked until the account's next session",
        "person": "locked until a person releases it",
        "config": "locked until the configuration allows it",
        "venue": "locked until the venue allows it",
    }[lock.ends]


def _issued(memory: Memory, _place: Place, event: CommandIssued) -> Found:
    memory.commands[event.key] = (event.account, event.rules)
    forget_oldest(memory.commands, COMMANDS_MAX)
    for standing in memory.breaches.get(event.account, {}).values():
        if standing.rule in event.rules:
            standing.keys.append(event.key)
            standing.answered = True
    return []


def _concluded(memory: Memory, place: Place, event: CommandConcluded) -> Found:
    memory.commands.pop(event.key, None)
    if event.outcome not in ("confirmed", "superseded"):
        return []
    found: Found = []
    if event.account in memory.failing and event.outcome == "confirmed":
        memory.failing.remove(event.account)
        told = f"the venue confirmed command {event.key}"
        found.append(
            _signal(
                "enforcement_failed", place, state="resolved", account=event.account, message=told
            )
        )
    took = duration(max(0, event.confirmed_at - event.detected_at))
    for subject, standing in list(memory.breaches.get(event.account, {}).items()):
        if event.key in standing.keys:
            standing.keys.remove(event.key)
            if not standing.keys:
                found.append(_enforced(memory, place, event.account, subject, took))
    return found


def _enforced(memory: Memory, place: Place, account: str, subject: str, took: str) -> Signal:
    del memory.breaches[account][subject]
    told = f"enforced: the venue confirmed it {took} after it was detected"
    return _signal(
        "breach",
        place,
        state="resolved",
        account=account,
        subject=subject,
        message=told,
        flat="confirmed",
    )


def _unanswered(memory: Memory) -> Found:
    found = []
    for account, standing in memory.breaches.items():
        for subject, each in list(standing.items()):
            if not each.answered and memory.seen_at - each.at > ANSWERED_WITHIN:
                del standing[subject]
                found.append(
                    Signal(
                        kind="breach",
                        state="resolved",
                        at=memory.seen_at,
                        account=account,
                        subject=subject,
                        message="nothing had to be closed",
                        flat="unknown",
                    )
                )
    return found


def _raised(memory: Memory, place: Place, event: AlertRaised) -> Found:
    """What the engine itself tells; a shut gate is told by the change of the mode."""
    if event.alert == "gate_shut":
        return []
    near = event.alert.removesuffix("_near")
    kind = "near_limit" if near != event.alert else event.alert
    if kind not in BY_NAME:
        return []
    if kind == "enforcement_failed" and event.account and event.account not in memory.failing:
        memory.failing.append(event.account)
    subject = near if kind == "near_limit" else ""
    told = f"{near}: {event.message}" if kind == "near_limit" else event.message
    return [
        _signal(
            kind,
            place,
            account=event.account,
            subject=subject,
            severity=event.severity,
            message=told,
            action=event.remedy,
            flat="unknown" if kind == "enforcement_failed" else "",
        )
    ]


def _reconciled(_memory: Memory, place: Place, event: Reconciled) -> Found:
    if not event.missed:
        return []
    told = f"{event.missed} fills were found in the venue's records that its stream left out"
    return [_signal("lost_fills", place, account=event.account, message=told)]


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
        _signal(kind, place, state="resolved", subject=event.venue, message=told) for kind in over
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
    return [_signal("authorization_lost", place, subject=event.venue, message=told)]


def _data_fault(_memory: Memory, place: Place, event: DataFault) -> Found:
    subject = f"{event.source} {event.instrument or ''}".strip()
    return [_signal("data_fault", place, subject=subject, message=f"{subject}: {event.detail}")]


# --- the worker -----------------------------------------------------------------------------------


def _started(memory: Memory, place: Place, event: WorkerStarted) -> Found:
    memory.stopped = False
    memory.unclean = 0 if event.clean else place.position
    memory.breaches.clear()
    return []


def _stopped(memory: Memory, _place: Place, _event: WorkerStopped) -> Found:
    memory.stopped = True
    return []


def _failed(memory: Memory, place: Place, event: WorkerFailed) -> Found:
    memory.unclean = 0
    told = f"it ended by: {event.what}; it runs again, and the gate stays shut"
    return [_signal("worker_crashed", place, message=told, cause=event.what)]


def _end_of_start(memory: Memory, place: Place, event: Event) -> Found:
    """A start after an end without a word, once it is clear that no word follows."""
    if not memory.unclean or isinstance(event, WorkerFailed | ModeChanged | WorkerStarted):
        return []
    memory.unclean = 0
    told = "it ended without a word (killed, or the machine went down), and runs again"
    return [_signal("worker_crashed", place, message=told, severity="warning")]


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
    return [_signal("worker_silent", place, state="resolved", message="the worker writes again")]


def _restored(_memory: Memory, place: Place, event: LedgerRestored) -> Found:
    told = f"from {event.backup} up to event {event.position} by {event.by}: {event.reason}"
    return [_signal("ledger_restored", place, subject=event.backup, message=told)]


def _rules(memory: Memory, place: Place, event: RulesLoaded) -> Found:
    is_first, memory.rules = not memory.rules, event.digest
    plan = decode_plan(event.plan)
    memory.required = {need.name: need.lasts for need in plan.required}
    memory.accounts = tuple(each.account for each in plan.accounts)
    if is_first or not event.difference:
        return []
    more = len(event.difference) - CHANGES_TOLD
    told = "; ".join(event.difference[:CHANGES_TOLD]) + (f"; and {more} more" if more > 0 else "")
    return [_signal("rules_loaded", place, subject=event.digest[:12], message=told)]


def _signal(
    kind: str,
    place: Place,
    *,
    state: SignalState = "firing",
    **fields: Any,
) -> Signal:
    return Signal(
        kind=kind, at=place.at, state=state, trace=place.trace, position=place.position, **fields
    )


_HANDLERS: dict[Any, Callable[[Memory, Place, Any], Found]] = {
    ModeChanged: _mode,
    VerdictRecorded: _verdict,
    BreachFound: _breach,
    LockSet: _lock,
    CommandIssued: _issued,
    CommandConcluded: _concluded,
    AlertRaised: _raised,
    Reconciled: _reconciled,
    VenueLinked: _linked,
    AuthorizationLost: _unauthorized,
    DataFault: _data_fault,
    WorkerStarted: _started,
    WorkerStopped: _stopped,
    WorkerFailed: _failed,
    LedgerRestored: _restored,
    RulesLoaded: _rules,
}

KINDS_READ: tuple[str, ...] = tuple(sorted(str(event.__struct_config__.tag) for event in _HANDLERS))
"""The kinds of events that anything here depends on; `Memory.seen_at` needs the newest of all."""
