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
from checks.ledger_rows import Watermark, Window, Work, windows
from checks.record_store import AccountRecord, add_records
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
