"""What is particular to a store on a server: one writer, the fence, errors with a remedy."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import msgspec
import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.pool import NullPool

from portcullis.backup.server_copy import copy_server
from portcullis.config.settings import Settings
from portcullis.errors import ConfigError, StoreError, StoreLocked, StoreTooNew, UsageError
from portcullis.ports import Entry, Snapshot
from portcullis.store import ledger as ledgers
from portcullis.store import tables
from portcullis.store.base import Base
from portcullis.store.keys import PRIVATE_FILE, load_verifier
from portcullis.store.merkle import Tree
from portcullis.store.opening import has_ledger, open_inbox, open_ledger, open_reader, place_of
from portcullis.store.place import INBOX, LEDGER
from portcullis.store.postgres import driver
from portcullis.store.verify import verify_place
from tests.conformance.ledger import concluded, issued, position


def run(settings: Settings, *statements: str) -> list[tuple]:
    """As the server's owner could, past the program."""
    url = settings.store_url.replace("portcullis@", "postgres@")
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            done = connection.execute(statement)
        return done.fetchall() if done.description else []


def with_url(settings: Settings, old: str, new: str) -> Settings:
    return msgspec.structs.replace(settings, store_url=settings.store_url.replace(old, new))


# --- the same ledger again ------------------------------------------------------------------------


def test_it_goes_on_where_it_ended(settings) -> None:
    ledger = open_ledger(settings)
    ledger.append([issued("k1"), position("A", 1)])
    ledger.save_snapshot(Snapshot(2, 9, 1, b"state"))
    note, head = ledger.checkpoint(), ledger.head()
    ledger.close()
    ledger.close()
    again = open_ledger(settings)
    assert again.head() == head
    assert [each.key for each in again.pending()] == ["k1"]
    assert again.latest_snapshot() == Snapshot(2, 9, 1, b"state")
    again.append([concluded("k1"), position("A", 2)])
    assert [row.seq for row in again.read(stream="account/A")] == [1, 2, 3, 4]
    again.close()
    with open_reader(settings) as reader:
        assert reader.checkpoints() == {2: note}
        assert reader.head().position == 4
        assert [row.outcome for row in reader.outbox()] == ["confirmed"]
        assert reader.first_since(position("A", 2).at) == 4


def test_a_reader_sees_new_events_and_cannot_write(settings) -> None:
    ledger = open_ledger(settings)
    with open_reader(settings) as reader:
        ledger.append([position("A", 1)])
        assert [row.position for row in reader.read()] == [1]
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            reader._connection.connection.driver_connection.execute("DELETE FROM head")
    ledger.close()


def test_there_is_none_before_it_is_begun(settings) -> None:
    assert not has_ledger(settings)
    with pytest.raises(StoreError, match="no ledger has been begun"):
        open_reader(settings)
    open_ledger(settings).close()
    assert has_ledger(settings)


@pytest.mark.parametrize(("part", "metadata"), [(LEDGER, tables.ledger), (INBOX, tables.inbox)])
def test_the_migrations_give_the_tables(part, metadata, settings) -> None:
    with place_of(settings, part).writer():
        pass
    path = f"-c search_path={part.name}"
    engine = sa.create_engine(
        "postgresql+psycopg://",
        poolclass=NullPool,
        creator=lambda: psycopg.connect(settings.store_url, options=path),
    )
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_events_cannot_be_changed_by_a_slip(settings) -> None:
    ledger = open_ledger(settings)
    ledger.append([position("A", 1)])
    ledger.close()
    for statement in (
        "UPDATE ledger.events SET at = 1",
        "DELETE FROM ledger.events",
        "TRUNCATE ledger.events",
    ):
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            run(settings, statement)


def test_a_zero_byte_is_refused_before_anything_changes(settings) -> None:
    ledger = open_ledger(settings)
    whole = position("A", 1)
    for bad in (Entry("a\0b", *whole[1:]), whole._replace(trace="\0"), issued("k\0")):
        with pytest.raises(UsageError, match="zero byte"):
            ledger.append([whole, bad])
    assert ledger.append([whole]).position == 1
    ledger.close()


def test_a_home_has_one_ledger_for_good(settings, server) -> None:
    """Another database, or an emptied one, must not begin a ledger that knows of no lock."""
    open_ledger(settings).close()
    server.empty_database()
    with pytest.raises(StoreError, match="has a ledger already") as refused:
        open_ledger(settings)
    assert "another home" in refused.value.remedy


# --- one writer -----------------------------------------------------------------------------------


