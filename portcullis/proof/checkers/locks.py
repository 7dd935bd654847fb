"""Locks: each row ends once, in its own way, at its own time; under one, nothing stays open."""

from __future__ import annotations

from collections.abc import Iterator

from portcullis.domain.events import (
    CommandIssued,
    DayRolled,
    LockEnded,
    LockSet,
    RequestReceived,
    RulesLoaded,
)
from portcullis.domain.model import SECOND, Lock
from portcullis.proof.checkers.record import Record

OVERDUE = 2 * SECOND
FLATTENS = ("daily_realized_loss", "daily_realized_profit", "trailing_drawdown")


class _Book:
    """The rows in force while the ledger is read."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], Lock] = {}


def locks_end_their_own_way(record: Record) -> Iterator[str]:
    """A number is set once and ended once; by its own time, its own day, or a person's word."""
    book, seen = _Book(), set()
    rolled, released, loaded = {}, "", 0
    for row, event in record.events:
        if isinstance(event, DayRolled):
            rolled[event.account] = row.at
        elif isinstance(event, RequestReceived):
            released = event.account or "" if event.verb == "release" else ""
        elif isinstance(event, RulesLoaded):
            loaded = row.at
        elif isinstance(event, LockSet):
            key = (event.account, event.lock.id)
            if key in seen:
                yield f"event {row.position}: lock {key} was set before"
            seen.add(key)
            book.rows[key] = event.lock
        elif isinstance(event, LockEnded):
            lock = book.rows.pop((event.account, event.lock_id), None)
            if lock is None:
                yield f"event {row.position} ends lock {event.lock_id}, which does not stand"
                continue
            because = {
                "expired": lock.ends == "at" and lock.until is not None and row.at >= lock.until,
                "session": lock.ends == "next_session" and rolled.get(event.account) == row.at,
                "released": released == event.account,
                "config": lock.ends == "config" and loaded == row.at,
                "venue": lock.ends == "venue",
            }
            if not because.get(event.how, False):
                yield (
                    f"event {row.position} ends lock {lock.id} of {lock.rule} ({lock.ends} "
                    f"{lock.until}) as {event.how}"
                )


def locks_do_not_outlive_their_time(record: Record) -> Iterator[str]:
    """After the calm no lock stands whose time is over."""
    if not record.is_settled:
        return
    for (account, _), lock in standing(record).items():
        if lock.until is not None and lock.until + OVERDUE < record.rows[-1].at:
            yield f"lock {lock.id} of {lock.rule} on {account} stands after its time"


def the_worker_knows_its_locks(record: Record) -> Iterator[str]:
    """What the worker holds for locked at the end is what the ledger says, no row more or less."""
    state = record.outcome.state
    if state is None:
        return
    recorded = set(standing(record))
    held = {(a.id, lock_id) for a in state.accounts.values() for lock_id in a.locks}
    durable = record.rows[-1].position
    for account, lock_id in sorted(held ^ recorded):
        known = state.accounts[account].locks.get(lock_id)
        if known is None and not record.is_settled:
            continue  # killed with the end of the lock on its way to the disk
        if known is None or known.position <= durable:
            yield f"lock {lock_id} on {account} is {'held' if known else 'recorded'} only"


def standing(record: Record) -> dict[tuple[str, int], Lock]:
    """The locks that stand at the end, from set and ended rows alone."""
    book = _Book()
    for _, event in record.events:
        if isinstance(event, LockSet):
            book.rows[event.account, event.lock.id] = event.lock
        elif isinstance(event, LockEnded):
            book.rows.pop((event.account, event.lock_id), None)
    return book.rows


def a_hard_lock_leaves_nothing_open(record: Record) -> Iterator[str]:
    """After the calm an account locked by loss, profit or drawdown holds nothing at the venue."""
    if not record.is_settled:
        return
    for (account, _), lock in standing(record).items():
        if lock.rule not in FLATTENS:
            continue
        held = [f"{p.size:+d} {p.instrument}" for p in record.exchange.positions(account)]
        held += [f"order {o.order_id}" for o in record.exchange.orders(account)]
        if held:
            yield f"{account} is locked by {lock.rule} and has {', '.join(held)}"


def every_lock_is_answered(record: Record) -> Iterator[str]:
    """A lock of a rule that flattens comes with a flatten of its account, sent or under way."""
    under_way: dict[str, int] = {}
    waiting: dict[str, int] = {}
    for row, event in record.events:
        if isinstance(event, CommandIssued) and type(event.command).__name__ == "Flatten":
            under_way[event.account] = row.position
            waiting.pop(event.account, None)
        elif (
            isinstance(event, LockSet)
            and event.lock.rule in FLATTENS
            and event.account not in under_way
        ):
            waiting[event.account] = row.position
    for account, position in waiting.items():
        if position < record.rows[-1].position - 1:
            yield f"event {position} locks {account}, and no flatten was ever issued"
