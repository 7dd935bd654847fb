"""Reading beside a writer: filters, order, and never in its way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pysqlite3 import dbapi2

from portcullis.domain.events import TimePassed
from portcullis.errors import StoreError, StoreTooNew
from portcullis.ports import Snapshot
from portcullis.store.database import LEDGER_FILE
from portcullis.store.keys import load_verifier
from portcullis.store.ledger import SqliteLedger
from portcullis.store.note import Checkpoint
from portcullis.store.reading import EventFilter, LedgerReader, OutboxRow
from tests.conformance.ledger import AT, concluded, entry, issued, position


@pytest.fixture
def ledger(tmp_path: Path):
    opened = SqliteLedger(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def reader(ledger: SqliteLedger, tmp_path: Path):
    with LedgerReader(tmp_path) as opened:
        yield opened


def positions(reader: LedgerReader, where: EventFilter | None = None, **how) -> list[int]:
    return [row.position for row in reader.events(where or EventFilter(), **how)]


def test_it_sees_what_is_durable_and_nothing_else(ledger, reader) -> None:
    assert reader.head() == ledger.head()
    ledger.append([position("A", 1), issued("k1"), issued("k2")])
    ledger.append([concluded("k1")])
    ledger.save_snapshot(Snapshot(4, AT, 1, b"state"))
    assert reader.head() == ledger.head()
    assert reader.last_at() == ledger.last_at()
    assert list(reader.events()) == list(ledger.read())
    assert reader.pending() == ledger.pending()
    assert reader.latest_snapshot() == ledger.latest_snapshot()
    assert list(reader.outbox()) == [
        OutboxRow("k2", "A", 3, None, None),
        OutboxRow("k1", "A", 2, "confirmed", 4),
    ]


def test_the_head_can_be_taken_out_as_a_signed_note(ledger, reader, tmp_path) -> None:
    ledger.append([position("A", 1)])
    note = reader.checkpoint()
    assert note == ledger.checkpoint()
    stated = Checkpoint.parse(load_verifier(tmp_path / "ledger.pub").open(note))
    assert (stated.position, stated.root) == ledger.head()


def test_filters_narrow(ledger, reader) -> None:
    ledger.append([position("AB"[n % 2], n) for n in range(6)])
    ledger.append([entry(TimePassed(), AT + 6, "t1"), entry(TimePassed(), AT + 7, "t2")])
    assert positions(reader, EventFilter(stream="account/B")) == [2, 4, 6]
    assert positions(reader, EventFilter(kinds=("time_passed",))) == [7, 8]
    assert len(positions(reader, EventFilter(kinds=("time_passed", "position_reported")))) == 8
    assert positions(reader, EventFilter(trace="t2")) == [8]
    assert positions(reader, EventFilter(trace="")) == [1, 2, 3, 4, 5, 6]
    assert positions(reader, EventFilter(since=AT + 5)) == [6, 7, 8]
    assert positions(reader, EventFilter(since=AT + 1, until=AT + 3)) == [2, 3]
    assert positions(reader, EventFilter(stream="account/A", since=AT + 1)) == [3, 5]
    assert positions(reader, after=6) == [7, 8]
    assert positions(reader, EventFilter(stream="account/A"), after=1, through=4) == [3]
    assert positions(reader, EventFilter(stream="account/C")) == []
    assert positions(reader, EventFilter(trace="'; DROP TABLE events; --")) == []


@pytest.mark.parametrize("where", [EventFilter(), EventFilter(stream="account/A")])
def test_both_orders_go_through_every_chunk(ledger, reader, where) -> None:
    ledger.append([position("AB"[n % 3 == 0], n) for n in range(7_000)])
    forward = positions(reader, where)
    assert forward == sorted(forward)
    assert positions(reader, where, newest_first=True) == forward[::-1]
    inside = positions(reader, where, after=3_000, through=6_500, newest_first=True)
    assert inside == [p for p in forward[::-1] if 3_000 < p <= 6_500]


def test_a_slow_reader_does_not_hold_up_the_writer(ledger, reader, tmp_path) -> None:
    ledger.append([position("A", n) for n in range(5_000)])
    slow = reader.events()
    assert next(slow).position == 1
    for _ in range(20):
        ledger.append([position("A", n) for n in range(500)])
    ledger.tidy()
    assert (tmp_path / f"{LEDGER_FILE}-wal").stat().st_size == 0
    assert sum(1 for _ in slow) == 4_999  # up to where it ended when the reading began


def test_it_cannot_write(reader) -> None:
    with pytest.raises(dbapi2.OperationalError, match="readonly"):
        reader._connection.connection.driver_connection.execute("DELETE FROM head")


def test_it_reads_a_copy_without_a_writer(ledger, tmp_path) -> None:
    ledger.append([position("A", 1)])
    ledger.close()
    with LedgerReader(tmp_path) as reader:
        assert reader.head().position == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_it_reads_a_medium_that_cannot_be_written(ledger, tmp_path) -> None:
    ledger.append([position("A", 1)])
    ledger.close()
    tmp_path.chmod(0o500)
    try:
        with LedgerReader(tmp_path) as reader:
            assert reader.head().position == 1
    finally:
        tmp_path.chmod(0o700)


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such file"):
        LedgerReader(tmp_path)
    (tmp_path / LEDGER_FILE).write_bytes(b"")
    with pytest.raises(StoreError, match="no ledger has been begun"):
        LedgerReader(tmp_path)
    (tmp_path / LEDGER_FILE).write_bytes(b"no database " * 1_000)
    with pytest.raises(StoreError, match="not a database"):
        LedgerReader(tmp_path)


def test_a_newer_schema_is_refused(ledger, tmp_path) -> None:
    ledger.close()
    with dbapi2.connect(tmp_path / LEDGER_FILE) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'later'")
    with pytest.raises(StoreTooNew, match="later"):
        LedgerReader(tmp_path)