def test_a_second_writer_is_refused_and_told_who_writes(settings, monkeypatch) -> None:
    monkeypatch.setattr("portcullis.store.postgres.place.TAKEOVER_SECONDS", "0.1")
    ledger = open_ledger(settings)
    holder = ledger._driver.info.backend_pid
    with pytest.raises(StoreLocked, match=f"session {holder}") as refused:
        open_ledger(settings)
    assert f"pg_terminate_backend({holder})" in refused.value.remedy
    ledger.append([position("A", 1)])
    ledger.close()
    open_ledger(settings).close()


def test_a_writer_that_lost_the_lock_without_knowing_cannot_commit(settings) -> None:
    """As behind a pooler, or after a failover: the session is there, the lock is not."""
    old = open_ledger(settings)
    old.append([position("A", 1)])
    old._driver.execute("SELECT pg_advisory_unlock_all()")
    new = open_ledger(settings)
    with pytest.raises(StoreError, match="another writer has taken over"):
        old.append([position("A", 2)])
    assert old.broken
    with pytest.raises(StoreError, match="taken over"):
        old.append([position("A", 3)])
    assert new.append([position("B", 1)]).position == 2
    old.close()
    new.close()
    assert verify_place(place_of(settings), load_verifier(settings.home_path / "ledger.pub")).ok


