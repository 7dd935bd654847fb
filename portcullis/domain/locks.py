"""Lock rows: set, ended one by one, and what they let stand."""

from __future__ import annotations

from collections.abc import Iterable

from portcullis.domain.breach import Breach, LockSpec
from portcullis.domain.events import LockEnded, LockSet
from portcullis.domain.model import Lock
from portcullis.domain.state import AccountState, State
from portcullis.domain.watch import AccountWatch


def set_lock(
    account: AccountState, rule: str, spec: LockSpec, cause: str, world: State, *, keeps: bool
) -> LockSet | None:
    """Add a row, unless an equal or longer one of the same rule and scope stands already.

    `keeps`: positions that are there stay, up to their present size; otherwise none may be.
    """
    until = account.day.end if spec.ends == "next_session" else spec.until
    for row in account.locks.values():
        same = (row.rule, row.instrument, row.ends) == (rule, spec.instrument, spec.ends)
        if same and (row.until is None or (until is not None and row.until >= until)):
            return None
    lock = Lock(
        account.next_lock, rule, spec.instrument, spec.ends, until, cause, world.now, world.position
    )
    account.next_lock += 1
    account.locks[lock.id] = lock
    sizes = {name: position.size for name, position in account.positions.items()}
    account.kept[lock.id] = sizes if keeps else {}
    return LockSet(account.id, lock)


def set_for(account: AccountState, breach: Breach, world: State) -> list[LockSet]:
    """The rows a breach asks for."""
    response = breach.response
    keeps = not (response.flatten or response.close or response.reduce)
    rows = (
        set_lock(account, breach.rule, spec, breach.reason.message, world, keeps=keeps)
        for spec in response.locks
    )
    return [row for row in rows if row is not None]


def end(
    account: AccountState, lock_ids: Iterable[int], how: str, by: str = "", reason: str = ""
) -> list[LockEnded]:
    """End these rows and no others."""
    ended = []
    for lock_id in lock_ids:
        lock = account.locks.pop(lock_id)
        account.kept.pop(lock_id, None)
        ended.append(LockEnded(account.id, lock_id, lock.rule, how, by, reason))
    return ended


def expired(account: AccountState, now: int) -> list[int]:
    """Rows whose time is over (those that end with the session end with its reset)."""
    return [
        row.id
        for row in account.locks.values()
        if row.ends == "at" and row.until is not None and row.until <= now
    ]


def of_kind(account: AccountState, ends: str) -> list[int]:
    """Rows that end by this."""
    return [row.id for row in account.locks.values() if row.ends == ends]


def overruns(account: AccountState) -> list[str]:
    """Instruments whose position appeared or grew under a lock that covers it."""
    found = []
    for name, position in account.positions.items():
        for row in account.locks.values():
            if row.instrument is not None and row.instrument != name:
                continue
            kept = account.kept.get(row.id, {}).get(name, 0)
            if abs(position.size) > abs(kept) or position.size * kept < 0:
                found.append(name)
                break
    return found


def shrink_kept(account: AccountState) -> None:
    """What a lock lets stand never grows again once it has shrunk."""
    for kept in account.kept.values():
        for name in list(kept):
            position = account.positions.get(name)
            if position is None or position.size * kept[name] < 0:
                del kept[name]
            elif abs(position.size) < abs(kept[name]):
                kept[name] = position.size


def unasked(account: AccountState, watch: AccountWatch | None, world: State) -> list[int]:
    """Locks that stand until the configuration changes, and that it no longer asks for."""
    gone = []
    for lock_id in of_kind(account, "config"):
        row = account.locks[lock_id]
        asked = watch is not None and any(
            rule.blocks(params, world, row.instrument)
            for rule, params in watch.rules
            if row.rule == rule.NAME
        )
        if not asked:
            gone.append(lock_id)
    return gone
