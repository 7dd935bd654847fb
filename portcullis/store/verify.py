"""Verification of a ledger from its file and the public key alone.

    python -m portcullis.store.verify FILE PUBLIC_KEY [--anchors FILE]

It opens read-only, beside a writing worker too. What it shows: every row up to the signed head is
as it was when the head was signed, none is missing and none was added; segments, checkpoints,
snapshots and outbox agree with the events. Checkpoints from outside (`--anchors`) also show a
ledger that was cut or written anew by somebody who has the signing key.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from portcullis.errors import PortcullisError, StoreError
from portcullis.store import evidence
from portcullis.store.anchors import read_anchors
from portcullis.store.base import BaseRow, base_row
from portcullis.store.chain import SEGMENT_EVENTS
from portcullis.store.database import driver_of, explained
from portcullis.store.evidence import Evidence
from portcullis.store.keys import load_verifier
from portcullis.store.merkle import Tree
from portcullis.store.note import Checkpoint, Verifier
from portcullis.store.place import EVENT_COLUMNS, Place, SqliteFile
from portcullis.store.walk import ODD_VALUES, CommandState, Fault, Walk, missing

CHUNK_EVENTS = 2_000


class Mark(msgspec.Struct, frozen=True):
    """How far a ledger is verified; an incremental verification goes on from there.

    `note` is the signed head it ended at. The mark's tree must give that head's root.
    """

    note: str
    position: int
    at: int
    peaks: bytes
    streams: dict[bytes, tuple[int, bytes]]
    commands: dict[str, CommandState]

    def to_bytes(self) -> bytes:
        return msgspec.msgpack.encode(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Mark:
        """Raises msgspec.MsgspecError on anything else."""
        return msgspec.msgpack.decode(data, type=cls)


class Verification(NamedTuple):
    """What a verification found.

    `events` is how many rows were checked, `what` why the ledger does not hold (empty when it
    does), `position`, `stream` and `seq` where; `mark` is None unless it holds.
    """

    ok: bool
    events: int
    position: int | None
    stream: str | None
    seq: int | None
    what: str
    mark: Mark | None

    def __str__(self) -> str:
        if self.ok:
            return f"holds: {self.events} events checked"
        where = f" at position {self.position}" if self.position else ""
        place = f" ({self.stream}, seq {self.seq})" if self.stream else ""
        return f"does not hold{where}{place}: {self.what}"


def verify(
    path: Path, public: Verifier, *, since: Mark | None = None, anchors: Sequence[str] = ()
) -> Verification:
    """Verify the file as it is now, from the beginning or from a mark on.

    Raises StoreError when the file cannot be opened or is no ledger.
    """
    return verify_place(SqliteFile(path), public, since=since, anchors=anchors)


def verify_place(
    place: Place, public: Verifier, *, since: Mark | None = None, anchors: Sequence[str] = ()
) -> Verification:
    """As `verify`, wherever the ledger lies."""
    with place.explained(), place.reader().connect() as connection:
        driver = driver_of(connection)
        walk = Walk(lambda stream, seq: _link_to(driver, stream, seq))
        row, is_whole = base_row(connection), since is None
        try:
            base = _mark_of(row, public) if row else None
        except ValueError as error:
            what, where = str(error), row.position if row else None
            return Verification(False, 0, where, None, None, what, None)
        if base is not None and (since is None or since.position < base.position):
            since = base
        start = since.position if since else 0
        try:
            found = evidence.gather(place, connection, start)
            place.take_texts_as_bytes(driver)
            with place.explained():
                faults = _faults(driver, public, found, walk, since, anchors, base)
                fault = next(faults, None)
                if fault is None and is_whole and (damage := place.damage(driver)):
                    fault = Fault(damage)
        except (StoreError, *ODD_VALUES) as error:
            fault = Fault(f"the file cannot be read on: {error}", walk.position + 1)
    checked = max(0, walk.position - start)
    if fault is not None:
        return Verification(False, checked, *fault[1:], fault.what, None)
    return Verification(True, checked, None, None, None, "", _mark(public, found, walk))


def _faults(
    driver: Any,
    public: Verifier,
    found: Evidence,
    walk: Walk,
    since: Mark | None,
    anchors: Sequence[str],
    base: Mark | None,
) -> Iterator[Fault]:
    """Everything that does not hold, in the order in which it should be heard."""
    yield from evidence.identity(found, public)
    if since is not None:
        yield from _resume(walk, since, public)
    for note in anchors:
        yield from _add_anchor(note, public, found.checkpoints, walk.position)
    yield from _events(driver, public, found, walk)
    yield from evidence.end(found, public, walk)
    yield from evidence.beyond(found, walk)
    begins = base.position if base else 0
    yield from evidence.index(driver, found, since.position if since else 0, begins)
    yield from evidence.outbox(found, walk)
    yield from evidence.snapshots(found, public)


def _mark_of(row: BaseRow, public: Verifier) -> Mark:
    """A base as a mark to go on from. Raises ValueError where it is not what was signed."""
    base = row.opened(public)
    return Mark(
        row.note,
        base.position,
        base.at,
        base.peaks,
        {name.encode(): end for name, end in base.streams.items()},
        {key: CommandState(each.account, each.position) for key, each in base.commands.items()},
    )


def _resume(walk: Walk, since: Mark, public: Verifier) -> Iterator[Fault]:
    """Put the walk where the mark says, if the mark is what the signed head says."""
    try:
        stated = Checkpoint.parse(public.open(since.note))
        tree = Tree.from_bytes(since.position, since.peaks)
    except ValueError as error:
        yield Fault(f"the mark to go on from cannot be used: {error}", since.position)
        return
    if (stated.position, stated.at, stated.root) != (since.position, since.at, tree.root()):
        yield Fault("the mark to go on from is not what was signed", since.position)
    walk.position, walk.at, walk.tree = since.position, since.at, tree
    walk.streams = dict(since.streams)
    walk.commands = dict(since.commands)


def _add_anchor(
    note: str, public: Verifier, checkpoints: dict[int, list[str]], begins: int
) -> Iterator[Fault]:
    """Put a checkpoint from outside among those of the file. One of events that are not looked at
    says nothing about the others.
    """
    try:
        position = Checkpoint.parse(public.open(note)).position
    except ValueError as error:
        yield Fault(f"a checkpoint from outside is not this ledger's: {error}")
        return
    if position > begins:
        checkpoints.setdefault(position, []).append(note)


def _events(driver: Any, public: Verifier, found: Evidence, walk: Walk) -> Iterator[Fault]:
    """Walk over the rows, stopping wherever something is stated about them."""
    stated = sorted(position for position in found.checkpoints if position > walk.position)
    while walk.position < found.last:
        full = walk.position - walk.position % SEGMENT_EVENTS + SEGMENT_EVENTS
        stop = min(full, found.last, *(p for p in stated[:1]))
        yield from _rows(driver, walk, stop)
        if stop == full:
            yield from evidence.segment(found, public, full // SEGMENT_EVENTS, walk.sealed[0])
        if stated[:1] == [stop]:
            for note in found.checkpoints[stated.pop(0)]:
                yield from evidence.checkpoint(note, public, walk, stop)


def _rows(driver: Any, walk: Walk, stop: int) -> Iterator[Fault]:
    """Walk up to `stop`."""
    cursor = driver.execute(
        f"SELECT {EVENT_COLUMNS} FROM events WHERE position > ? AND position <= ? "
        "ORDER BY position",
        (walk.position, stop),
    )
    while rows := cursor.fetchmany(CHUNK_EVENTS):
        fault = walk.over(rows)
        if fault is not None:
            yield fault
    if walk.position < stop:
        (following,) = driver.execute(
            "SELECT min(position) FROM events WHERE position > ?", (walk.position,)
        ).fetchone()
        first = walk.position + 1
        yield Fault(missing(first, following - 1 if following else stop), first)


def _link_to(driver: Any, stream: bytes, seq: int) -> bytes | None:
    """What the stream's event `seq` gives as its previous hash."""
    row = driver.execute(
        "SELECT previous FROM events WHERE stream = ? AND seq = ?",
        (stream.decode(errors="replace"), seq),
    ).fetchone()
    return row[0] if row else None


