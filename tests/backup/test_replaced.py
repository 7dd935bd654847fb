"""A ledger that was replaced is proven in its place, or what was there comes back."""

import shutil

import msgspec
import pytest

from portcullis.backup import replaced
from portcullis.backup.in_place import restore_in_place
from portcullis.backup.restore import Wanted
from portcullis.domain.model import HOUR
from portcullis.errors import StoreError, StoreLocked
from portcullis.store.ledger import SqliteLedger
from tests.backup.conftest import NOW
from tests.backup.test_restore import cut_short, rows
from tests.conformance.ledger import position

OLD = b"of the old ledger"


def in_place(home, target, manifest, event=400):
    return restore_in_place(
        home, target, manifest, Wanted(event=event), (), by="me", reason="a test", now=NOW + HOUR
    )


@pytest.fixture
def home_before(store):
    """The home with something beside the ledger that speaks of it."""
    (store / "operations").mkdir(exist_ok=True)
    for name in ("operations/records.db", "inbox.db"):
        (store / name).write_bytes(OLD)
    return store


def is_as_before(home, before):
    beside = [(home / name).read_bytes() for name in ("operations/records.db", "inbox.db")]
    return rows(home) == before and beside == [OLD, OLD]


def test_what_was_replaced_comes_back_with_what_was_beside_it(home_before, target, made):
    before = rows(home_before)
    found = in_place(home_before, target, made)
    assert rows(home_before) != before
    assert replaced.put_back(home_before) == found.kept
    assert is_as_before(home_before, before)
    assert replaced.unsettled(home_before) is None
    assert replaced.put_back(home_before) is None, "only once"


@pytest.mark.parametrize("way", ["gone", "elsewhere", "nowhere"])
def test_without_what_was_set_aside_the_ledger_in_place_stays(home_before, target, made, way):
    found = in_place(home_before, target, made)
    after, note = rows(home_before), replaced.unsettled(home_before)
    assert note is not None
    kept = {"gone": note.kept, "elsewhere": "../elsewhere", "nowhere": ""}[way]
    changed = msgspec.json.encode(msgspec.structs.replace(note, kept=kept))
    (home_before / replaced.NOTE_FILE).write_bytes(changed)
    (home_before.parent / "elsewhere").mkdir()
    shutil.rmtree(found.kept)
    for _ in range(2):
        with pytest.raises(StoreError, match="not there any more"):
            replaced.put_back(home_before)
    assert rows(home_before) == after


def test_what_is_settled_stays(home_before, target, made):
    found = in_place(home_before, target, made)
    assert replaced.prove(home_before, found.position, found.kept).same is True
    replaced.settle(home_before)
    after = rows(home_before)
    assert replaced.put_back(home_before) is None
    assert rows(home_before) == after


def test_damage_after_the_replacement_is_seen_and_undone(home_before, target, made):
    before = rows(home_before)
    found = in_place(home_before, target, made)
    path = home_before / "ledger.db"
    data = bytearray(path.read_bytes())
    spot = data.index(b"a test")
    data[spot : spot + 6] = b"a lie!"
    path.write_bytes(data)
    with pytest.raises(StoreError, match="does not hold"):
        replaced.prove(home_before, found.position, found.kept)
    replaced.put_back(home_before)
    assert is_as_before(home_before, before)


def test_a_ledger_that_went_on_stays_and_nothing_of_it_is_lost(home_before, target, made):
    in_place(home_before, target, made)
    ledger = SqliteLedger(home_before)
    ledger.append([position("A", 1)])
    with pytest.raises(StoreLocked):
        replaced.put_back(home_before)
    ledger.close()
    after = rows(home_before)
    with pytest.raises(StoreError, match="went on"):
        replaced.put_back(home_before)
    assert rows(home_before) == after
    assert replaced.put_back(home_before) is None


def test_a_restore_cut_short_at_any_step_can_be_undone(home_before, target, made, tmp_path):
    before = rows(home_before)
    for step in range(200):
        home = tmp_path / f"home-{step}"
        shutil.copytree(home_before, home)
        killed = cut_short(step, lambda home=home: in_place(home, target, made))
        replaced.put_back(home)
        assert is_as_before(home, before), step
        shutil.rmtree(home)
        if not killed:
            break
    else:
        pytest.fail("it never came to its end")
    assert step > 10


def test_putting_back_cut_short_at_any_step_is_done_again(home_before, target, made, tmp_path):
    before = rows(home_before)
    in_place(home_before, target, made)
    for step in range(100):
        home = tmp_path / f"home-{step}"
        shutil.copytree(home_before, home)
        killed = cut_short(step, lambda home=home: replaced.put_back(home))
        replaced.put_back(home)
        assert is_as_before(home, before), step
        shutil.rmtree(home)
        if not killed:
            break
    else:
        pytest.fail("it never came to its end")
    assert step > 5


def test_a_second_restore_begins_with_what_was_there_before_the_first(home_before, target, made):
    before = rows(home_before)
    in_place(home_before, target, made)
    again = in_place(home_before, target, made, event=300)
    assert rows(again.kept) == before
