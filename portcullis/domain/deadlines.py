"""When an account next changes by the passing of time alone."""

from __future__ import annotations

from portcullis.domain.state import AccountState, State
from portcullis.domain.watch import AccountWatch


def due_of(account: AccountState, watch: AccountWatch, world: State) -> int:
    """The earliest of: the day's end, a lock's, a reservation's, a retry, a rule's, a stale price.

    A price that is already stale is judged and needs no further deadline.
    """
    due = account.day.end
    for lock in account.locks.values():
        if lock.ends == "at" and lock.until is not None and lock.until < due:
            due = lock.until
    for held in account.reservations.values():
        due = min(due, held.until)
    if account.retry_at is not None and account.retry_at < due:
        due = account.retry_at
    checked = watch.next_check(account, world)
    if checked is not None and checked < due:
        due = checked
    if watch.needs_quotes:
        for position in account.positions.values():
            stale_at = position.marked_at + watch.plan.quote_max_age + 1
            if world.now < stale_at < due:
                due = stale_at
    return due
