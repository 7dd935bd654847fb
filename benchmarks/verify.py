"""Verification: the whole ledger, the newest segment, what is new; beside sha256 alone.

The references run over the same bytes in the same run: sha256 over each event's canonical bytes
(nothing can verify with less), and reading the rows without looking at them.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from benchmarks.ingest import entry
from portcullis.store.chain import SEGMENT_EVENTS, event_hash
from portcullis.store.database import LEDGER_FILE, driver_of, open_reader
from portcullis.store.keys import load_verifier
from portcullis.store.ledger import SqliteLedger
from portcullis.store.place import EVENT_COLUMNS
from portcullis.store.verify import verify
from portcullis.store.walk import Walk

EVENTS = 100_000
NEW = 1_000


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        home = Path(folder)
        ledger = SqliteLedger(home)
        for first in range(0, EVENTS, 2_000):
            ledger.append([entry(number) for number in range(first, first + 2_000)])
        rows = read_rows(home)
        _compare(home, rows)
        mark = _verified(home, None)
        ledger.append([entry(number) for number in range(NEW)])
        took = timed(lambda: _verified(home, mark))
        print(f"incremental, {NEW} new events of {EVENTS + NEW}: {took * 1e3:.1f} ms")
        ledger.close()


def _compare(home: Path, rows: list[tuple]) -> None:
    canonical = [b"".join((b"\0" * 45, *row[1:2], *row[4:5], row[7], row[8])) for row in rows]
    alone = timed(lambda: [sha256(data).digest() for data in canonical])
    _row("sha256 alone", alone, alone)
    _row("hash of every row", timed(lambda: [event_hash(*row[:-1]) for row in rows]), alone)
    _row("chain and tree, rows in memory", timed(lambda: _walk(rows)), alone)
    _row("reading the rows", timed(lambda: read_rows(home)), alone)
    _row("the whole file", timed(lambda: _verified(home, None)), alone)
    segment = timed(lambda: _walk(rows[:SEGMENT_EVENTS]))
    print(f"one segment of {SEGMENT_EVENTS} events: {segment * 1e3:.1f} ms")


def _row(what: str, took: float, alone: float) -> None:
    print(f"{what:<32} {EVENTS / took:>12,.0f} events/s   {alone / took:5.2f} of sha256 alone")


def _walk(rows: list[tuple]) -> None:
    walk = Walk(lambda *_: None)
    for first in range(0, len(rows), 2_000):
        assert walk.over(rows[first : first + 2_000]) is None


def _verified(home: Path, since):
    found = verify(home / LEDGER_FILE, load_verifier(home / "ledger.pub"), since=since)
    assert found.ok, found
    return found.mark


def read_rows(home: Path) -> list[tuple]:
    with open_reader(home / LEDGER_FILE).connect() as connection:
        driver = driver_of(connection)
        driver.text_factory = bytes
        return driver.execute(f"SELECT {EVENT_COLUMNS} FROM events ORDER BY position").fetchall()


def timed(work: Callable[[], object]) -> float:
    """Seconds of the fastest of three runs."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


if __name__ == "__main__":
    main()
