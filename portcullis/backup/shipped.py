"""Going on from a backup with what was shipped since: only what a signed head proves is taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from portcullis.backup.shipment import FOLDER, SHIPMENT, Label, ShipmentName, unpack
from portcullis.backup.target import Target
from portcullis.errors import StoreError
from portcullis.store import queries
from portcullis.store.base import base_of
from portcullis.store.database import LEDGER_FILE, explained, open_reader
from portcullis.store.keys import PUBLIC_FILE, load_verifier
from portcullis.store.merkle import Tree
from portcullis.store.note import Checkpoint, Verifier
from portcullis.store.pieces import Piece, extend
from portcullis.store.walk import Walk, as_row

TRIED_MAX = 10_000
BYTES_MAX = 256 * 1024 * 1024


class Continued(NamedTuple):
    """How far shipments led: the last event, when that was shipped (microseconds), how many were
    used, and what stood in the way of going further.
    """

    position: int
    made_at: int
    used: int
    problems: list[str]


class Point(NamedTuple):
    """Where a walk over shipments stands."""

    position: int
    at: int
    streams: dict[bytes, tuple[int, bytes]]
    tree: bytes


def go_on(
    home: Path, target: Target, identities: Sequence[Any], *, until: int | None, moment: int | None
) -> Continued:
    """Put behind the ledger in `home` what was shipped since, up to the first proved end that
    reaches event `until`, or a time after `moment`; without either, all of it.

    What is damaged, forged or of another past is passed over. Raises StoreError, UsageError.
    """
    search = _Search(home, target.folder(FOLDER), identities)
    here, used, made_at = search.start(), list[ShipmentName](), 0
    while not _reaches(here, until, moment):
        found = search.proved_from(here)
        if found is None:
            break
        names, here, made_at = found
        used += names
    if used:
        extend(home / LEDGER_FILE, search.pieces(used))
    return Continued(here.position, made_at, len(used), search.problems)


def _reaches(here: Point, until: int | None, moment: int | None) -> bool:
    if until is not None:
        return here.position >= until
    return moment is not None and here.at > moment


class _Search:
    """The shipments of one ledger, and the way through them."""

    def __init__(self, home: Path, shipments: Target, identities: Sequence[Any]) -> None:
        self._home, self._shipments, self._identities = home, shipments, identities
        self._public: Verifier = load_verifier(home / PUBLIC_FILE)
        self._ledger = self._public.name.rpartition("/")[2]
        self._sizes: dict[ShipmentName, int] = {}
        self._names = self._listed()
        self._bad: set[ShipmentName] = set()
        self._tried = 0
        self.problems: list[str] = []

    def _listed(self) -> list[ShipmentName]:
        """The newest generation first: an older one is of a past that was given up."""
        for text, size in self._shipments.sizes(SHIPMENT).items():
            name = ShipmentName.parse(text)
            if name is not None and name.ledger == self._ledger[:8]:
                self._sizes[name] = size
        return sorted(self._sizes, key=lambda n: (-n.generation, -n.last, n.first))

    def start(self) -> Point:
        """The end of the ledger in the home."""
        path = self._home / LEDGER_FILE
        with explained(path), open_reader(path).connect() as connection:
            head = queries.head(connection)
            ends = queries.stream_ends(connection, base_of(connection, self._public))
        if head is None:
            raise StoreError(f"{path}: the head is missing", remedy="choose another backup")
        streams = {name.encode(): end for name, end in ends.items()}
        return Point(head.position, head.at, streams, head.frontier)

    def proved_from(self, here: Point) -> tuple[list[ShipmentName], Point, int] | None:
        """The next shipments up to one that ends at a signed head with the root they lead to."""
        for name in self._next(here.position):
            step = self._step(here, name)
            if step is None:
                continue
            there, label = step
            if label.note:
                return [name], there, label.made_at
            further = self.proved_from(there)
            if further is not None:
                names, end, made_at = further
                return [name, *names], end, made_at
        return None

    def _next(self, position: int) -> Iterator[ShipmentName]:
        for name in self._names:
            if name.first <= position + 1 <= name.last and name not in self._bad:
                yield name

    def _step(self, here: Point, name: ShipmentName) -> tuple[Point, Label] | None:
        """Walk over a shipment's events; None where they do not follow, or prove nothing."""
        self._tried += 1
        if self._tried > TRIED_MAX:
            return None
        try:
            label, piece = self._open(name)
        except StoreError as error:
            self._bad.add(name)  # whatever came before it, it cannot be read
            self.problems.append(str(error))
            return None
        walk = Walk(lambda _stream, _seq: None)
        walk.position, walk.at = here.position, here.at
        walk.streams = dict(here.streams)
        walk.tree = Tree.from_bytes(here.position, here.tree)
        fault = walk.over([as_row(row) for row in piece.rows[here.position - piece.after :]])
        if fault is not None:
            self.problems.append(f"shipment {name} does not follow: {fault.what}")
            return None
        if label.note and not self._proves(label.note, walk):
            self.problems.append(f"shipment {name}: its signed head is not that of its events")
            return None
        there = Point(walk.position, walk.at, walk.streams, walk.tree.to_bytes())
        return there, label

    def _open(self, name: ShipmentName) -> tuple[Label, Piece]:
        if self._sizes[name] > BYTES_MAX:
            raise StoreError(f"shipment {name}: larger than any", remedy="restore without it")
        return unpack(self._shipments.read(f"{name}{SHIPMENT}"), name, self._identities)

    def _proves(self, note: str, walk: Walk) -> bool:
        try:
            stated = Checkpoint.parse(self._public.open(note))
        except ValueError:
            return False
        return (stated.position, stated.root) == (walk.position, walk.tree.root())

    def pieces(self, names: Sequence[ShipmentName]) -> Iterator[Piece]:
        """The pieces once more, each without what an earlier one holds."""
        reached = self.start().position
        for name in names:
            _, piece = self._open(name)
            yield _behind(piece, reached)
            reached = piece.last


def _behind(piece: Piece, position: int) -> Piece:
    """What of a piece is behind a position."""
    return Piece(
        position,
        piece.rows[position - piece.after :],
        [row for row in piece.segments if row[2] > position],
        [row for row in piece.checkpoints if row[0] > position],
        piece.head,
    )
