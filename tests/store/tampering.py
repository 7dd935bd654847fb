"""A ledger to tamper with, the tampering, and the look afterwards."""

from __future__ import annotations

from pathlib import Path

from pysqlite3 import dbapi2

from portcullis.ports import Snapshot
from portcullis.store.chain import SEGMENT_EVENTS
from portcullis.store.database import LEDGER_FILE
from portcullis.store.keys import load_verifier
from portcullis.store.ledger import SqliteLedger
from portcullis.store.verify import Verification, verify
from tests.conformance.ledger import concluded, issued, position

SMALL = 120
LARGE = SEGMENT_EVENTS + 500


def fill(home: Path, count: int) -> None:
    ledger = SqliteLedger(home)
    ledger.append([issued("open"), issued("done"), concluded("done")])
    for first in range(3, count, 4_000):
        ledger.append([position("ABC"[n % 3], n) for n in range(first, min(first + 4_000, count))])
        ledger.save_snapshot(Snapshot(ledger.head().position, 1, 1, b"state"))
        ledger.checkpoint()
    ledger.close()


def attack(home: Path, *statements: str) -> Verification:
    """Change the file as somebody with write access would, then verify it."""
    connection = dbapi2.connect(home / LEDGER_FILE, isolation_level=None)
    connection.execute("DROP TRIGGER IF EXISTS events_no_delete")
    connection.execute("DROP TRIGGER IF EXISTS events_no_update")
    for statement in statements:
        connection.execute(statement)
    connection.close()
    return check(home)


def check(home: Path, **how) -> Verification:
    return verify(home / LEDGER_FILE, load_verifier(home / "ledger.pub"), **how)
