"""Restoring: to an event, to a moment, in place, and cut short at every step."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from pysqlite3 import dbapi2

from portcullis.backup.in_place import restore_in_place
from portcullis.backup.make import make
from portcullis.backup.packing import identities_in, new_identity
from portcullis.backup.restore import (
    Record,
    Wanted,
    choose,
    drill,
    restore,
)
from portcullis.domain.engine import Engine
from portcullis.domain.events import FACT_KINDS, LedgerRestored, decode
from portcullis.domain.model import HOUR
from portcullis.domain.state import freeze
from portcullis.errors import NotFound, StoreError, StoreLocked, UsageError
from portcullis.store.keys import PRIVATE_FILE, load_verifier
from portcullis.store.ledger import SqliteLedger
from portcullis.store.reading import LedgerReader
from portcullis.store.verify import verify
from portcullis.worker.recovery import fact_of, recover
from tests.backup.conftest import NOW
from tests.conformance.ledger import position


def rows(home: Path) -> list:
    with LedgerReader(home) as reader:
        return list(reader.read())


def folded(events: list) -> bytes:
    engine = Engine()
    for stored in events:
        if stored.kind in FACT_KINDS:
            engine.apply(stored.position, stored.at, fact_of(stored))
    return freeze(engine.state)


@pytest.mark.parametrize("part", [0.02, 0.31, 0.77, 1])
def test_a_restore_to_an_event_ends_with_its_fact_and_decisions(
    store, target, made, tmp_path, part
):
    live = rows(store)
    event = max(1, int(part * len(live)))
    wanted = Wanted(event=event)
    found = restore(target, made, wanted, tmp_path / "back", (), key=store / PRIVATE_FILE)
    back = rows(tmp_path / "back")
    assert back == live[: len(back)]
    assert len(back) == found.position >= event
    assert found.position == len(live) or live[found.position].kind in FACT_KINDS
    assert all(row.kind not in FACT_KINDS for row in live[event : found.position])
    public = load_verifier(store / "ledger.pub")
    assert verify(tmp_path / "back" / "ledger.db", public).ok
    with LedgerReader(tmp_path / "back") as reader:
        assert freeze(recover(reader).engine.state) == folded(back)


def test_a_restore_to_a_moment_lands_on_that_moment(store, target, made, tmp_path):
    live = rows(store)
    moment = live[len(live) // 2].at + 1
    found = restore(
        target, made, Wanted(moment=moment), tmp_path / "back", (), key=store / PRIVATE_FILE
    )
    assert found.at <= moment < live[found.position].at


def test_what_was_restored_goes_on_as_a_ledger(store, target, made, tmp_path):
    restore(target, made, Wanted(event=300), tmp_path / "back", (), key=store / PRIVATE_FILE)
    ledger = SqliteLedger(tmp_path / "back")
    engine = recover(ledger).engine
    assert engine.state.accounts
    ledger.checkpoint()
    ledger.close()


def test_the_oldest_backup_that_reaches_far_enough_is_chosen(store, config, target):
    first = make(store, config, target, (), NOW).manifest
    second = make(store, config, target, (), NOW + HOUR).manifest
    assert choose(target, None, Wanted()) == second
    assert choose(target, None, Wanted(event=10)) == first
    assert choose(target, second.name, Wanted(event=10)) == second
    assert choose(target, None, Wanted(event=10**9)) == second  # what was shipped may reach it
    with pytest.raises(NotFound, match="there is no backup 'x'"):
        choose(target, "x", Wanted())


def test_a_folder_that_cannot_be_made_is_named(target, made, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="cannot be made: File exists"):
        restore(target, made, Wanted(), tmp_path / "file" / "back", ())


@pytest.mark.parametrize(
    ("wanted", "error", "says"),
    [
        (Wanted(moment=5), NotFound, "begins later"),
        (Wanted(event=10**9), NotFound, "is not in this backup"),
        (Wanted(event=20), UsageError, "holds no key to sign with"),
    ],
)
def test_what_cannot_be_restored_leaves_nothing(target, made, tmp_path, wanted, error, says):
    with pytest.raises(error, match=says):
        restore(target, made, wanted, tmp_path / "back", ())
    assert not (tmp_path / "back").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_folder_with_something_in_it_is_not_touched(target, made, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        restore(target, made, Wanted(), tmp_path / "full", ())
    assert (tmp_path / "full" / "mine").read_text() == "mine"


# --- in place -------------------------------------------------------------------------------------


def in_place(store, target, manifest, wanted=None):
    return restore_in_place(
        store, target, manifest, wanted or Wanted(), (), by="me", reason="a test", now=NOW + HOUR
    )


def test_in_place_keeps_what_was_there_and_leaves_the_gate_shut(store, target, made):
    before = rows(store)
    (store / "operations").mkdir(exist_ok=True)
    for name in ("integrity.mark", "ledger_rows.mark", "records.db"):
        (store / "operations" / name).write_bytes(b"of another end")
    found = in_place(store, target, made, Wanted(event=400))
    assert found.kept is not None
    shutil.copyfile(store / "ledger.pub", found.kept / "ledger.pub")
    assert rows(found.kept) == before
    after = rows(store)
    assert after[: found.position] == before[: found.position]
    fact = decode(after[found.position].payload)
    assert fact == LedgerRestored(made.name, found.position, "me", "a test")
    with LedgerReader(store) as reader:
        system = recover(reader).engine.state.system
    assert (system.mode, system.resumes) == ("OBSERVE_ONLY", "OBSERVE_ONLY")
    assert "a test" in system.why
    assert verify(store / "ledger.db", load_verifier(store / "ledger.pub")).ok
    assert list((store / "operations").iterdir()) == []
    assert (found.kept / "operations" / "records.db").read_bytes() == b"of another end"


def test_in_place_waits_for_whoever_reads_the_ledger(store, target, made):
    """The log cannot be moved into the file meanwhile, and would be lost with it."""
    ledger = SqliteLedger(store)
    ledger.append([position("A", 1)])
    reader = dbapi2.connect(store / "ledger.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM events").fetchall()
    ledger.append([position("A", 2)])
    ledger.close()
    before = rows(store)
    with pytest.raises(StoreError, match="another program is reading it"):
        in_place(store, target, made)
    reader.close()
    assert rows(store) == before
    assert in_place(store, target, made).position == made.position


def test_after_a_restore_in_place_older_backups_are_of_another_past(store, config, target, made):
    in_place(store, target, made, Wanted(event=400))
    ledger = SqliteLedger(store)
    ledger.append([position("A", number) for number in range(made.position)])
    ledger.close()
    with pytest.raises(NotFound):
        choose(target, None, Wanted(event=500), store)
    again = make(store, config, target, (), NOW + 2 * HOUR).manifest
    assert choose(target, None, Wanted(event=500), store) == again
    with pytest.raises(StoreError, match="no longer has"):
        drill(store, target, made, (), NOW)


def test_a_restore_beside_shuts_the_gate_too(store, target, made, tmp_path):
    record = Record("me", "to look at", NOW)
    back = tmp_path / "back"
    restore(target, made, Wanted(), back, (), key=store / PRIVATE_FILE, record=record)
    with LedgerReader(back) as reader:
        assert recover(reader).engine.state.system.mode == "OBSERVE_ONLY"
    assert not (back / "inbox.db").exists()


def test_a_home_that_was_lost_comes_back_with_what_the_backup_holds(
    store, config, target, tmp_path
):
    private, public = new_identity()
    (tmp_path / "id").write_text(private)
    (store / "settings.env").write_text("PORTCULLIS_ROLE=observe\n")
    made = make(store, config, target, (public,), NOW).manifest
    lost = tmp_path / "lost"
    lost.mkdir()
    keys = identities_in(tmp_path / "id")
    restore_in_place(lost, target, made, Wanted(), keys, by="me", reason="a test", now=NOW)
    assert (lost / "settings.env").read_text() == "PORTCULLIS_ROLE=observe\n"
    assert (lost / "config" / "rules.yaml").exists()
    SqliteLedger(lost).close()


def test_in_place_waits_for_the_worker_to_be_stopped(store, target, made):
    before = rows(store)
    ledger = SqliteLedger(store)
    try:
        with pytest.raises(StoreLocked):
            in_place(store, target, made)
    finally:
        ledger.close()
    assert rows(store) == before


def test_a_ledger_that_is_damaged_beyond_opening_is_replaced(store, target, made):
    (store / "ledger.db").write_bytes(b"nothing of a database" * 1000)
    found = in_place(store, target, made)
    assert found.kept is not None
    assert (found.kept / "ledger.db").read_bytes().startswith(b"nothing of a database")
    assert verify(store / "ledger.db", load_verifier(store / "ledger.pub")).ok


def test_a_ledger_that_is_gone_is_brought_back(store, target, made):
    (store / "ledger.db").unlink()
    assert in_place(store, target, made).position == made.position


def test_the_backup_of_another_ledger_is_refused(store, config, target, made, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    SqliteLedger(other).close()
    with pytest.raises(UsageError, match="another ledger"):
        in_place(other, target, made)
    assert rows(other) == []


STEPS = ("shutil.copyfile", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "sqlite3.connect")


def cut_short(step: int, work) -> bool:
    """Do something in a process of its own that ends by force at its n-th step; says whether it
    came that far.
    """
    child = os.fork()
    if child == 0:
        seen = 0

        def count(event: str, _arguments) -> None:
            nonlocal seen
            if event in STEPS:
                seen += 1
                if seen > step:
                    os._exit(9)

        sys.addaudithook(count)
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_a_restore_that_is_killed_at_any_step_leaves_one_whole_ledger(
    store, target, made, tmp_path
):
    before = rows(store)
    (store / "operations").mkdir(exist_ok=True)
    for name in ("operations/integrity.mark", "inbox.db", "backup.mark"):
        (store / name).write_bytes(b"of the old ledger")
    wanted, ends = Wanted(event=400), set()
    for step in range(200):
        home = tmp_path / f"home-{step}"
        shutil.copytree(store, home)
        killed = cut_short(step, lambda home=home: in_place(home, target, made, wanted))
        ledger = SqliteLedger(home)  # what a worker does next
        position = ledger.head().position
        ledger.close()
        ends.add(position)
        after = rows(home)
        if position == len(before):
            assert after == before
        else:
            assert after[position - 1].kind != "worker_started"
            assert any(row.kind == "ledger_restored" for row in after)
            assert not (home / "operations" / "integrity.mark").exists()
            assert not (home / "inbox.db").exists()
        assert verify(home / "ledger.db", load_verifier(home / "ledger.pub")).ok
        if step % 5 == 0:
            assert in_place(home, target, made, wanted).position >= 400
            assert not [path for path in home.iterdir() if path.name.startswith(".restore")]
        shutil.rmtree(home)
        if not killed:
            break
    else:
        pytest.fail("it never came to its end")
    assert len(ends) == 2
    assert step > 10


@pytest.mark.parametrize("below", ["file", "file/deeper"])
def test_a_folder_that_cannot_be_made_is_said(target, made, tmp_path, below):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file.*cannot be made: "):
        restore(target, made, Wanted(), tmp_path / below / "back", ())
