"""Durable ingest into PostgreSQL, beside COPY of the same finished rows into a bare table.

Both write the same events to the same server in the same run: our ledger (encode, chain, Merkle
tree, signature, the head's row, COPY, commit), and binary COPY alone, one commit each. The server
is one of its own, with its real syncs, on a socket; without PostgreSQL installed it says so.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles

from benchmarks.ingest import EVENTS, entry
from portcullis.config.settings import Settings
from portcullis.errors import StoreError
from portcullis.store.keys import load_verifier
from portcullis.store.memory import MemoryLedger
from portcullis.store.opening import open_ledger, place_of
from portcullis.store.postgres.place import COLUMN_TYPES
from portcullis.store.verify import verify_place
from portcullis.store.writer import GroupCommit
from tests.postgres.server import Server, programs

COMMITS = 200
TARGET = 30_000
BARE = """
CREATE TABLE bare (position int8 PRIMARY KEY, stream text, seq int8, at int8, kind text,
version int8, trace text, payload bytea, previous bytea, hash bytea)
"""


def main() -> None:
    found = programs()
    if found is None:
        print("no PostgreSQL server is installed here: nothing was measured")
        return
    server = Server(found)
    try:
        _measure(server)
    finally:
        server.remove()


def _measure(server: Server) -> None:
    entries = [entry(number) for number in range(EVENTS)]
    memory = MemoryLedger()
    memory.append(entries)
    rows = [tuple(row) for row in memory.read()]
    print("events/s, and one commit's p50 and p99 in ms")
    with tempfile.TemporaryDirectory(dir=".") as home, server.connect("postgres") as bare:
        settings = Settings(home=home, store_url=server.empty_database())
        ledger = open_ledger(settings)
        bare.execute(BARE)

        def copied(first: int, end: int) -> None:
            statement = "COPY bare FROM STDIN (FORMAT BINARY)"
            with bare.transaction(), bare.cursor() as cursor, cursor.copy(statement) as copy:
                copy.set_types(COLUMN_TYPES)
                for row in rows[first:end]:
                    copy.write_row(row)

        start = 0
        for size in (1, 10, 100, 1_000):
            count = min(COMMITS, (EVENTS - start) // size)
            figures = {}
            for name, write in (
                ("ledger", lambda first, end: ledger.append(entries[first:end])),
                ("COPY", copied),
            ):
                figures[name] = _timed(name, write, start, size, count)
            start += count * size
            print(f"{'ledger is':>22} {figures['ledger'] / figures['COPY']:.2f} of COPY alone")
            if start + 1_000 > EVENTS:
                start = 0
        _grouped(ledger, entries)
        ledger.close()
        public = load_verifier(Path(home) / "ledger.pub")
        started = time.perf_counter()
        verified = verify_place(place_of(settings), public)
        rate = verified.events / (time.perf_counter() - started)
        print(f"verified where it is, every row: {rate:,.0f} events/s ({verified})")


def _timed(
    name: str, write: Callable[[int, int], object], start: int, size: int, count: int
) -> float:
    times = []
    for first in range(start, start + count * size, size):
        began = time.perf_counter()
        write(first, first + size)
        times.append(time.perf_counter() - began)
    cuts = quantiles(times, n=100)
    rate = count * size / sum(times)
    print(
        f"{size:>6} in a commit  {name:<10} {rate:>10,.0f}/s"
        f"   p50 {cuts[49] * 1e3:6.2f}   p99 {cuts[98] * 1e3:6.2f}"
    )
    return rate


def _grouped(ledger: object, entries: list) -> None:
    """The worker's way: submissions of twenty, the thread groups what waits."""
    done: list[StoreError | None] = []
    writer = GroupCommit(ledger)  # type: ignore[arg-type]
    started = time.perf_counter()
    for first in range(0, EVENTS, 20):
        writer.submit(entries[first : first + 20], done.append)
    writer.close()
    rate = EVENTS / (time.perf_counter() - started)
    assert not any(done)
    print(f"\ngroup commit, submitted in twenties: {rate:,.0f} events/s   target {TARGET:,}/s")


if __name__ == "__main__":
    main()
