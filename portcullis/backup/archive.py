"""The archive: sealed segments of the ledger, one file each, kept for good at the backup target.

What is archived may leave the ledger. Each file holds rows as they lay there and the signed seal
over them; the seals, which stay in the ledger too, and the roots they lead to join the two again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from portcullis.backup.make import LOCK_FILE
from portcullis.backup.shipment import UNPACKED_MAX, ShipmentName, pack, read_label, unpack
from portcullis.backup.target import Target
from portcullis.errors import NotFound, StoreError
from portcullis.ports import StoredEvent
from portcullis.store.chain import SEGMENT_EVENTS, Segment
from portcullis.store.database import LEDGER_FILE
from portcullis.store.keys import PUBLIC_FILE, load_verifier
from portcullis.store.lock import WriterLock
from portcullis.store.merkle import root_of
from portcullis.store.note import Verifier, segment_text
from portcullis.store.pieces import Piece, read_piece
from portcullis.store.place import Place, SqliteFile
from portcullis.store.reading import LedgerReader
from portcullis.store.walk import Walk, as_row

FOLDER = "archive"
SEGMENT = ".segment"
BYTES_MAX = UNPACKED_MAX // 2  # of a segment's payloads


class Held(NamedTuple):
    """What an archive was found to hold, up to event `last`: how many segments, and what is wrong
    with the first that does not hold (empty: nothing).
    """

    segments: int
    last: int
    problem: str = ""


def archive(
    home: Path,
    target: Target,
    recipients: Sequence[str],
    through: int,
    now: int,
    place: Place | None = None,
) -> list[ShipmentName]:
    """Archive every segment that ends at or before event `through`; those that were not there yet,
    or are damaged there: what is archived may leave the ledger next. The ledger is in the home's
    file, or in another place.

    Each is read back. Raises StoreError where one does not hold, StoreLocked while another runs.
    """
    folder, made = target.folder(FOLDER), list[ShipmentName]()
    place = place or SqliteFile(home / LEDGER_FILE)
    public = load_verifier(home / PUBLIC_FILE)
    ledger = public.name.rpartition("/")[2]
    with WriterLock(home / LOCK_FILE):
        folder.sweep(ledger)
        there = set(listed(target, ledger))
        with LedgerReader(place) as reader:
            base = reader.base()
        first_here = base.position // SEGMENT_EVENTS + 1 if base else 1
        for number in range(first_here, through // SEGMENT_EVENTS + 1):
            name = _name(ledger, number)
            if name not in there or not _is_whole(folder, name):
                _put(folder, _sealed(place, name, public), name, ledger, recipients, now)
                made.append(name)
    return made


def listed(target: Target, ledger: str) -> list[ShipmentName]:
    """The archived segments of a ledger, oldest first."""
    names = map(ShipmentName.parse, target.folder(FOLDER).sizes(SEGMENT))
    return sorted(name for name in names if name is not None and name.ledger == ledger[:8])


def archived_through(target: Target, ledger: str) -> int:
    """Up to which event the archive holds everything, as far as the names tell."""
    reached = 0
    for name in listed(target, ledger):
        if name.first != reached + 1:
            break
        reached = name.last
    return reached


def check(
    target: Target, public: Verifier, identities: Sequence[Any], home: Path | Place | None = None
) -> Held:
    """Verify the archive from the first event on: hashes, links, seals, and that it leads to where
    the ledger in `home` begins. Raises NotFound, StoreError, UsageError.
    """
    walk = Walk(lambda _stream, _seq: None)
    segments = 0
    base = _base_of(home)
    met = base is None
    try:
        for piece in _pieces(target, public, identities):
            parts = _split(piece, base.position) if base else [piece.rows]
            for rows in parts:
                fault = walk.over([as_row(row) for row in rows])
                if fault is not None:
                    return Held(segments, walk.position, f"event {fault.position}: {fault.what}")
                if base and walk.position == base.position:
                    if walk.tree.to_bytes() != base.peaks:
                        break
                    met = True
            segments += 1
    except StoreError as error:
        return Held(segments, walk.position, str(error))
    if not met and base is not None:
        problem = f"it does not lead to where the ledger begins, behind event {base.position}"
        return Held(segments, walk.position, problem)
    return Held(segments, walk.position)


def archived_events(
    target: Target, public: Verifier, identities: Sequence[Any], before: int | None = None
) -> Iterator[StoredEvent]:
    """The archived events in order, up to and including `before`."""
    for piece in _pieces(target, public, identities):
        for row in piece.rows:
            if before is not None and row.position > before:
                return
            yield row


def _pieces(target: Target, public: Verifier, identities: Sequence[Any]) -> Iterator[Piece]:
    ledger, expected = public.name.rpartition("/")[2], 1
    names = listed(target, ledger)
    if not names:
        raise NotFound(
            f"there is nothing archived of ledger {ledger[:8]} at {target.address}",
            remedy="events are archived when they are older than `keep_online` in monitoring.yaml",
        )
    folder = target.folder(FOLDER)
    for name in names:
        if name.first != expected:
            raise StoreError(
                f"archive: events {expected}..{name.first - 1} are missing",
                remedy="put the files back from a copy of the archive",
            )
        _, piece = unpack(folder.read(f"{name}{SEGMENT}"), name, identities)
        _check_seal(piece, name, public)
        expected = name.last + 1
        yield piece


def _split(piece: Piece, position: int) -> list[list[StoredEvent]]:
    """The rows up to a position, and those behind it."""
    count = max(0, min(len(piece.rows), position - piece.after))
    return [rows for rows in (piece.rows[:count], piece.rows[count:]) if rows]


def _base_of(home: Path | Place | None) -> Any:
    if home is None or (isinstance(home, Path) and not (home / LEDGER_FILE).exists()):
        return None
    with LedgerReader(home) as reader:
        return reader.base()


def _name(ledger: str, number: int) -> ShipmentName:
    last = number * SEGMENT_EVENTS
    return ShipmentName(ledger[:8], 0, last - SEGMENT_EVENTS + 1, last)


def _sealed(place: Place, name: ShipmentName, public: Verifier) -> Piece:
    """A segment of the ledger, which is what its seal says."""
    piece = read_piece(place, name.first - 1, name.last, bytes_max=BYTES_MAX)
    if (piece.after + 1, piece.last) != (name.first, name.last):
        raise StoreError(
            f"{place}: events {name.first}..{name.last} are not all there",
            remedy="run `portcullis ledger verify`; nothing was archived of them",
        )
    _check_seal(piece, name, public)
    return piece


def _check_seal(piece: Piece, name: ShipmentName, public: Verifier) -> None:
    number = name.last // SEGMENT_EVENTS
    sealed = next((row for row in piece.segments if row[0] == number), None)
    problem = ""
    if sealed is None:
        problem = "its seal is missing"
    elif not public.holds(segment_text(public.name, *sealed[:4]), sealed[4]):
        problem = "its seal was altered"
    elif Segment._make(sealed[:4]) != Segment(number, name.first, name.last, _root(piece)):
        problem = "its events are not those that were sealed"
    if problem:
        raise StoreError(
            f"segment {number} (events {name.first}..{name.last}): {problem}",
            remedy="put the file back from a copy of the archive; the other segments are whole",
        )


def _root(piece: Piece) -> bytes:
    return root_of([row.hash for row in piece.rows])


def _is_whole(folder: Target, name: ShipmentName) -> bool:
    try:
        read_label(folder.read(f"{name}{SEGMENT}"), name)
    except StoreError:
        return False
    return True


def _put(
    folder: Target,
    piece: Piece,
    name: ShipmentName,
    ledger: str,
    recipients: Sequence[str],
    now: int,
) -> None:
    data = pack(piece, name, ledger, "", now, recipients)
    file = f"{name}{SEGMENT}"
    folder.write(file, data)
    read_label(folder.read(file), name)
