"""From exec to armed: a process that imports the worker, opens the ledger and folds what is new.

1,000 accounts under fourteen rules. A worker takes a snapshot every 20,000 events, so that is what
a kill leaves at most; 100,000 are left where four snapshots failed. The reference, in the same run:
the imports alone, and the same start with nothing new.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ACCOUNTS = 1_000
NEW = (0, 20_000, 100_000)
BATCH = 2_000


def main(arguments: list[str]) -> None:
    if arguments:
        _start(Path(arguments[0]), float(arguments[1]))
        return
    print(f"{'new events':>12}   imports   opened   armed   folded   after exec, s; target 1.5 s")
    for new in NEW:
        with tempfile.TemporaryDirectory(dir=".") as folder:
            _prepare(Path(folder), new)
            subprocess.run(
                [sys.executable, "-m", "benchmarks.restart", folder, str(time.time())], check=True
            )


def _start(home: Path, begun: float) -> None:
    gc.disable()  # as the command line does
    import portcullis.wiring  # noqa: F401 - what a worker imports

    imported = time.time() - begun
    from portcullis.store.ledger import SqliteLedger
    from portcullis.worker.recovery import recover

    ledger = SqliteLedger(home)
    opened = time.time() - begun
    recovered = recover(ledger)
    armed = time.time() - begun
    new = ledger.head().position - recovered.snapshot_position
    ledger.close()
    print(f"{new:>12,} {imported:9.2f} {opened:8.2f} {armed:7.2f} {recovered.folded:>8,}")


def _prepare(home: Path, new: int) -> None:
    """A ledger whose newest snapshot is `new` events old."""
    from benchmarks._field import Field
    from portcullis.domain.events import AnyFact, stream_of
    from portcullis.domain.state import STATE_VERSION, freeze
    from portcullis.ports import Entry, Snapshot
    from portcullis.store.ledger import SqliteLedger

    ledger, waiting = SqliteLedger(home), list[Entry]()

    class Kept(Field):
        def enter(self, fact: AnyFact) -> None:
            waiting.append(Entry(stream_of(fact), self.now, "bench", fact))
            super().enter(fact)

    def keep(*, all_of_it: bool = True) -> None:
        if all_of_it or len(waiting) >= BATCH:
            ledger.append(waiting)
            waiting.clear()

    field = Kept(ACCOUNTS)
    keep()
    for _, fact in field.facts(BATCH):
        field.enter(fact)
    keep()
    field.position = ledger.head().position
    ledger.save_snapshot(
        Snapshot(field.position, field.now, STATE_VERSION, freeze(field.engine.state))
    )
    for _, fact in field.facts(new):
        field.enter(fact)
        keep(all_of_it=False)
    if waiting:
        keep()
    ledger.close()


if __name__ == "__main__":
    main(sys.argv[1:])