def _mark(public: Verifier, found: Evidence, walk: Walk) -> Mark:
    head = found.head
    assert head is not None
    return Mark(
        note=public.note(head.statement(public.name).text(), head.signature),
        position=walk.position,
        at=walk.at,
        peaks=walk.tree.to_bytes(),
        streams=walk.streams,
        commands={key: state for key, state in walk.commands.items() if state.outcome is None},
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 0 when the ledger holds, 1 when it does not, 2 when it cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -m portcullis.store.verify", description="Verify a ledger, read-only."
    )
    parser.add_argument("file", type=Path, help="the ledger's file, ledger.db or a copy of it")
    parser.add_argument("public_key", type=Path, help="the file ledger.pub, kept from before")
    parser.add_argument("--anchors", type=Path, help="a file of checkpoints kept elsewhere")
    options = parser.parse_args(arguments)
    try:
        public = load_verifier(options.public_key)
        with explained(options.anchors or options.file):
            anchors = read_anchors(options.anchors) if options.anchors else []
        found = verify(options.file, public, anchors=anchors)
    except PortcullisError as error:
        print(f"{error}\n{error.remedy}", file=sys.stderr)
        return 2
    print(found)
    return 0 if found.ok else 1


if __name__ == "__main__":
    sys.exit(main())
