"""Durable ingest: events in, on disk and acknowledged, beside what driver and disk can do alone.

All write the same events to the same disk in the same run: our ledger (encode, chain, Merkle tree,
signature, commit), `pysqlite3` inserting finished rows, and a plain file with fdatasync.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from typing import Any

from pysqlite3 import dbapi2

from portcullis.domain.events import PositionReported
from portcullis.errors import StoreError
from portcullis.ports import Entry
from portcullis.store.database import AUTOCHECKPOINT_PAGES
from portcullis.store.ledger import SqliteLedger
from portcullis.store.memory import MemoryLedger
from portcullis.store.writer import GroupCommit

EVENTS = 100_000
ACCOUNTS = 100
COMMITS = 500
PACE = 20_000
START = 1_700_000_000_000_000

Write = Callable[[int, int], object]


def main() -> None:
    entries = [entry(number) for number in range(EVENTS)]
    memory = MemoryLedger()
    started = time.perf_counter()
    memory.append(entries)
    print(
        f"without a disk (encode, chain, tree): {EVENTS / (time.perf_counter() - started):,.0f}/s"
    )
    rows = [tuple(row) for row in memory.read()]

    @contextmanager
    def ledger(folder: Path) -> Iterator[Write]:
        ours = SqliteLedger(folder)
        yield lambda first, end: ours.append(entries[first:end])
        ours.close()

    @contextmanager
    def driver(folder: Path) -> Iterator[Write]:
        connection = _bare_table(folder / "bare.db")

        def write(first: int, end: int) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(f"INSERT INTO events VALUES ({'?,' * 9}?)", rows[first:end])
            connection.execute("COMMIT")

        yield write
        connection.close()

    @contextmanager
    def file(folder: Path) -> Iterator[Write]:
        with (folder / "bare.log").open("ab", buffering=0) as log:

            def write(first: int, end: int) -> None:
                log.write(b"".join(b"".join(row[7:]) for row in rows[first:end]))
                os.fdatasync(log.fileno())

            yield write

    _compare({"ledger": ledger, "pysqlite3": driver, "file": file})
    _grouped(entries)
    _paced(entries)


def entry(number: int) -> Entry:
    account = f"{number % ACCOUNTS:05}"
    event = PositionReported(account, "CON.F.US.EP.Z26", number % 7 - 3, 23_456_250_000, START)
    return Entry(f"account/{account}", START + number, f"{number:016x}", event)


def _bare_table(path: Path) -> dbapi2.Connection:
    connection = dbapi2.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(f"PRAGMA wal_autocheckpoint={AUTOCHECKPOINT_PAGES}")
    connection.execute(
        "CREATE TABLE events (position INTEGER PRIMARY KEY, stream TEXT, seq INTEGER, at INTEGER, "
        "kind TEXT, version INTEGER, trace TEXT, payload BLOB, previous BLOB, hash BLOB, "
        "UNIQUE (stream, seq))"
    )
    return connection


def _compare(ways: dict[str, Callable[[Path], Any]]) -> None:
    print("\nevents/s, and one commit's p50 and p99 in ms")
    for size in (1, 10, 100, 1_000):
        commits = min(COMMITS, EVENTS // size)
        figures = {}
        for name, way in ways.items():
            with tempfile.TemporaryDirectory(dir=".") as folder, way(Path(folder)) as write:
                times = [_timed(write, n * size, (n + 1) * size) for n in range(commits)]
            cuts = quantiles(times, n=100)
            figures[name] = commits * size / sum(times)
            print(
                f"{size:>6} in a commit  {name:<10} {figures[name]:>10,.0f}/s"
                f"   p50 {cuts[49] * 1e3:6.2f}   p99 {cuts[98] * 1e3:6.2f}"
            )
        ours = figures["ledger"]
        print(
            f"{'ledger is':>22} {ours / figures['pysqlite3']:.2f} of the driver alone, "
            f"{ours / figures['file']:.2f} of the file"
        )


def _timed(write: Write, first: int, end: int) -> float:
    started = time.perf_counter()
    write(first, end)
    return time.perf_counter() - started


def _grouped(entries: list[Entry]) -> None:
    """The worker's way: submissions of twenty, the thread groups what waits."""
    done: list[StoreError | None] = []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        ledger = SqliteLedger(Path(folder))
        started = time.perf_counter()
        writer = GroupCommit(ledger)
        for first in range(0, EVENTS, 20):
            writer.submit(entries[first : first + 20], done.append)
        writer.close()
        rate = EVENTS / (time.perf_counter() - started)
        ledger.close()
    assert len(done) == EVENTS // 20
    assert not any(done)
    print(f"\ngroup commit, submitted in twenties as fast as it takes them: {rate:,.0f} events/s")


def _paced(entries: list[Entry]) -> None:
    """Submissions of twenty at a steady rate: how long each waits until it is durable."""
    laps: list[float] = []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        ledger = SqliteLedger(Path(folder))
        writer = GroupCommit(ledger)
        begun = time.perf_counter()
        for first in range(0, EVENTS, 20):
            due = begun + first / PACE
            while (left := due - time.perf_counter()) > 0:
                time.sleep(left)
            writer.submit(
                entries[first : first + 20],
                lambda _, due=due: laps.append(time.perf_counter() - due),  # type: ignore[misc]
            )
        writer.close()
        ledger.close()
    cuts = quantiles(laps, n=100)
    print(
        f"at {PACE:,} events/s, from due to acknowledged: p50 {cuts[49] * 1e3:.2f} ms, "
        f"p99 {cuts[98] * 1e3:.2f} ms   target p99 5 ms"
    )


if __name__ == "__main__":
    main()
