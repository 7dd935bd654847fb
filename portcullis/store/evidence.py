"""What a ledger's file states about its events: the head, segments, checkpoints, snapshots, outbox.

`gather` reads all of it in one transaction; the functions after it compare it with the events.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa

from portcullis.ports import Snapshot
from portcullis.store import queries
from portcullis.store.chain import SEGMENT_EVENTS, Segment, segment_of
from portcullis.store.note import Checkpoint, Verifier, segment_text, snapshot_text
from portcullis.store.place import Place
from portcullis.store.queries import HeadRow
from portcullis.store.walk import CommandState, Fault, Walk, missing


class Evidence(NamedTuple):
    """Read at one moment. `last` is the position of the last row of events."""

    facts: dict[str, str]
    head: HeadRow | None
    last: int
    segments: dict[int, tuple[Segment, bytes]]
    checkpoints: dict[int, list[str]]
    snapshots: list[tuple[Snapshot, bytes]]
    outbox: dict[str, CommandState]


def gather(place: Place, connection: sa.Connection, since: int) -> Evidence:
    """Everything stated about the events behind `since`."""
    run = connection.exec_driver_sql
    with place.moment(connection):
        segments = run(
            "SELECT number, first, last, root, signature FROM segments WHERE last > ?", (since,)
        )
        checkpoints = run("SELECT position, note FROM checkpoints WHERE position > ?", (since,))
        snapshots = run(
            "SELECT position, taken_at, version, state, signature FROM snapshots "
            "WHERE position > ?",
            (since,),
        )
        outbox = run(
            "SELECT key, account, position, outcome, concluded FROM outbox "
            "WHERE outcome IS NULL OR position > ? OR concluded > ?",
            (since, since),
        )
        return Evidence(
            facts=queries.meta(connection),
            head=queries.head(connection),
            last=queries.last_position(connection),
            segments={row[0]: (Segment._make(row[:4]), row[4]) for row in segments},
            checkpoints={row[0]: [row[1]] for row in checkpoints},
            snapshots=[(Snapshot._make(row[:4]), row[4]) for row in snapshots],
            outbox={row[0]: CommandState._make(row[1:]) for row in outbox},
        )


def identity(found: Evidence, public: Verifier) -> Iterator[Fault]:
    """Is it the ledger whose key this is?"""
    if found.head is None or not found.facts:
        yield Fault("the head or the ledger's identity is missing from the file")
    elif f"portcullis/{found.facts.get('ledger_id')}" != public.name:
        yield Fault(f"ledger_id is not that of the public key, {public.name}")
    elif found.facts.get("public_key") != public.line:
        yield Fault("public_key in the file is not the key given")


def segment(found: Evidence, public: Verifier, number: int, root: bytes) -> Iterator[Fault]:
    """Does a full segment give the root it was sealed with?"""
    due = segment_of(number, root)
    first, last = due.first, due.last
    sealed, signature = found.segments.get(number, (None, b""))
    if sealed is None:
        yield Fault(f"segment {number} (events {first}..{last}) has no seal", first)
    elif not public.holds(segment_text(public.name, *sealed), signature):
        yield Fault(f"the seal of segment {number} was altered", first)
    elif sealed != due:
        yield Fault(f"segment {number} is not what was sealed: events were written anew", first)


def checkpoint(note: str, public: Verifier, walk: Walk, position: int) -> Iterator[Fault]:
    """Does a signed checkpoint agree with the events up to its position?"""
    try:
        stated = Checkpoint.parse(public.open(note))
    except ValueError as error:
        yield Fault(f"the checkpoint at {position} was altered: {error}", position)
        return
    if (stated.origin, stated.position) != (public.name, position):
        yield Fault(f"the checkpoint at {position} was altered", position)
    elif stated.root != walk.tree.root():
        yield Fault(f"events up to {position} were written anew since its checkpoint", position)


def end(found: Evidence, public: Verifier, walk: Walk) -> Iterator[Fault]:
    """Do the events end where the signed head says, with its root?"""
    head = found.head
    assert head is not None
    if not public.holds(head.statement(public.name).text(), head.signature):
        yield Fault("the head's signature is wrong", walk.position)
    elif head.position > walk.position:
        yield Fault(missing(walk.position + 1, head.position), walk.position + 1)
    elif head.position < found.last:
        yield Fault(f"events {head.position + 1}..{found.last} were added", head.position + 1)
    elif head.root != walk.tree.root():
        yield Fault(
            "the events do not give the head's root: events were written anew", head.position
        )
    elif head.at != walk.at or head.frontier != walk.tree.to_bytes():
        yield Fault("the head's time or frontier was altered", head.position)


def outbox(found: Evidence, walk: Walk) -> Iterator[Fault]:
    """Does the outbox hold what the events say?"""
    for key in sorted(found.outbox.keys() | walk.commands.keys()):
        stored, stated = found.outbox.get(key), walk.commands.get(key)
        if stored == stated:
            continue
        if stated is None:
            yield Fault(f"command {key} of the outbox is in no event")
        elif stored is None:
            yield Fault(f"command {key} is missing from the outbox", stated.position)
        else:
            yield Fault(f"command {key} of the outbox was altered", stated.position)


def snapshots(found: Evidence, public: Verifier) -> Iterator[Fault]:
    """Are the snapshots those that were signed?"""
    for snapshot, signature in found.snapshots:
        if not public.holds(snapshot_text(public.name, snapshot), signature):
            yield Fault(f"the snapshot at {snapshot.position} was altered", snapshot.position)


def beyond(found: Evidence, walk: Walk) -> Iterator[Fault]:
    """Is anything stated about events behind the end?"""
    for position in sorted(found.checkpoints):
        if position > walk.position:
            what = f"a checkpoint states {position} events: {missing(walk.position + 1, position)}"
            yield Fault(what, walk.position + 1)
    for number in sorted(found.segments):
        if number * SEGMENT_EVENTS > walk.position:
            yield Fault(f"segment {number} is sealed before it is full", walk.position)


def index(driver: Any, found: Evidence, since: int, begins: int) -> Iterator[Fault]:
    """Does the index of streams lead to the events behind the base, and nowhere else?"""
    head = found.head
    assert head is not None
    (astray,) = driver.execute(
        "SELECT min(events.position) FROM events LEFT JOIN stream_index "
        "ON stream_index.stream = events.stream AND stream_index.seq = events.seq "
        "WHERE events.position > ? AND events.position <= ? "
        "AND stream_index.position IS DISTINCT FROM events.position",
        (since, head.indexed),
    ).fetchone()
    if astray is not None:
        yield Fault("the index of streams does not lead to the event", astray)
    (count,) = driver.execute(
        "SELECT count(*) FROM stream_index WHERE position > ?", (begins,)
    ).fetchone()
    due = max(0, head.indexed - begins)
    if count != due or head.indexed > head.position:
        yield Fault(f"the index of streams holds {count} events instead of {due}")
