"""The daily record of every account, each at its own reset.

Each account that is watched has a record of each of its trading days, taken soon after the reset
that begins the day. One that was missed is made up from the ledger, with the figures of that
moment. A record is written once, and only of an account whose equity is known.
`python -m checks.account_records [--full]` gives the finding as JSON.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from checks.apart import check_apart, run_here
from checks.ledger_file import ledger_file
from checks.record_days import Due, due_days, engines_at
from checks.record_files import decimal, sparkline, write_files
from checks.record_store import (
    RECORDS_FILE,
    AccountRecord,
    add_records,
    equity_curve,
    newest_records,
)
from checks.suites.account_records import ACCOUNT_RECORDS, LEDGER_STATES
from checks.suites.outcomes import graded
from checks.suites.running import digest_of, validate
from checks.verdicts import Finding, Grade
from portcullis.clock import SystemClock
from portcullis.config.settings import Settings
from portcullis.domain.engine import Engine
from portcullis.domain.model import HOUR, MINUTE
from portcullis.errors import StoreLocked
from portcullis.store.lock import WriterLock
from portcullis.store.opening import open_reader
from portcullis.worker.recovery import recover

ON_TIME = 15 * MINUTE  # after its reset a record is of now; later it is made up
SETTLED = MINUTE  # after a reset the worker has begun the new day
OVERDUE = 2 * HOUR  # after its reset an account that is not known fails the verdict
WINDOW = 35 * 24 * HOUR  # records that a run looks at, unless it is full
HERE_MOST = 50_000  # events that are folded in a warm process; more in one apart


class Work(NamedTuple):
    """What a run has to do: the engine as it is, the ledger's end, and the days that are due."""

    engine: Engine
    head: int
    due: list[Due]


class Recorded(NamedTuple):
    """What a run wrote, and the days that it could not, since the account is not known."""

    written: list[AccountRecord]
    unknown: list[Due]


def record_where_it_fits(settings: Settings, now: int, *, full: bool = False) -> Finding:
    """Record what is due here, or in a process apart where much must be folded for it.

    `full` looks at all records instead of those of `WINDOW`. Raises StoreError when the ledger or
    the records cannot be read.
    """
    try:
        with _alone(settings):
            work = work_of(settings, now)
            is_long = work.head > HERE_MOST and any(is_missed(each, now) for each in work.due)
            if not is_long and not full:
                return carry_out(settings, work, now, full=full)
    except StoreLocked:
        return Finding(Grade.EARLY, "another run is recording; it leaves the verdict", [])
    return check_apart(settings, "checks.account_records", full=full)


def record(settings: Settings, now: int, *, full: bool = False) -> Finding:
    """As `record_where_it_fits`, in this process."""
    try:
        with _alone(settings):
            return carry_out(settings, work_of(settings, now), now, full=full)
    except StoreLocked:
        return Finding(Grade.EARLY, "another run is recording; it leaves the verdict", [])


def _alone(settings: Settings) -> WriterLock:
    """One process writes the records at a time."""
    settings.operations_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return WriterLock(records_path(settings).with_suffix(".lock"))


def records_path(settings: Settings) -> Path:
    """The file of records."""
    return settings.operations_path / RECORDS_FILE


def work_of(settings: Settings, now: int) -> Work:
    """What is due of the accounts that the ledger's plan watches; those that left it are not."""
    with open_reader(settings) as reader:
        engine = recover(reader).engine
        head = reader.head().position  # after the fold: the worker goes on writing meanwhile
    newest = newest_records(records_path(settings))
    due = [
        each
        for plan in engine.plan.accounts
        for each in due_days(plan, newest.get(plan.account), now)
    ]
    return Work(engine, head, due)


def is_missed(due: Due, now: int) -> bool:
    """Whether a day must be made up: a first record is always of now."""
    return due.follows is not None and now - due.reset_at > ON_TIME


def carry_out(settings: Settings, work: Work, now: int, *, full: bool) -> Finding:
    """Write what is due, then judge everything that is recorded."""
    if not work.engine.plan.accounts:
        return Finding(Grade.EMPTY, "no account is watched yet", [])
    done = taken(settings, work, now)
    if done.written:
        add_records(records_path(settings), done.written)
        write_files(settings.snapshots_path, records_path(settings), work.engine, done.written, now)
    return judge(settings, work, done, now, full=full)


