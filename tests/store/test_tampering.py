"""Verification finds every change of every column, says where, and leaves a sound file alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portcullis.ports import StoredEvent
from portcullis.store.anchors import read_anchors
from portcullis.store.chain import SEGMENT_EVENTS, Chain
from portcullis.store.database import LEDGER_FILE
from portcullis.store.keys import load_key, load_verifier
from portcullis.store.ledger import SqliteLedger
from portcullis.store.merkle import Frontier
from portcullis.store.note import Checkpoint, Signer
from portcullis.store.reading import LedgerReader
from portcullis.store.verify import verify
from tests.conformance.ledger import position
from tests.store.tampering import LARGE, SMALL, attack, check


def test_a_sound_ledger_holds(small: Path, large: Path) -> None:
    assert check(small)[:2] == (True, SMALL)
    assert check(large, anchors=read_anchors(large / "anchors"))[:2] == (True, LARGE)


def test_an_empty_ledger_holds(tmp_path: Path) -> None:
    SqliteLedger(tmp_path).close()
    assert check(tmp_path)[:2] == (True, 0)


# --- one changed value in any column of any event ------------------------------------------------

ALTERED = {
    "position": "100000",
    "stream": "'account/Z'",
    "seq": "seq + 1000",
    "at": "at + 1",
    "kind": "'time_passed'",
    "version": "version + 1",
    "trace": "'other'",
    "payload": "x'80'",
    "previous": "x'ff'",
    "hash": "zeroblob(32)",
}


def test_every_column_has_its_attack() -> None:
    assert tuple(ALTERED) == StoredEvent._fields


@pytest.mark.parametrize("column", ALTERED)
@pytest.mark.parametrize("at", [1, 2, 50, SMALL - 1, SMALL])
def test_a_changed_value_is_found_where_it_is(copy: Path, column: str, at: int) -> None:
    found = attack(copy, f"UPDATE events SET {column} = {ALTERED[column]} WHERE position = {at}")
    assert not found.ok
    assert found.position == at


@pytest.mark.parametrize("column", [name for name in ALTERED if name != "position"])
def test_the_altered_column_is_named(copy: Path, column: str) -> None:
    found = attack(copy, f"UPDATE events SET {column} = {ALTERED[column]} WHERE position = 50")
    assert column in found.what
    assert found.position == 50
    if column not in ("stream", "seq"):
        assert found.stream == "account/B"


@pytest.mark.parametrize("value", ["NULL", "'text'", "1.5", "-1"])
@pytest.mark.parametrize("column", ALTERED)
def test_a_value_of_another_type_is_found(copy: Path, column: str, value: str) -> None:
    """Even when the table was made to take it."""
    loose = "CREATE TABLE loose AS SELECT * FROM events"
    found = attack(
        copy,
        loose,
        "DROP TABLE events",
        "ALTER TABLE loose RENAME TO events",
        f"UPDATE events SET {column} = {value} WHERE position = 50",
    )
    assert not found.ok


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)
@given(
    at=st.integers(1, SMALL),
    column=st.sampled_from(("payload", "previous", "hash")),
    where=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_one_flipped_bit_is_found(small: Path, tmp_path: Path, at, column, where, bit) -> None:
    home = tmp_path / "flipped"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(small, home)
    with LedgerReader(home) as reader:
        value = bytearray(getattr(next(reader.events(after=at - 1)), column))
    value[int(where * len(value))] ^= 1 << bit
    change = f"UPDATE events SET {column} = x'{value.hex()}' WHERE position = {at}"
    found = attack(home, change)
    assert (found.ok, found.position) == (False, at)


# --- events taken out, put in, moved -------------------------------------------------------------


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("= 50", "event 50 is missing"),
        ("BETWEEN 40 AND 60", "events 40..60 are missing"),
        ("<= 3", "events 1..3 are missing"),
        ("> 100", "events 101..120 are missing"),
        ("= 120", "event 120 is missing"),
        ("> 0", "events 1..120 are missing"),
    ],
)
def test_missing_events_are_counted(copy: Path, gone: str, said: str) -> None:
    found = attack(copy, f"DELETE FROM events WHERE position {gone}")
    assert (found.ok, found.what) == (False, said)
    assert str(found.position) in said


def test_a_gap_over_the_end_of_a_segment_is_counted_whole(large_copy: Path) -> None:
    found = attack(large_copy, "DELETE FROM events WHERE position BETWEEN 8190 AND 8210")
    assert (found.position, found.what) == (8_190, "events 8190..8210 are missing")


def test_renumbered_events_do_not_hide_a_gap(copy: Path) -> None:
    found = attack(
        copy,
        "DELETE FROM events WHERE position = 50",
        "UPDATE events SET position = -position WHERE position > 50",
        "UPDATE events SET position = -position - 1 WHERE position < 0",
        "UPDATE head SET position = 119",
    )
    assert (found.ok, found.position) == (False, 50)


def test_swapped_events_are_found(copy: Path) -> None:
    found = attack(
        copy,
        "UPDATE events SET position = -1 WHERE position = 50",
        "UPDATE events SET position = 50 WHERE position = 53",
        "UPDATE events SET position = 53 WHERE position = -1",
    )
    assert (found.ok, found.position) == (False, 50)


def test_an_added_event_that_fits_is_found(copy: Path) -> None:
    """Whoever can write the file can compute hashes; only the head's signature he cannot make."""
    forged = forge(copy, after=SMALL, entries=[position("A", 7)])
    found = attack(copy, *forged)
    assert (found.ok, found.position, found.what) == (False, 121, "events 121..121 were added")


