"""Shipping: what a turn takes, and a restore that goes on from a backup with what was shipped.

The reference, in the same run: the same bytes written and flushed to the same disk.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from benchmarks.ingest import entry
from portcullis.backup.make import make
from portcullis.backup.restore import Wanted, drill, restore
from portcullis.backup.shipment import FOLDER, SHIPMENT
from portcullis.backup.shipper import Shipper
from portcullis.backup.target import Target
from portcullis.store.keys import PRIVATE_FILE
from portcullis.store.ledger import SqliteLedger
from portcullis.wiring import defaults_folder

EVENTS = 100_000
BATCH = 2_000
TURNS = 60
NOW = 1_800_000_000_000_000


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        home, target = Path(folder) / "home", Target(str(Path(folder) / "there"))
        home.mkdir()
        _append(home, 0, EVENTS)
        made = make(home, defaults_folder(), target, (), NOW).manifest
        shipper = Shipper(home, target, (), lambda: NOW)
        shipper.turn()
        end = EVENTS
        for count in (20, 1_000, 20_000):
            end = _turns(home, shipper, end, count, TURNS if count < 20_000 else 5)
        print(f"a look at what is there: {_timed(shipper.look_after) * 1e3:.0f} ms")
        found = restore(target, made, Wanted(), Path(folder) / "back", (), key=home / PRIVATE_FILE)
        print(
            f"restored to event {found.position:,} with {found.shipments} shipments: "
            f"{found.took / 1e6:.1f} s"
        )
        drilled = drill(home, target, made, (), NOW)
        print(
            f"drill: RTO {drilled.rto / 1e6:.1f} s, RPO {drilled.rpo / 1e6:.1f} s, the same state: "
            f"{drilled.same}"
        )


def _turns(home: Path, shipper: Shipper, end: int, count: int, turns: int) -> int:
    took, plain = [], []
    for _ in range(turns):
        _append(home, end, end + count)
        end += count
        took.append(_timed(shipper.turn))
        newest = max((home.parent / "there" / FOLDER).glob(f"*{SHIPMENT}"))
        data = newest.read_bytes()
        plain.append(_timed(lambda data=data: _write(home.parent / "plain", data)))
    took.sort()
    middle, slow = took[len(took) // 2], took[-1]
    floor = sorted(plain)[len(plain) // 2]
    print(
        f"a turn with {count:,} new events: median {middle * 1e3:.1f} ms, slowest "
        f"{slow * 1e3:.1f} ms; its bytes alone {floor * 1e3:.1f} ms, ratio {middle / floor:.0f}",
        flush=True,
    )
    return end


def _append(home: Path, first: int, last: int) -> None:
    ledger = SqliteLedger(home)
    for start in range(first, last, BATCH):
        ledger.append([entry(number) for number in range(start, min(start + BATCH, last))])
    ledger.close()


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _timed(work: object) -> float:
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
