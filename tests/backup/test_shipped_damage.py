"""What was shipped and is damaged, forged or missing."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest
import zstandard

from portcullis.backup.restore import Wanted, restore
from portcullis.backup.shipment import ShipmentName, pack
from portcullis.domain.model import HOUR
from portcullis.store import pieces
from portcullis.store.keys import PRIVATE_FILE, load_verifier
from tests.backup.conftest import NOW
from tests.backup.dock import back, end_of, file_of, shipped_in_parts, write

pytestmark = pytest.mark.usefixtures("small_pieces")


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone", "label"])
def test_a_restore_ends_before_what_is_damaged(
    store, target, made, clock, tmp_path, number, damage
):
    there = shipped_in_parts(store, target, clock)
    path = file_of(target, there[number])
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        if damage == "flip":
            data[-20] ^= 1
        path.write_bytes(
            {"cut": data[:-9], "empty": b"", "label": b"{}" + data}.get(damage, bytes(data))
        )
    found, folder = back(store, target, tmp_path)
    assert end_of(folder)[0] == there[number].first - 1
    assert bool(found.problems) is (damage != "gone")


def test_a_forged_shipment_costs_nothing_of_what_was_really_shipped(
    store, target, made, clock, tmp_path
):
    """Somebody who may write at the target puts one of a newer generation and a longer one."""
    there = shipped_in_parts(store, target, clock)
    forged = tmp_path / "forged"
    back(store, target, tmp_path)
    restore(target, made, Wanted(), forged, (), shipped=False, key=store / PRIVATE_FILE)
    (forged / PRIVATE_FILE).unlink()
    ledger_key = load_verifier(store / "ledger.pub")
    piece = pieces.read_piece(store / "ledger.db", made.position)
    altered = piece.rows[5]._replace(at=piece.rows[5].at + 1)
    rows = [*piece.rows[:5], altered, *piece.rows[6:]]
    for generation in (1, 9):
        for note in ("", ledger_key.note("portcullis/x\n", bytes(64))):
            fake = ShipmentName(there[0].ledger, generation, there[0].first, piece.last)
            data = pack(
                pieces.Piece(piece.after, rows, [], [], None), fake, made.ledger, note, NOW, ()
            )
            file_of(target, fake).write_bytes(data)
            found, folder = back(store, target, tmp_path)
            assert end_of(folder) == end_of(store)
            assert any("does not follow" in each for each in found.problems)


def test_events_that_nobody_signed_are_not_taken_however_well_they_follow(
    store, target, made, clock, tmp_path
):
    there = shipped_in_parts(store, target, clock)
    other = tmp_path / "other"
    restore(target, made, Wanted(), other, (), shipped=False, key=store / PRIVATE_FILE)
    write(other, 25)
    piece = pieces.read_piece(other / "ledger.db", made.position)
    unsigned = pieces.Piece(piece.after, piece.rows, [], [], None)
    for generation in (1, 7):
        fake = ShipmentName(there[0].ledger, generation, there[0].first, piece.last)
        file_of(target, fake).write_bytes(pack(unsigned, fake, made.ledger, "", NOW + HOUR, ()))
    assert end_of(back(store, target, tmp_path)[1]) == end_of(store)


def test_a_shipment_that_unpacks_to_more_than_it_says_is_refused(
    store, target, made, clock, tmp_path
):
    there = shipped_in_parts(store, target, clock)
    path = file_of(target, there[0])
    line = path.read_bytes().partition(b"\n")[0]
    bomb = zstandard.ZstdCompressor().compress(bytes(400 * 1024 * 1024))
    label = msgspec.json.decode(line)
    label["sha256"] = sha256(bomb).hexdigest()
    path.write_bytes(msgspec.json.encode(label) + b"\n" + bomb)
    found, folder = back(store, target, tmp_path)
    assert end_of(folder)[0] == made.position
    assert "not as large" in found.problems[0]