def taken(settings: Settings, work: Work, now: int) -> Recorded:
    """The records of the days that are due, missed ones from the ledger as it was then."""
    missed = [each for each in work.due if is_missed(each, now)]
    moments = sorted({each.reset_at + SETTLED for each in missed})
    found: dict[Due, AccountRecord] = {}
    if moments:
        with open_reader(settings) as reader:
            for moment, engine in engines_at(reader, moments, work.head):
                for each in missed:
                    if each.reset_at + SETTLED == moment:
                        _put(found, each, row_of(engine, each, moment, now))
    newest = {each.account: each for each in work.due}
    for each in newest.values():
        if each not in found:
            _put(found, each, row_of(work.engine, each, now, now))
    return _chained(work.due, found)


def _put(found: dict[Due, AccountRecord], due: Due, row: AccountRecord | None) -> None:
    if row is not None:
        found[due] = row


def _chained(due: Sequence[Due], found: dict[Due, AccountRecord]) -> Recorded:
    """Records in order. After a day that nobody can tell of any more, the days begin anew."""
    written: list[AccountRecord] = []
    unknown: list[Due] = []
    broken: set[str] = set()
    for each in due:
        row = found.get(each)
        if row is None:
            broken.add(each.account)
            unknown.append(each)
        elif each.account in broken:
            broken.discard(each.account)
            written.append(msgspec.structs.replace(row, follows=None))
        else:
            written.append(row)
    newest = {each.account: each for each in due}
    return Recorded(written, [each for each in unknown if newest[each.account] == each])


def row_of(engine: Engine, due: Due, moment: int, now: int) -> AccountRecord | None:
    """The record of an account as an engine has it; None while its equity is not known."""
    account = engine.state.accounts.get(due.account)
    if account is None or not account.reconciled_at:
        return None
    equity = account.equity()
    if equity is None or account.opening_balance is None:
        return None
    return AccountRecord(
        account=due.account,
        trading_day=due.trading_day,
        follows=due.follows,
        reset_at=due.reset_at,
        taken_at=moment,
        written_at=now,
        made_up=moment != now,
        position=engine.state.position,
        currency=account.currency,
        balance=account.balance,
        opening=account.opening_balance,
        realized=account.realized,
        open=account.open_pnl,
        equity=equity,
        locked=bool(account.locks),
        positions=len(account.positions),
        orders=len(account.orders),
        can_trade=account.can_trade,
    )


def judge(settings: Settings, work: Work, done: Recorded, now: int, *, full: bool) -> Finding:
    """The suites over records and states; an account that is not known fails too.

    One that was known before has `OVERDUE` after its reset, then its records are stale.
    """
    path = records_path(settings)
    bounds = {"since": 0 if full else now - WINDOW, "head": work.head, "now": now}
    with ledger_file(settings) as file:
        outcomes = validate(file, LEDGER_STATES, bounds)
    if path.exists():
        outcomes = [*validate(path, ACCOUNT_RECORDS, bounds), *outcomes]
    unknown = [each.account for each in done.unknown if each.follows is None]
    overdue = [
        f"{each.account} has no record since {each.follows}"
        for each in done.unknown
        if each.follows is not None and now - each.reset_at > OVERDUE
    ]
    missing = [f"equity not known: {', '.join(unknown)}"] if unknown else []
    made_up = sum(each.made_up for each in done.written)
    size = f"{len(work.engine.plan.accounts)} accounts, {len(done.written)} recorded now"
    size += f" ({made_up} made up)" * bool(made_up)
    found = graded(size, outcomes, digest_of(ACCOUNT_RECORDS, LEDGER_STATES), missing, overdue)
    return found._replace(rows=[*found.rows, *(_shown(path, each) for each in done.written)])


def _shown(path: Path, record: AccountRecord) -> dict[str, Any]:
    return {
        "account": record.account,
        "trading_day": record.trading_day,
        "made_up": record.made_up,
        "equity": decimal(record.equity),
        "curve": sparkline(equity_curve(path, record.account)),
        "positions": record.positions,
        "orders": record.orders,
        "locked": record.locked,
    }


if __name__ == "__main__":
    sys.exit(run_here(lambda settings, full: record(settings, SystemClock().now(), full=full)))