def test_a_writer_in_the_middle_of_a_commit_is_waited_for(settings) -> None:
    """The new one sees either all of that commit or none of it, and gives the next number."""
    old = open_ledger(settings)
    opened: list[ledgers.StoredLedger] = []
    with old._writing():
        batch = old._chain.link([position("A", 1)])
        old._move_head(old._chain.head(), batch.rows[0].at, 0)
        old._store(batch)
        old._driver.execute("SELECT pg_advisory_unlock_all()")
        thread = threading.Thread(target=lambda: opened.append(open_ledger(settings)))
        thread.start()
        while not run(settings, "SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert thread.is_alive(), "it did not wait"
    thread.join(20)
    (new,) = opened
    assert new.head().position == 1
    assert new.append([position("A", 2)]).position == 2
    old.close()
    new.close()


def test_a_writer_that_froze_in_the_middle_of_a_commit_loses_it(settings, monkeypatch) -> None:
    """As when its machine is suspended: the server ends its session, and the next one goes on."""
    monkeypatch.setattr(driver, "FROZEN_SECONDS", "0.3")
    frozen = open_ledger(settings)
    frozen.append([position("A", 1)])

    def commit() -> None:
        with frozen._writing():
            batch = frozen._chain.link([position("A", 2)])
            frozen._move_head(frozen._chain.head(), batch.rows[0].at, 0)
            frozen._store(batch)
            new = open_ledger(settings)
            assert new.head().position == 1
            assert new.append([position("B", 1)]).position == 2
            new.close()

    with pytest.raises(StoreError):
        commit()
    with pytest.raises(StoreError):
        frozen.append([position("A", 3)])
    frozen.close()
    assert verify_place(place_of(settings), load_verifier(settings.home_path / "ledger.pub")).ok


def test_a_session_ended_by_the_server_ends_the_writer(settings) -> None:
    ledger = open_ledger(settings)
    ledger.append([position("A", 1)])
    run(settings, f"SELECT pg_terminate_backend({ledger._driver.info.backend_pid})")
    with pytest.raises(StoreError) as ended:
        ledger.append([position("A", 2)])
    assert ended.value.remedy
    assert ledger.broken
    ledger.close()
    again = open_ledger(settings)
    assert again.head().position == 1
    again.close()


# --- retiring -------------------------------------------------------------------------------------


def test_it_can_begin_with_a_base_and_drop_what_is_before(settings, monkeypatch) -> None:
    monkeypatch.setattr(ledgers, "KEPT_EVENTS", 10)
    ledger = open_ledger(settings)
    ledger.append([position("AB"[n % 2], n) for n in range(2_000)])
    rows = list(ledger.read(through=1_500))
    tree = Tree()
    tree.extend([row.hash for row in rows])
    ends = {row.stream: (row.seq, row.hash) for row in rows}
    base = Base(1_500, rows[-1].at, tree.to_bytes(), ends, {}, 1, b"state")
    assert ledger.begin_at(base.to_bytes()) == 1_500
    assert [ledger.drop_retired(1_000) for _ in range(3)] == [1_000, 500, 0]
    ledger.close()
    again = open_ledger(settings)
    assert again.append([position("A", 1)]).position == 2_001
    again.close()
    assert verify_place(place_of(settings), load_verifier(settings.home_path / "ledger.pub")).ok
    with open_reader(settings) as reader:
        assert next(reader.read()).position == 1_501
        assert reader.beginning() == Snapshot(1_500, rows[-1].at, 1, b"state")


# --- errors -----------------------------------------------------------------------------------


def test_a_server_that_is_away(settings, server) -> None:
    away = with_url(settings, str(server.folder), "/nowhere")
    for opened in (open_ledger, open_inbox, open_reader, has_ledger):
        with pytest.raises(StoreError) as refused:
            opened(away)
        assert "start the server" in refused.value.remedy


@pytest.mark.parametrize(
    ("old", "new", "remedy"),
    [("/store", "/no_store", "createdb"), ("portcullis@", "nobody@", "createuser")],
)
def test_a_database_or_role_that_is_missing(settings, old, new, remedy) -> None:
    with pytest.raises(StoreError) as refused:
        open_ledger(with_url(settings, old, new))
    assert remedy in refused.value.remedy


def test_a_role_that_may_not_create(settings) -> None:
    run(settings, "DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN")
    with pytest.raises(StoreError) as refused:
        open_ledger(with_url(settings, "portcullis@", "guest@"))
    assert "create in the database" in refused.value.remedy


def test_a_password_over_the_network(settings, server) -> None:
    """On loopback, as the server's Debian defaults have it; pg_basebackup is given it too."""
    run(settings, "ALTER ROLE portcullis PASSWORD 'open sesame'")
    there = f"@127.0.0.1:{server.port}/store"
    right = msgspec.structs.replace(
        settings, store_url=f"postgresql://portcullis:open%20sesame{there}"
    )
    ledger = open_ledger(right)
    assert ledger.append([position("A", 1)]).position == 1
    ledger.close()
    folder = settings.home_path / "copy"
    folder.mkdir()
    assert copy_server(right, settings.home_path, folder).version.startswith("PostgreSQL")
    for wrong in (f"postgresql://portcullis:guess{there}", f"postgresql://portcullis{there}"):
        with pytest.raises(StoreError) as refused:
            open_ledger(msgspec.structs.replace(settings, store_url=wrong))
        assert "password" in refused.value.remedy
        assert "guess" not in str(refused.value)


def test_no_password_is_ever_shown(settings) -> None:
    known = with_url(settings, "portcullis@", "portcullis:hunter2@")
    with pytest.raises(StoreError) as refused:
        open_ledger(with_url(known, "/store", "/no_store"))
    assert "hunter2" not in f"{refused.value!r} {place_of(known)}"
    for bad in ("hunter2", "postgresql://u:hunter2@[x/y?z=%%"):
        with pytest.raises(ConfigError) as wrong:
            place_of(msgspec.structs.replace(settings, store_url=bad))
        assert "hunter2" not in str(wrong.value)


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
def test_a_server_that_would_lose_events_is_refused(settings, name: str) -> None:
    reload = "SELECT pg_reload_conf()"
    run(settings, f"ALTER SYSTEM SET {name} = off")
    place = place_of(settings)
    try:
        run(settings, reload)
        deadline = time.monotonic() + 20
        while run(settings, f"SHOW {name}") != [("off",)]:  # a reload takes a moment
            assert time.monotonic() < deadline
        with pytest.raises(StoreError, match=f"{name} is off"), place.writer():
            pass
    finally:
        run(settings, f"ALTER SYSTEM RESET {name}", reload)


def test_a_weaker_session_default_is_overruled(settings) -> None:
    run(settings, "ALTER ROLE portcullis SET synchronous_commit = off")
    try:
        ledger = open_ledger(settings)
        shown = ledger._driver.execute("SHOW synchronous_commit").fetchone()
        ledger.close()
    finally:
        run(settings, "ALTER ROLE portcullis RESET synchronous_commit")
    assert shown == ("on",)


def test_a_newer_schema_one_of_others_and_a_key_of_another_home(settings) -> None:
    run(settings, "CREATE SCHEMA inbox", "CREATE TABLE inbox.things (a int)")
    with pytest.raises(StoreError, match="not one of this program"):
        open_inbox(settings)
    open_ledger(settings).close()
    key = settings.home_path / PRIVATE_FILE
    kept = key.read_bytes()
    key.unlink()
    with pytest.raises(StoreError, match="signing key"):
        open_ledger(settings)
    key.write_bytes(kept)
    run(settings, "UPDATE ledger.alembic_version SET version_num = 'later'")
    with pytest.raises(StoreTooNew):
        open_ledger(settings)
    with pytest.raises(StoreTooNew):
        open_reader(settings)


def test_the_worker_on_files_does_not_load_the_driver() -> None:
    import subprocess
    import sys

    program = "import sys, portcullis.wiring, portcullis.cli.main; print('psycopg' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert found.stdout == "False\n"
