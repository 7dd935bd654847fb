"""When an account next changes by the passing of time alone, and whose time has come."""

from __future__ import annotations

import heapq
from typing import Literal

from portcullis.domain.state import AccountState, State
from portcullis.domain.watch import AccountWatch

Due = tuple[str, Literal["price", "time"]]
"""An account (empty: the system), and whether a price grows stale or anything else is due."""


class Deadlines:
    """The next deadline of each account; compiled from the state, never stored."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, Due]] = []
        self._armed: dict[Due, int] = {}

    def arm(self, due: Due, when: int | None) -> None:
        """Set a deadline, in place of the one before; None: there is none."""
        if when is None:
            self._armed.pop(due, None)
        elif self._armed.get(due) != when:
            self._armed[due] = when
            heapq.heappush(self._heap, (when, due))

    def next(self) -> int | None:
        """The earliest one, perhaps one that was moved since."""
        return self._heap[0][0] if self._heap else None

    def take(self, now: int) -> list[Due]:
        """Whose time has come, by name and not by time: a deadline that moved stays armed as it
        was, and an engine that was recovered knows only where it moved to.
        """
        due: list[Due] = []
        while self._heap and self._heap[0][0] <= now:
            when, name = heapq.heappop(self._heap)
            if self._armed.get(name) == when:
                del self._armed[name]
                due.append(name)
        return sorted(due)


def due_of(account: AccountState, watch: AccountWatch, world: State) -> int:
    """The earliest of: the day's end, a lock's, a reservation's, a retry, a rule's."""
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
    return due


def stale_at(account: AccountState, watch: AccountWatch, now: int) -> int | None:
    """When the first price of a position grows stale; one that is already needs no deadline."""
    if not watch.needs_quotes:
        return None
    ends = (p.marked_at + watch.plan.quote_max_age + 1 for p in account.positions.values())
    return min((end for end in ends if end > now), default=None)


def has_grown_stale(account: AccountState, watch: AccountWatch, now: int) -> bool:
    """Whether a price is too old now that was not known to be; quotes do not move a deadline."""
    oldest = now - watch.plan.quote_max_age
    return any(
        position.marked_at < oldest and name not in account.unjudged
        for name, position in account.positions.items()
    )
