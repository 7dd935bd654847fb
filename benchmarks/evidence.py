"""The suites: an increment, a slice and all of a million events, and records of 1,000 accounts.

Beside each, in the same run, the same questions as plain SQL over the same connection: what the
library adds is the difference.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.ingest import entry
from checks import ledger_rows
from checks.figures import lay_out
from checks.ledger_rows import Watermark, Window, Work, windows
from checks.record_store import AccountRecord, add_records
from checks.suites import capital, strategies
from checks.suites.account_records import ACCOUNT_RECORDS
from checks.suites.ledger_rows import SUITE
from checks.suites.running import Suite, expectation_suite, load, validate
from portcullis.domain.model import HOUR
from portcullis.store.database import LEDGER_FILE, connect_reader
from portcullis.store.ledger import SqliteLedger

EVENTS = 1_000_000
BATCH = 2_000
NEW = 1_000
SLICE = EVENTS // 168
ACCOUNTS = 1_000
DAYS = 35
NOW = 1_800_000_000_000_000


def main() -> None:
    started = time.perf_counter()
    load()
    print(f"importing the library: {time.perf_counter() - started:.2f} s, {_memory()} MB at most")
    with tempfile.TemporaryDirectory(dir=".") as folder:
        home = Path(folder)
        ledger = SqliteLedger(home)
        for first in range(0, EVENTS, BATCH):
            ledger.append([entry(number) for number in range(first, first + BATCH)])
        ledger.tidy()
        ledger.close()
        _events(home / LEDGER_FILE)
        _records(home / "records.db")
        _figures(home)
    print(f"memory of all of it: {_memory()} MB at most")


def _events(path: Path) -> None:
    parts = {
        f"an increment of {NEW:,}": [Window(EVENTS - NEW, EVENTS)],
        f"an hour's slice of {SLICE:,}": [Window(500_000, 500_000 + SLICE)],
        "a window of 50,000": [Window(400_000, 450_000)],
        f"all {EVENTS:,}": list(windows(1, EVENTS)),
    }
    for what, found in parts.items():
        work = Work(found, [], Watermark("", ""))
        ours = _timed(lambda work=work: _look(path, work))
        bounds = [{"first": each.first, "last": each.last, "now": NOW} for each in found]
        plain = _timed(lambda bounds=bounds: _plain(path, SUITE, bounds))
        _row(what, ours, plain)


def _look(path: Path, work: Work) -> None:
    found = ledger_rows.look(path, work, NOW)
    assert found.grade.holds, found.summary


def _figures(home: Path) -> None:
    """One pool over all accounts, and a hundred strategies of ten moves each."""
    accounts = [
        {"pool": "P", "account": f"A{n}", "currency": "USD", "account_currency": "USD",
         "allocated": 100, "booked": n, "joined": 1}
        for n in range(ACCOUNTS)
    ]  # fmt: skip
    total = sum(each["booked"] for each in accounts)  # type: ignore[misc]
    pool = {"pool": "P", "currency": "USD", "capital": 100 * ACCOUNTS, "allocated": 100 * ACCOUNTS,
            "brought": total, "result": 0, "moved": 0, "total": total}  # fmt: skip
    names = [f"S{n}" for n in range(100)]
    moves = [
        {"position": 1_000 * turn + n, "strategy": name, "role": "admin",
         "before": ("", "PAUSED", "ACTIVE")[min(turn, 1) + (turn > 1) * (turn % 2 == 0)],
         "after": "PAUSED" if turn % 2 == 0 else "ACTIVE"}
        for turn in range(10)
        for n, name in enumerate(names)
    ]  # fmt: skip
    states = [
        {"strategy": name, "state": "ACTIVE", "since": 0, "moves": 10, "began_state": None,
         "began_moves": 0}
        for name in names
    ]  # fmt: skip
    for path, suite, tables in (
        (home / "capital.db", capital.SUITE,
         {"pools": (capital.POOLS, [pool]), "pool_accounts": (capital.ACCOUNTS, accounts)}),
        (home / "strategies.db", strategies.SUITE,
         {"strategies": (strategies.STRATEGIES, states),
          "strategy_moves": (strategies.STRATEGY_MOVES, moves)}),
    ):  # fmt: skip
        laid = _timed(lambda path=path, tables=tables: lay_out(path, tables))
        ours = _timed(lambda path=path, suite=suite: _holds(path, suite))
        plain = _timed(lambda path=path, suite=suite: _plain(path, suite, [{"now": NOW}]))
        _row(f"{suite.name}, figures laid out in {laid * 1e3:.0f} ms", ours, plain)


def _holds(path: Path, suite: Suite) -> None:
    bad = [each for each in validate(path, suite, {"now": NOW}) if not each.passed]
    assert not bad, bad


def _records(path: Path) -> None:
    for day in range(DAYS):
        add_records(path, [_record(number, day) for number in range(ACCOUNTS)])
    bounds = {"since": 0, "head": EVENTS, "now": NOW}
    ours = _timed(lambda: validate(path, ACCOUNT_RECORDS, bounds))
    plain = _timed(lambda: _plain(path, ACCOUNT_RECORDS, [bounds]))
    _row(f"records of {ACCOUNTS:,} accounts, {DAYS} days", ours, plain)


def _record(number: int, day: int) -> AccountRecord:
    at = NOW - (DAYS - day) * 24 * HOUR
    label, before = f"day {day:03}", f"day {day - 1:03}" if day else None
    return AccountRecord(
        f"A{number:04}", label, before, at, at + 1, at + 1, False, 1 + day, "USD", 5, 5, 0, 0, 5,
        False, 0, 0, True,
    )  # fmt: skip


def _plain(path: Path, suite: Suite, bounds: Sequence[dict[str, int]]) -> None:
    """Every question of a suite as one statement each."""
    made = expectation_suite(suite)
    asked = [_statement(each, suite.rows) for each in made.expectations]
    for each in bounds:
        with closing(connect_reader(path)) as connection:
            names = ", ".join(f"{value} AS {name}" for name, value in each.items())
            connection.execute(f"CREATE TEMP TABLE bounds AS SELECT {names}")
            for statement in asked:
                connection.execute(statement).fetchall()


def _statement(each, rows: str) -> str:
    query = getattr(each, "unexpected_rows_query", None)
    if query is not None:
        return query.format(batch=f"({rows})")
    columns = getattr(each, "column_list", None) or [each.column]
    if "unique" in each.expectation_type:
        listed = ", ".join(columns)
        return f"SELECT {listed} FROM ({rows}) GROUP BY {listed} HAVING count(*) > 1 LIMIT 51"
    if "in_set" in each.expectation_type:
        known = ", ".join(f"'{value}'" for value in each.value_set)
        return f"SELECT count(*) FROM ({rows}) WHERE {columns[0]} NOT IN ({known})"
    if "null" in each.expectation_type:
        return f"SELECT count(*) FROM ({rows}) WHERE {columns[0]} IS NULL"
    return f"SELECT count(*) FROM ({rows}) WHERE {columns[0]} < {each.min_value}"


def _timed(work: Callable[[], object]) -> float:
    """Seconds of the faster of two runs."""
    times = []
    for _ in range(2):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def _row(what: str, ours: float, plain: float) -> None:
    print(f"{what:<36} {ours:8.3f} s   plain SQL {plain:8.3f} s   {ours / plain:5.1f} of it")


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


if __name__ == "__main__":
    main()
