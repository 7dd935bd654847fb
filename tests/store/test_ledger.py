"""The ledger on disk: conformance, opening again, one writer, and what it refuses."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pysqlite3 import dbapi2

from portcullis.errors import LedgerBroken, StoreError, StoreLocked, StoreTooNew
from portcullis.ports import Snapshot
from portcullis.store import tables
from portcullis.store.chain import SEGMENT_EVENTS
from portcullis.store.database import INBOX_FILE, LEDGER_FILE, check_sqlite
from portcullis.store.inbox import SqliteInbox
from portcullis.store.ledger import SNAPSHOTS_KEPT, SqliteLedger
from portcullis.store.memory import MemoryLedger
from tests.conformance import ledger as conformance
from tests.conformance.ledger import issued, position


@pytest.mark.parametrize("case", conformance.CASES, ids=conformance.name_of)
def test_conforms(case: conformance.Case, tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    case(ledger)
    ledger.close()


def test_opened_again_it_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = MemoryLedger()
    entries = [position("ABC"[n % 3], n) for n in range(SEGMENT_EVENTS + 500)]
    for first in range(0, len(entries), 3_500):
        part = entries[first : first + 3_500]
        ledger = SqliteLedger(tmp_path)
        assert ledger.head() == whole.head()
        assert ledger.last_at() == whole.last_at()
        assert ledger.append(part) == whole.append(part)
        ledger.close()
    ledger = SqliteLedger(tmp_path)
    assert list(ledger.read()) == list(whole.read())
    ledger.close()


def test_the_outbox_and_snapshots_survive(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.append([issued("k1"), position("A", 1)])
    for number in range(SNAPSHOTS_KEPT + 5):
        ledger.append([position("A", number)])
        ledger.save_snapshot(Snapshot(ledger.head().position, 1, 1, b"state %d" % number))
    newest = ledger.latest_snapshot()
    ledger.close()
    ledger = SqliteLedger(tmp_path)
    assert [command.key for command in ledger.pending()] == ["k1"]
    assert ledger.latest_snapshot() == newest
    ledger.close()
    with dbapi2.connect(tmp_path / LEDGER_FILE) as connection:
        (count,) = connection.execute("SELECT count(*) FROM snapshots").fetchone()
    assert count == SNAPSHOTS_KEPT


def test_a_forged_snapshot_is_passed_over(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.append([position("A", n) for n in range(5)])
    ledger.save_snapshot(Snapshot(3, 1, 1, b"true"))
    ledger.save_snapshot(Snapshot(5, 1, 1, b"true too"))
    ledger.close()
    with dbapi2.connect(tmp_path / LEDGER_FILE) as connection:
        connection.execute("UPDATE snapshots SET state = x'00' WHERE position = 5")
    ledger = SqliteLedger(tmp_path)
    assert ledger.latest_snapshot() == Snapshot(3, 1, 1, b"true")
    ledger.close()


def test_the_key_is_the_owners_alone_and_made_once(tmp_path: Path) -> None:
    SqliteLedger(tmp_path).close()
    key = tmp_path / "ledger.key"
    before = key.read_bytes()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    SqliteLedger(tmp_path).close()
    assert key.read_bytes() == before


def test_a_second_writer_is_refused_with_the_holders_pid(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    with pytest.raises(StoreLocked, match=f"process {os.getpid()}") as caught:
        SqliteLedger(tmp_path)
    assert str(os.getpid()) in caught.value.remedy
    ledger.append([position("A", 1)])
    ledger.close()
    SqliteLedger(tmp_path).close()


def test_a_writer_that_lost_its_epoch_cannot_commit(tmp_path: Path) -> None:
    """The lock file was removed by hand: two writers, of which the older must stop."""
    old = SqliteLedger(tmp_path)
    old.append([position("A", 1)])
    (tmp_path / "ledger.lock").unlink()
    new = SqliteLedger(tmp_path)
    for write in (
        lambda: old.append([position("A", 2)]),
        lambda: old.save_snapshot(Snapshot(1, 1, 1, b"")),
        old.checkpoint,
    ):
        with pytest.raises(StoreError, match="another writer"):
            write()
    assert old.broken
    assert new.append([position("A", 3)]).position == 2
    assert [row.at - conformance.AT for row in new.read()] == [1, 3]
    old.close()
    new.close()


def test_events_are_append_only_for_a_slip_of_the_hand(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.append([position("A", 1)])
    ledger.close()
    connection = dbapi2.connect(tmp_path / LEDGER_FILE)
    for statement in ("UPDATE events SET at = 1", "DELETE FROM events"):
        with pytest.raises(dbapi2.IntegrityError, match="append-only"):
            connection.execute(statement)
    connection.close()


def test_a_cut_or_grown_tail_is_refused_at_open(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.append([position("A", n) for n in range(120)])
    ledger.close()
    _as_attacker(tmp_path, "DELETE FROM events WHERE position > 100")
    with pytest.raises(LedgerBroken, match=r"events 101\.\.120 are missing") as caught:
        SqliteLedger(tmp_path)
    assert caught.value.position == 101


def test_a_head_that_was_moved_back_is_refused_at_open(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.append([position("A", n) for n in range(120)])
    ledger.close()
    _as_attacker(tmp_path, "UPDATE head SET position = 100")
    with pytest.raises(LedgerBroken):
        SqliteLedger(tmp_path)
    _as_attacker(tmp_path, "DELETE FROM events WHERE position > 100")
    with pytest.raises(LedgerBroken, match="signature"):
        SqliteLedger(tmp_path)


def _as_attacker(home: Path, *statements: str) -> None:
    with dbapi2.connect(home / LEDGER_FILE) as connection:
        connection.execute("DROP TRIGGER IF EXISTS events_no_delete")
        connection.execute("DROP TRIGGER IF EXISTS events_no_update")
        for statement in statements:
            connection.execute(statement)
    connection.close()


# --- what cannot be opened ----------------------------------------------------------------------


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    SqliteLedger(tmp_path).close()
    SqliteInbox(tmp_path).close()
    for name in (LEDGER_FILE, INBOX_FILE):
        with dbapi2.connect(tmp_path / name) as connection:
            connection.execute("UPDATE alembic_version SET version_num = 'from_the_future'")
    with pytest.raises(StoreTooNew, match="from_the_future") as caught:
        SqliteLedger(tmp_path)
    assert "install the newer version" in caught.value.remedy
    with pytest.raises(StoreTooNew):
        SqliteInbox(tmp_path)


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / LEDGER_FILE).write_text("a shopping list, long enough to be looked at " * 100)
    with pytest.raises(StoreError, match=LEDGER_FILE) as caught:
        SqliteLedger(tmp_path)
    assert "backup" in caught.value.remedy


def test_a_database_of_others_is_refused(tmp_path: Path) -> None:
    with dbapi2.connect(tmp_path / LEDGER_FILE) as connection:
        connection.execute("CREATE TABLE shopping (item TEXT)")
    with pytest.raises(StoreError, match="not one of this program"):
        SqliteLedger(tmp_path)


def test_a_torn_file_is_refused(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    ledger.append([position("A", n) for n in range(1_000)])
    ledger.close()
    file = tmp_path / LEDGER_FILE
    data = bytearray(file.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    file.write_bytes(data)
    with pytest.raises(StoreError, match=LEDGER_FILE):
        SqliteLedger(tmp_path)


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere") as caught:
        SqliteLedger(tmp_path / "nowhere")
    assert "create the directory" in caught.value.remedy
    with pytest.raises(StoreError, match="nowhere"):
        SqliteInbox(tmp_path / "nowhere")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError):
        SqliteLedger(tmp_path)
    tmp_path.chmod(0o700)


def test_a_lost_or_foreign_key_is_refused(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    for home in (ours, other):
        home.mkdir()
        SqliteLedger(home).close()
    shutil.copy(other / "ledger.key", ours / "ledger.key")
    with pytest.raises(StoreError, match="key of another ledger"):
        SqliteLedger(ours)
    (ours / "ledger.key").unlink()
    with pytest.raises(StoreError, match=r"ledger\.key"):
        SqliteLedger(ours)
    (ours / "ledger.key").write_text("no key")
    with pytest.raises(StoreError, match="cannot be read"):
        SqliteLedger(ours)


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 0), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 4), False),
    ],
)
def test_affected_versions_of_sqlite_are_refused(version: tuple[int, ...], affected: bool) -> None:
    if affected:
        with pytest.raises(StoreError, match=r"SQLite 3\.\d+\.\d+"):
            check_sqlite(version)
    else:
        check_sqlite(version)


@pytest.mark.parametrize(
    ("store", "file", "metadata"),
    [(SqliteLedger, LEDGER_FILE, tables.ledger), (SqliteInbox, INBOX_FILE, tables.inbox)],
)
def test_the_migrations_give_the_tables(store, file: str, metadata, tmp_path: Path) -> None:
    store(tmp_path).close()
    engine = sa.create_engine(f"sqlite:///{tmp_path / file}", module=dbapi2)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        strict = connection.exec_driver_sql(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND NOT strict "
            "AND name NOT LIKE 'sqlite_%' AND name <> 'alembic_version'"
        )
        assert strict.all() == []
    engine.dispose()
