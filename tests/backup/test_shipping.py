"""Shipping every second, and a restore that goes on from a backup with what was shipped."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.backup import shipper as shipping
from portcullis.backup.in_place import restore_in_place
from portcullis.backup.make import make
from portcullis.backup.packing import identities_in, new_identity
from portcullis.backup.restore import Wanted, choose, drill, restore
from portcullis.backup.shipment import ShipmentName, read_label
from portcullis.backup.shipper import gaps
from portcullis.domain.model import HOUR, MINUTE, SECOND, Verdict
from portcullis.errors import NotFound, StoreError, UsageError
from portcullis.store.keys import load_verifier
from portcullis.store.reading import LedgerReader
from portcullis.store.verify import verify
from tests.backup.conftest import NOW
from tests.backup.dock import back, end_of, file_of, names, shipped_in_parts, ships, write

pytestmark = pytest.mark.usefixtures("small_pieces")


# --- there and back -------------------------------------------------------------------------------


def test_what_was_shipped_comes_back_to_the_last_event(store, target, made, clock, tmp_path):
    shipper = ships(store, target, clock)
    assert shipper.turn().pieces == 0  # the backup stands for it
    for count in (1, 250, 7):
        write(store, count)
        assert shipper.turn().position == end_of(store)[0]
    found, folder = back(store, target, tmp_path)
    assert end_of(folder) == end_of(store)
    assert found.shipments == len(names(target)) == 1 + 3 + 1
    assert not found.problems
    with LedgerReader(store) as live, LedgerReader(folder) as restored:
        assert list(live.read()) == list(restored.read())
        assert list(live.outbox()) == list(restored.outbox())


def test_the_ledger_goes_on_from_there(store, target, made, clock, tmp_path):
    write(store, 130)
    ships(store, target, clock).turn()
    _, folder = back(store, target, tmp_path)
    assert write(folder, 1_200) == end_of(store)[0] + 1_200
    assert verify(folder / "ledger.db", load_verifier(store / "ledger.pub")).ok


def test_a_restore_to_any_event_and_to_a_moment_among_what_was_shipped(
    store, target, made, clock, tmp_path
):
    end = write(store, 300)
    ships(store, target, clock).turn()
    for event in (made.position + 1, made.position + 150, end):
        found, _ = back(store, target, tmp_path, Wanted(event=event))
        assert found.position == event
    with LedgerReader(store) as reader:
        moment = next(iter(reader.read(after=made.position + 200))).at
    found, _ = back(store, target, tmp_path, Wanted(moment=moment))
    assert found.at <= moment
    assert found.position >= made.position + 201
    with pytest.raises(NotFound, match=f"ends at {end}"):
        back(store, target, tmp_path, Wanted(event=end + 1))
    with pytest.raises(NotFound, match="reaches that far"):
        back(store, target, tmp_path, Wanted(moment=NOW + HOUR))


def test_a_backup_made_in_the_middle_of_a_shipment_is_gone_on_from(
    store, target, clock, config, tmp_path
):
    make(store, config, target, (), NOW)
    shipper = ships(store, target, clock)
    shipper.turn()
    write(store, 40)
    second = make(store, config, target, (), NOW + HOUR).manifest
    write(store, 30)
    shipper.turn()
    (name,) = names(target)
    assert name.first < second.position < name.last
    found, folder = back(store, target, tmp_path)
    assert found.name == second.name
    assert end_of(folder) == end_of(store)


def test_encrypted_shipments_need_the_key(store, config, target, clock, tmp_path):
    private, public = new_identity()
    key = tmp_path / "key"
    key.write_text(private)
    made = make(store, config, target, (public,), NOW).manifest
    write(store, 20)
    ships(store, target, clock, (public,)).turn()
    (name,) = names(target)
    assert b"time_passed" not in file_of(target, name).read_bytes()
    with pytest.raises(UsageError, match="encrypted"):
        restore(target, made, Wanted(), tmp_path / "none", ())
    restore(target, made, Wanted(), tmp_path / "back", identities_in(key))
    assert end_of(tmp_path / "back") == end_of(store)


def test_the_drill_counts_what_was_shipped(store, target, made, clock):
    write(store, 120)
    ships(store, target, clock).turn()
    found = drill(store, target, made, (), NOW)
    assert found.same
    assert found.rpo == 0
    assert found.restored.position == end_of(store)[0]


# --- the shipper itself ---------------------------------------------------------------------------


def test_it_goes_on_where_it_was_after_a_kill(store, target, made, clock, tmp_path):
    write(store, 30)
    ships(store, target, clock).turn()
    write(store, 30)
    again = ships(store, target, clock)
    assert again.turn().pieces == 1
    assert [n.generation for n in names(target)] == [1, 1]
    (store / shipping.PROGRESS_FILE).write_bytes(b"\0garbage")
    lost = ships(store, target, clock)
    lost.turn()
    assert end_of(back(store, target, tmp_path)[1]) == end_of(store)
    assert max(n.generation for n in names(target)) == 2


def test_what_is_missing_at_the_target_is_sent_again_and_told(store, target, made, clock, tmp_path):
    shipper = ships(store, target, clock)
    for _ in range(4):
        write(store, 10)
        shipper.turn()
    there = names(target)
    file_of(target, there[1]).unlink()
    file_of(target, there[2]).write_bytes(b"")
    assert shipper.look_after() == 1
    assert shipper.look_after() == 0
    assert "1 gaps were found" in shipper.verdict().summary
    assert end_of(back(store, target, tmp_path)[1]) == end_of(store)


def test_what_two_backups_stand_for_is_deleted(store, config, target, made, clock):
    shipper = ships(store, target, clock)
    for _ in range(3):
        write(store, 10)
        shipper.turn()
    make(store, config, target, (), NOW + HOUR)
    write(store, 10)
    shipper.turn()
    shipper.look_after()
    assert len(names(target)) == 4  # the older backup still needs them
    second = make(store, config, target, (), NOW + 2 * HOUR).manifest
    shipper.look_after()
    assert [n.first for n in names(target)] == [second.position - 9]


def test_a_backup_whose_manifest_cannot_be_read_stands_for_nothing(
    store, config, target, made, clock
):
    shipper = ships(store, target, clock)
    for hours in (1, 2):
        write(store, 10)
        shipper.turn()
        make(store, config, target, (), NOW + hours * HOUR)
    for path in Path(target.address).glob("*.json"):
        path.write_bytes(b"{")
    shipper.look_after()
    assert len(names(target)) >= 2


def test_many_small_ones_become_one(store, target, made, clock, tmp_path, monkeypatch):
    monkeypatch.setattr(shipping, "SHIPMENTS_MAX", 4)
    monkeypatch.setattr(shipping, "MERGED_AT_ONCE", 3)
    shipper = ships(store, target, clock)
    for _ in range(6):
        write(store, 5)
        shipper.turn()
        shipper.look_after()
    assert len(names(target)) <= 5
    assert shipper.look_after() == 0
    assert end_of(back(store, target, tmp_path)[1]) == end_of(store)


def test_after_a_restore_in_place_it_goes_on_as_another_generation(
    store, config, target, made, clock, tmp_path
):
    """The old past's shipments and backups, which reach further, are neither used nor counted."""
    shipper = ships(store, target, clock)
    write(store, 60)
    shipper.turn()
    make(store, config, target, (), NOW + HOUR)
    write(store, 60)
    shipper.turn()
    given_up = end_of(store)
    wanted = Wanted(event=made.position + 20)
    restore_in_place(
        store, target, choose(target, None, wanted, store), wanted, (),
        by="me", reason="look", now=NOW + 2 * HOUR,
    )  # fmt: skip
    write(store, 200)
    shipper.turn()
    shipper.look_after()
    assert end_of(store)[0] > given_up[0]
    assert max(n.generation for n in names(target)) == 2
    _, folder = back(store, target, tmp_path)
    assert end_of(folder) == end_of(store)
    make(store, config, target, (), NOW + 3 * HOUR)
    write(store, 5)
    shipper.turn()
    shipper.look_after()
    assert end_of(back(store, target, tmp_path)[1]) == end_of(store)


