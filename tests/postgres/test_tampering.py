"""Whatever is changed on the server, past the program, is found; and where."""

from __future__ import annotations

import re

import psycopg
import pytest

from portcullis.ports import Snapshot, StoredEvent
from portcullis.store.anchors import read_anchors
from portcullis.store.chain import SEGMENT_EVENTS
from portcullis.store.keys import load_verifier
from portcullis.store.opening import open_ledger, place_of
from portcullis.store.verify import Verification, verify_place
from tests.conformance.ledger import concluded, issued, position

SMALL = 120
AT = 50

ALTERED = {
    "position": "100000",
    "stream": "'account/Z'",
    "seq": "seq + 1000",
    "at": "at + 1",
    "kind": "'time_passed'",
    "version": "version + 1",
    "trace": "'other'",
    "payload": r"'\x80'",
    "previous": r"'\xff'",
    "hash": r"'\x00'",
}

ADDED = (
    "INSERT INTO events SELECT 121, stream, seq, at, kind, version, trace, payload, previous, hash "
    "FROM events WHERE position = 120"
)


@pytest.fixture
def filled(settings):
    ledger = open_ledger(settings)
    ledger.append([issued("open"), issued("done"), concluded("done")])
    ledger.append([position("ABC"[n % 3], n) for n in range(3, SMALL)])
    ledger.save_snapshot(Snapshot(ledger.head().position, 1, 1, b"state"))
    ledger.checkpoint()
    ledger.close()
    return settings


def attack(settings, *statements: str, anchors=()) -> Verification:
    with psycopg.connect(settings.store_url, autocommit=True) as connection:
        connection.execute("SET search_path TO ledger")
        connection.execute("ALTER TABLE events DISABLE TRIGGER USER")
        for statement in statements:
            connection.execute(statement)
    public = load_verifier(settings.home_path / "ledger.pub")
    return verify_place(place_of(settings), public, anchors=anchors)


def test_every_column_has_its_attack() -> None:
    assert tuple(ALTERED) == StoredEvent._fields


@pytest.mark.parametrize("column", ALTERED)
def test_a_changed_value_is_found_where_it_is(filled, column: str) -> None:
    found = attack(filled, f"UPDATE events SET {column} = {ALTERED[column]} WHERE position = {AT}")
    assert (found.ok, found.position) == (False, AT)
    if column != "position":
        assert column in found.what


@pytest.mark.parametrize("column", [name for name in ALTERED if name != "position"])
def test_a_value_that_was_taken_away_is_found(filled, column: str) -> None:
    loose = f"ALTER TABLE events ALTER COLUMN {column} DROP NOT NULL"
    found = attack(filled, loose, f"UPDATE events SET {column} = NULL WHERE position = {AT}")
    assert (found.ok, found.position) == (False, AT)


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (f"DELETE FROM events WHERE position = {AT}", "event 50 is missing"),
        (f"DELETE FROM events WHERE position > {AT}", r"events 51\.\.120 are missing"),
        ("UPDATE head SET signature = decode(repeat('00', 64), 'hex')", "signature is wrong"),
        ("UPDATE head SET at = at + 1", "signature is wrong"),
        ("DELETE FROM head", "head or the ledger's identity is missing"),
        (r"UPDATE snapshots SET state = '\x00'", "snapshot at 120 was altered"),
        ("UPDATE outbox SET outcome = 'refused' WHERE key = 'done'", "done of the outbox"),
        ("DELETE FROM outbox WHERE key = 'open'", "open is missing"),
        ("INSERT INTO outbox VALUES ('new', 'A', 3, NULL, NULL)", "new of the outbox is in no"),
        ("UPDATE checkpoints SET note = 'nothing'", "checkpoint at 120 was altered"),
        ("UPDATE meta SET value = 'other' WHERE name = 'ledger_id'", "not that of the public key"),
        ("INSERT INTO stream_index VALUES ('account/Q', 1, 1)", "index of streams holds"),
        (
            ADDED,
            "was altered",
        ),
    ],
)
def test_what_is_stated_beside_the_events_is_found_too(filled, statement, says) -> None:
    found = attack(filled, statement)
    assert not found.ok
    assert re.search(says, found.what), found


def test_a_cut_tail_is_seen_by_a_checkpoint_from_outside(filled) -> None:
    anchors = read_anchors(filled.home_path / "anchors")
    assert attack(filled, anchors=anchors).ok
    emptied = [f"DELETE FROM {table}" for table in ("events", "snapshots", "checkpoints", "outbox")]
    found = attack(filled, *emptied, anchors=anchors)
    assert not found.ok


def test_a_seal_that_is_gone_is_found(settings) -> None:
    ledger = open_ledger(settings)
    for first in range(0, SEGMENT_EVENTS + 10, 4_000):
        ledger.append([position("A", n) for n in range(first, first + 4_000)])
    ledger.close()
    assert attack(settings).ok
    assert "has no seal" in attack(settings, "DELETE FROM segments").what
