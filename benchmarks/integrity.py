"""The hourly and the weekly integrity check over a million events, and retiring half of them.

The reference, in the same run: the chain's verification alone, without deriving decisions again.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.ingest import entry
from portcullis.backup.archive import archive
from portcullis.backup.target import Target
from portcullis.store.database import LEDGER_FILE
from portcullis.store.keys import load_verifier
from portcullis.store.ledger import SqliteLedger
from portcullis.store.verify import verify

EVENTS = 1_000_000
NEW = 10_000
BATCH = 2_000
NOW = 1_800_000_000_000_000


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        home = Path(folder)
        _append(home, 0, EVENTS)
        public = load_verifier(home / "ledger.pub")
        began = time.perf_counter()
        mark = verify(home / LEDGER_FILE, public).mark
        chain = time.perf_counter() - began
        _row(f"full, {EVENTS:,} events", _checked(home, "--full"), chain)
        _append(home, EVENTS, EVENTS + NEW)
        began = time.perf_counter()
        verify(home / LEDGER_FILE, public, since=mark)
        chain = time.perf_counter() - began
        _row(f"increment, {NEW:,} events", _checked(home), chain)
        _retire(home)


def _retire(home: Path) -> None:
    half = EVENTS // 2
    began = time.perf_counter()
    made = archive(home, Target(str(home / "there")), (), half, NOW)
    took = time.perf_counter() - began
    print(f"{len(made)} segments archived and read back: {took:.1f} s")
    body, took, memory = _derived(home, half)
    print(f"a base of {half:,} events derived: {took:.1f} s, {memory:.0f} MB, {len(body):,} bytes")
    ledger = SqliteLedger(home)
    began = time.perf_counter()
    ledger.begin_at(body)
    print(f"checked, signed and put in force: {time.perf_counter() - began:.2f} s")
    slowest = 0.0
    began = time.perf_counter()
    while True:
        each = time.perf_counter()
        if not ledger.drop_retired(500):
            break
        slowest = max(slowest, time.perf_counter() - each)
    took = time.perf_counter() - began
    print(f"dropped, 500 at a time: {took:.1f} s, the slowest {slowest * 1e3:.1f} ms")
    ledger.close()
    found = verify(home / LEDGER_FILE, load_verifier(home / "ledger.pub"))
    print(f"the rest {found}")


def _derived(home: Path, through: int) -> tuple[bytes, float, float]:
    began = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-m", "portcullis.worker.deriving", str(home), str(through)],
        capture_output=True,
        check=True,
    )
    return ended.stdout, time.perf_counter() - began, _children_mb()


def _checked(home: Path, *options: str) -> float:
    """Seconds of a check in a process of its own, as the flow runs it."""
    began = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-m", "checks.log_integrity", *options],
        env={**os.environ, "PORTCULLIS_HOME": str(home)},
        capture_output=True,
        check=True,
    )
    assert b'"PASS"' in ended.stdout, ended.stdout
    return time.perf_counter() - began


def _append(home: Path, first: int, last: int) -> None:
    ledger = SqliteLedger(home)
    for start in range(first, last, BATCH):
        ledger.append([entry(number) for number in range(start, start + BATCH)])
    ledger.tidy()
    ledger.close()


def _children_mb() -> float:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def _row(what: str, ours: float, chain: float) -> None:
    print(
        f"{what}: {ours:.1f} s, {_children_mb():.0f} MB at most; the chain alone {chain:.1f} s, "
        f"ratio {ours / chain:.1f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