def test_a_target_that_is_away_is_told_by_the_verdict_and_caught_up(store, tmp_path, clock):
    from portcullis.backup.target import Target

    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    shipper = ships(store, Target(str(blocked)), clock)
    with pytest.raises(StoreError):
        shipper.turn()
    assert shipper.verdict("cannot write").passed
    clock.time += 31 * SECOND
    late = shipper.verdict("cannot write")
    assert not late.passed
    assert "cannot write" in late.summary
    blocked.unlink()
    shipper.turn()
    assert shipper.verdict().passed
    assert shipper.verdict().expires_at == clock.time + MINUTE


def test_the_loop_leaves_its_verdict_and_ends_when_told(store, target, made, clock):
    left: list[Verdict] = []
    said: list[str] = []
    stopping = threading.Event()

    def leave(verdict):
        left.append(verdict)
        stopping.set()

    shipping.run(ships(store, target, clock), store, SECOND, leave, stopping.wait, said.append)
    assert [verdict.name for verdict in left] == ["shipped"]
    assert left[0].passed
    assert said == []


def test_every_label_holds(store, target, made, clock):
    for name in shipped_in_parts(store, target, clock):
        label = read_label(file_of(target, name).read_bytes(), name)
        assert label.note


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 20)), max_size=12),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_gaps_and_shipments_together_cover_everything(spans, floor, more):
    there = [ShipmentName("0" * 8, 1, first, first + length) for first, length in spans]
    position = floor + more
    found = gaps(there, floor, position)
    covered = {n for s in there for n in range(s.first, s.last + 1)}
    missing = {n for after, through in found for n in range(after + 1, through + 1)}
    wanted = set(range(floor + 1, position + 1))
    assert wanted <= covered | missing
    assert missing <= wanted
    assert not missing & covered
    assert all(a[1] <= b[0] for a, b in pairwise(found))
