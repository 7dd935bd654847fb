"""Locks as the ledger sets and ends them: rows, each ended by its own end and nothing else."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec


class LockRow(msgspec.Struct):
    """One lock in force."""

    id: int
    rule: str
    instrument: str | None
    ends: str
    until: int | None


class LockWanted(NamedTuple):
    """The lock a breach must set: what may end it, when, and over what.

    `untils` are the ends the text allows (empty: any); the first is the one that is told.
    """

    ends: str
    untils: tuple[int, ...]
    instrument: str | None

    def told(self) -> str:
        """In words."""
        until = f" until {self.untils[0]}" if self.untils else ""
        return f"a lock of {self.instrument or 'the account'} ending by {self.ends}{until}"


class Locks:
    """The rows of one account."""

    def __init__(self) -> None:
        self.rows: dict[int, LockRow] = {}
        self.ended: set[int] = set()

    def set(self, body: dict[str, Any]) -> LockRow | None:
        """A row is set; None when a row of this id stands or stood already."""
        lock = body["lock"]
        if lock["id"] in self.rows or lock["id"] in self.ended:
            return None
        row = LockRow(lock["id"], lock["rule"], lock["instrument"], lock["ends"], lock["until"])
        self.rows[row.id] = row
        return row

    def end(self, lock_id: int) -> LockRow | None:
        """A row ends; None when none of this id stands."""
        self.ended.add(lock_id)
        return self.rows.pop(lock_id, None)

    def over(self, name: str | None) -> bool:
        """Whether an instrument is locked, by itself or with the account (None: the account)."""
        return any(row.instrument in (None, name) for row in self.rows.values())

    def of_rule(self, rule: str, name: str | None) -> list[LockRow]:
        """Rows of a rule that lie over a scope."""
        return [r for r in self.rows.values() if r.rule == rule and r.instrument in (None, name)]

    def satisfies(self, rule: str, wanted: LockWanted) -> bool:
        """Whether a row in force is at least the lock that is wanted."""
        return any(_at_least(row, wanted) for row in self.of_rule(rule, wanted.instrument))


def _at_least(row: LockRow, wanted: LockWanted) -> bool:
    if wanted.ends != "at":
        return row.ends == wanted.ends
    if row.ends != "at":
        return True
    return row.until is not None and (not wanted.untils or row.until >= min(wanted.untils))
