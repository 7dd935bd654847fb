"""Shipping when something it stood on is gone: events, the file of a backup, honest names."""

from __future__ import annotations

from pathlib import Path

import pytest

from portcullis.backup import restore as restoring
from portcullis.backup.in_place import restore_in_place
from portcullis.backup.make import make
from portcullis.backup.manifest import PACKED
from portcullis.backup.restore import Wanted
from portcullis.backup.shipment import FOLDER, SHIPMENT
from portcullis.backup.shipper import run
from portcullis.backup.target import Target
from portcullis.cli.shipping import leave
from portcullis.config.settings import Settings
from portcullis.domain.model import HOUR, Verdict
from portcullis.errors import LedgerBroken, StoreError
from portcullis.store import ledger as ledgers
from portcullis.store.inbox import SqliteInbox
from portcullis.store.ledger import SqliteLedger
from portcullis.store.pieces import read_piece
from portcullis.worker.deriving import derive
from tests.backup.conftest import NOW
from tests.backup.dock import back, end_of, names, ships, write

pytestmark = pytest.mark.usefixtures("small_pieces")


def retire(store: Path, through: int) -> None:
    ledger = SqliteLedger(store)
    ledger.begin_at(derive(store, through).to_bytes())
    while ledger.drop_retired(1_000):
        continue
    ledger.close()


@pytest.mark.parametrize("behind", [30, 300])
def test_events_retired_before_they_were_shipped_are_no_end_of_the_ledger(
    store, target, made, clock, config, tmp_path, monkeypatch, behind
):
    monkeypatch.setattr(ledgers, "KEPT_EVENTS", 10)
    shipper = ships(store, target, clock)
    reached = shipper.turn().position
    end = write(store, behind)
    make(store, config, target, (), NOW + HOUR)
    write(store, 50)
    retire(store, end - 5)
    with pytest.raises(LedgerBroken, match=f"behind {reached} is there"):
        shipper.turn()
    assert shipper.turn().position == end_of(store)[0]  # from the backup that holds them
    found, folder = back(store, target, tmp_path)
    assert end_of(folder) == end_of(store)
    assert not found.problems


def test_a_piece_never_spans_events_that_are_not_there(store, monkeypatch):
    monkeypatch.setattr(ledgers, "KEPT_EVENTS", 10)
    end = write(store, 50)
    retire(store, end - 30)
    for after in (end - 70, end - 35):
        with pytest.raises(LedgerBroken):
            read_piece(store / "ledger.db", after)
    assert read_piece(store / "ledger.db", end - 30).last == end


def test_a_backup_whose_file_is_gone_stands_for_no_shipment(
    store, target, made, clock, config, tmp_path
):
    shipper = ships(store, target, clock)
    shipper.turn()
    for hours in (1, 2):
        write(store, 50)
        shipper.turn()
        later = make(store, config, target, (), NOW + hours * HOUR).manifest
        (Path(target.address) / f"{later.name}{PACKED}").unlink()
    shipper.look_after()
    found, folder = back(store, target, tmp_path)
    assert found.name == made.name
    assert end_of(folder) == end_of(store)


def test_a_forged_generation_hides_nothing_that_is_shipped(store, target, made, clock, tmp_path):
    folder = Path(target.address) / FOLDER
    folder.mkdir()
    forged = f"{made.ledger[:8]}-{10**9 - 1}-{1:012d}-{2:012d}{SHIPMENT}"
    (folder / forged).write_bytes(b"x" * 300)
    write(store, 20)
    shipper = ships(store, target, clock)
    shipper.turn()
    assert shipper.look_after() == 0
    assert max(name.generation for name in names(target)) == 10**9
    _, restored = back(store, target, tmp_path)
    assert end_of(restored) == end_of(store)


def test_a_target_that_takes_no_files_is_told_and_waited_for(store, clock):
    lines: list[str] = []
    shipper = ships(store, Target("http://127.0.0.1:9/none"), clock)
    turns = iter((False, True))
    run(shipper, store, 1, lambda _: None, lambda _: next(turns), lines.append)
    assert len(lines) == 1
    assert "cannot" in lines[0]


def test_a_verdict_goes_into_the_inbox_that_is_there_now(tmp_path):
    verdict = Verdict("shipped", True, NOW, NOW + HOUR, "all of it", "shipper")
    leave(Settings(home=str(tmp_path)), verdict)
    for file in tmp_path.glob("inbox.db*"):  # as a restore in place does
        file.unlink()
    leave(Settings(home=str(tmp_path)), verdict)
    inbox = SqliteInbox(tmp_path)
    assert [request.verb for request in inbox.waiting(9)] == ["verdict"]
    inbox.close()


def test_while_the_ledger_cannot_be_read_no_backup_stands_for_anything(
    store, target, made, clock, config, tmp_path, monkeypatch
):
    write(store, 200)
    for hours in (1, 2):  # of a past that is given up
        make(store, config, target, (), NOW + hours * HOUR)
    restore_in_place(
        store, target, made, Wanted(), (), by="me", reason="r", now=NOW + 3 * HOUR, shipped=False
    )
    shipper = ships(store, target, clock)
    shipper.turn()
    write(store, 300)
    shipper.turn()
    make(store, config, target, (), NOW + 4 * HOUR)  # one more, which is not known yet

    def is_locked(_home: Path) -> None:
        raise StoreError("database is locked", remedy="wait")

    with monkeypatch.context() as patch:
        patch.setattr(restoring, "LedgerReader", is_locked)
        with pytest.raises(StoreError, match="locked"):
            shipper.look_after()
    shipper.look_after()
    _, folder = back(store, target, tmp_path)
    assert end_of(folder) == end_of(store)
