"""A process that writes and says what is durable, made to be killed.

    python -m tests.store.writing_process HOME ENTRIES_PER_SUBMISSION [SERVER]

Each line it prints is a position: everything up to it was acknowledged. Entry n carries n, so that
what is found afterwards can be compared with what was submitted.
"""

from __future__ import annotations

import os
import sys
from functools import partial

from portcullis.config.settings import Settings
from portcullis.errors import StoreError
from portcullis.ports import Snapshot
from portcullis.store.opening import open_ledger
from portcullis.store.writer import GroupCommit
from tests.conformance.ledger import position

ENTRIES = 500_000  # ends by itself after this many, should nobody kill it


def main(home: str, each: int, url: str = "") -> int:
    ledger = open_ledger(Settings(home=home, store_url=url))
    writer = GroupCommit(ledger, on_idle=ledger.tidy)
    failures: list[str] = []

    def said(last: int, error: StoreError | None) -> None:
        if error is None:
            os.write(1, b"%d\n" % last)
        else:
            failures.append(f"{error} | {error.remedy}")

    while writer.next_position < ENTRIES and not failures:
        first = writer.next_position
        batch = [position("ABC"[n % 3], n) for n in range(first, first + each)]
        last = first + each - 1
        try:
            writer.submit(batch, partial(said, last))
            if first % 500 < each and first > each:
                durable = ledger.head().position
                ledger.save_snapshot(Snapshot(durable, 1, 1, b"state"))
                ledger.checkpoint()
        except StoreError as error:
            failures.append(f"{error} | {error.remedy}")
    writer.close()
    print("\n".join(failures[:1]), file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
