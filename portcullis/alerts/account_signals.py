"""What an account's events mean to a person: limits broken, how they were enforced, what failed."""

from __future__ import annotations

from portcullis.alerts.alert import Signal
from portcullis.alerts.kinds import BY_NAME
from portcullis.alerts.memory import Found, Memory, Place, Standing, signal
from portcullis.domain.bounds import forget_oldest
from portcullis.domain.events import (
    AlertRaised,
    BreachFound,
    CommandConcluded,
    CommandIssued,
    LockSet,
    Reconciled,
)
from portcullis.domain.model import SECOND, Lock
from portcullis.domain.money import duration

ANSWERED_WITHIN = 2 * SECOND
"""A breach that has no command by then needs none: its account is flat, or a lock answers it."""

COMMANDS_MAX = 10_000


def breach(memory: Memory, place: Place, event: BreachFound) -> Found:
    subject = f"{event.rule} {event.instrument or ''}".strip()
    memory.breaches.setdefault(event.account, {})[subject] = Standing(place.at, event.rule)
    reason = event.reason
    return [
        signal(
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


def lock(memory: Memory, place: Place, event: LockSet) -> Found:
    lock = event.lock
    if lock.rule == "manual":
        told = f"{lock.cause}; {_until(lock)}"
        subject = str(place.position)
        return [
            signal("locked_by_person", place, account=event.account, subject=subject, message=told)
        ]
    return [
        signal(
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


def issued(memory: Memory, _place: Place, event: CommandIssued) -> Found:
    memory.commands[event.key] = (event.account, event.rules)
    forget_oldest(memory.commands, COMMANDS_MAX)
    for standing in memory.breaches.get(event.account, {}).values():
        if standing.rule in event.rules:
            standing.keys.append(event.key)
            standing.answered = True
    return []


def concluded(memory: Memory, place: Place, event: CommandConcluded) -> Found:
    memory.commands.pop(event.key, None)
    if event.outcome not in ("confirmed", "superseded"):
        for standing in memory.breaches.get(event.account, {}).values():
            if event.key in standing.keys:  # another command takes its place
                standing.keys.remove(event.key)
        return []
    found: Found = []
    if event.account in memory.failing and event.outcome == "confirmed":
        memory.failing.remove(event.account)
        told = f"the venue confirmed command {event.key}"
        found.append(
            signal(
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
    return signal(
        "breach",
        place,
        state="resolved",
        account=account,
        subject=subject,
        message=told,
        flat="confirmed",
    )


def unanswered(memory: Memory) -> Found:
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


def raised(memory: Memory, place: Place, event: AlertRaised) -> Found:
    """What the engine itself tells; a shut gate is told by the change of the mode,
    a bound by what reached it.
    """
    if event.alert in ("gate_shut", "bound_reached"):
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
        signal(
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


def reconciled(_memory: Memory, place: Place, event: Reconciled) -> Found:
    if not event.missed:
        return []
    told = f"{event.missed} fills were found in the venue's records that its stream left out"
    return [signal("lost_fills", place, account=event.account, message=told)]