def test_a_chain_written_anew_is_found_at_its_seal(large_copy: Path) -> None:
    """From event 8,000 on, everything different, every link and hash right."""
    rows = [position("A", n) for n in range(LARGE - 7_999)]
    gone = "DELETE FROM events WHERE position >= 8000"
    found = attack(large_copy, gone, *forge(large_copy, after=7_999, entries=rows))
    assert not found.ok
    assert "written anew" in found.what
    assert found.position is not None
    assert found.position <= SEGMENT_EVENTS  # the first seal or checkpoint behind it


def forge(home: Path, after: int, entries) -> list[str]:
    """Statements that add rows with right hashes behind position `after`."""
    with LedgerReader(home) as reader:
        rows = list(reader.events(through=after))
    chain = Chain()
    chain.tree.extend([row.hash for row in rows])
    for row in rows:
        chain.streams[row.stream] = (row.seq, row.hash)
    return [
        "INSERT INTO events VALUES ({}, '{}', {}, {}, '{}', {}, '{}', x'{}', x'{}', x'{}')".format(
            *row[:7], *(value.hex() for value in row[7:])
        )
        for row in chain.link(entries).rows
    ]


# --- what is stated about the events -------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE head SET position = position - 1",
        "UPDATE head SET position = position + 1",
        "UPDATE head SET root = zeroblob(32)",
        "UPDATE head SET at = at + 1",
        "UPDATE head SET frontier = zeroblob(128)",
        "UPDATE head SET signature = zeroblob(64)",
        "DELETE FROM head",
        "UPDATE head SET indexed = indexed - 1",
        "UPDATE head SET indexed = 1000000",
        "DELETE FROM stream_index WHERE seq = 5",
        "UPDATE stream_index SET position = position + 1 WHERE seq = 5",
        "UPDATE stream_index SET stream = 'account/Z' WHERE stream = 'account/A' AND seq = 5",
        "INSERT INTO stream_index VALUES ('account/Z', 1, 5)",
        "UPDATE meta SET value = 'other' WHERE name = 'ledger_id'",
        "UPDATE meta SET value = 'other' WHERE name = 'public_key'",
        "DELETE FROM meta",
        "UPDATE segments SET root = zeroblob(32) WHERE number = 1",
        "UPDATE segments SET first = first + 1 WHERE number = 1",
        "UPDATE segments SET last = last - 1 WHERE number = 1",
        "UPDATE segments SET number = 7 WHERE number = 1",
        "UPDATE segments SET signature = zeroblob(64) WHERE number = 1",
        "DELETE FROM segments WHERE number = 1",
        "INSERT INTO segments SELECT 2, first, last, root, signature FROM segments LIMIT 1",
        "UPDATE checkpoints SET note = replace(note, 'at ', 'at 1')",
        "UPDATE checkpoints SET position = position + 1",
        "UPDATE checkpoints SET note = ''",
        "INSERT INTO checkpoints SELECT 99999, note FROM checkpoints LIMIT 1",
        "UPDATE outbox SET outcome = 'confirmed' WHERE key = 'open'",
        "UPDATE outbox SET outcome = NULL WHERE key = 'done'",
        "UPDATE outbox SET account = 'B' WHERE key = 'open'",
        "UPDATE outbox SET position = 2 WHERE key = 'open'",
        "UPDATE outbox SET concluded = 2 WHERE key = 'done'",
        "UPDATE outbox SET key = 'opened' WHERE key = 'open'",
        "DELETE FROM outbox WHERE key = 'open'",
        "INSERT INTO outbox (key, account, position) VALUES ('k', 'A', 5)",
        "UPDATE snapshots SET state = x'00'",
        "UPDATE snapshots SET taken_at = 2",
        "UPDATE snapshots SET version = 2",
        "UPDATE snapshots SET position = position - 1",
        "UPDATE snapshots SET signature = zeroblob(64)",
    ],
)
def test_altered_statements_are_found(large_copy: Path, change: str) -> None:
    found = attack(large_copy, change)
    assert not found.ok
    assert found.what


def test_the_key_of_another_ledger_does_not_fit(copy: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    SqliteLedger(other).close()
    found = verify(copy / LEDGER_FILE, load_verifier(other / "ledger.pub"))
    assert (found.ok, found.position) == (False, None)
    assert "public key" in found.what


def test_a_cut_by_somebody_with_the_key_is_found_by_a_checkpoint_from_outside(copy: Path) -> None:
    """Truncated to 100 events and signed again: inside, nothing shows it."""
    anchors = read_anchors(copy / "anchors")
    with LedgerReader(copy) as reader:
        rows = list(reader.events(through=100))
        ledger_id = reader.ledger_id
    tree = Frontier()
    tree.extend(row.hash for row in rows)
    stated = Checkpoint(f"portcullis/{ledger_id}", 100, tree.root(), rows[-1].at)
    signature = Signer(stated.origin, load_key(copy / "ledger.key")).sign(stated.text())
    found = attack(
        copy,
        "DELETE FROM events WHERE position > 100",
        "DELETE FROM snapshots",
        "DELETE FROM checkpoints",
        f"UPDATE head SET position = 100, root = x'{stated.root.hex()}', at = {stated.at}, "
        f"frontier = x'{tree.to_bytes().hex()}', signature = x'{signature.hex()}'",
    )
    assert found.ok
    found = check(copy, anchors=anchors)
    assert not found.ok
    assert "events 101..120 are missing" in found.what


def test_a_forged_checkpoint_from_outside_is_refused(copy: Path) -> None:
    (anchor,) = read_anchors(copy / "anchors")
    assert not check(copy, anchors=[anchor.replace("at ", "at 1")]).ok
    assert not check(copy, anchors=["no note"]).ok
