"""Pieces of the ledger: rows as they lie in the file, taken from one and put behind another's end.

Nothing is spelled anew: what a piece holds goes into the other file byte for byte, signatures
included, so that it needs no key and any version can carry what another one wrote.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from portcullis.domain.events import CommandConcluded, CommandIssued, decode
from portcullis.errors import LedgerBroken, StoreError
from portcullis.ports import StoredEvent
from portcullis.store import queries
from portcullis.store.database import driver_of, explained, open_writer, transaction
from portcullis.store.place import EVENT_COLUMNS, Place, SqliteFile
from portcullis.store.queries import HeadRow

EVENTS_MAX = 20_000
BYTES_MAX = 32 * 1024 * 1024  # of payloads; one event alone may be larger
CHUNK = 2_000


class Piece(msgspec.Struct, frozen=True):
    """Events behind position `after`, and what the file states about them.

    `head` is the signed head where the piece ends at it: without one, nothing in the piece is
    proved before a later piece is.
    """

    after: int
    rows: list[StoredEvent]
    segments: list[tuple[int, int, int, bytes, bytes]]
    checkpoints: list[tuple[int, str]]
    head: HeadRow | None

    @property
    def last(self) -> int:
        """Where it ends."""
        return self.after + len(self.rows)


def read_piece(
    source: Path | Place, after: int, through: int | None = None, *, bytes_max: int = BYTES_MAX
) -> Piece:
    """The next piece behind `after`, of a file or another place as it is now; empty where there is
    nothing new.

    Raises StoreError, and LedgerBroken where events behind `after` are not in the file.
    """
    place = SqliteFile(source) if isinstance(source, Path) else source
    with place.explained(), place.reader().connect() as connection:
        run = connection.exec_driver_sql
        with place.moment(connection):
            head = queries.head(connection)
            if head is None:
                raise StoreError(
                    f"{place}: the head is missing", remedy="restore the newest backup"
                )
            end = head.position if through is None else min(through, head.position)
            rows = _rows(connection, place, after, end, bytes_max)
            last = after + len(rows)
            of_rows = (after, last)
            segments = run(
                "SELECT number, first, last, root, signature FROM segments "
                "WHERE last > ? AND last <= ?",
                of_rows,
            ).all()
            checkpoints = run(
                "SELECT position, note FROM checkpoints WHERE position > ? AND position <= ?",
                of_rows,
            ).all()
    return Piece(
        after,
        rows,
        [(*row,) for row in segments],
        [(*row,) for row in checkpoints],
        head if last == head.position else None,
    )


def _rows(connection: Any, place: Place, after: int, end: int, bytes_max: int) -> list[StoredEvent]:
    """Up to `EVENTS_MAX` rows, or `bytes_max` of payloads. Where a row stands says which event it
    is, so that none may be missing.
    """
    rows: list[StoredEvent] = []
    size = 0
    while len(rows) < EVENTS_MAX and size < bytes_max:
        start = after + len(rows)
        stop = min(start + CHUNK, end, after + EVENTS_MAX)
        found = connection.exec_driver_sql(
            f"SELECT {EVENT_COLUMNS} FROM events WHERE position > ? AND position <= ? "
            "ORDER BY position",
            (start, stop),
        ).all()
        if start < stop and [row[0] for row in found] != list(range(start + 1, stop + 1)):
            raise LedgerBroken(
                f"{place}: not every event behind {start} is there",
                position=start + 1,
                remedy="they were retired, or else: `portcullis ledger verify`",
            )
        rows += map(StoredEvent._make, found)
        size += sum(len(row.payload) for row in found)
        if not found:
            break
    return rows


def extend(path: Path, pieces: Iterable[Piece]) -> None:
    """Put pieces behind the end of a ledger that nobody has open; the last one ends at a head.

    All of them or none. They are put down as they are: verify the file afterwards. Raises
    StoreError.
    """
    with explained(path), open_writer(path).connect() as connection:
        driver = driver_of(connection)
        with transaction(driver):
            head: HeadRow | None = None
            for piece in pieces:
                _put(driver, piece)
                head = piece.head
            if head is None:
                raise StoreError(
                    f"{path}: what was to be put behind it does not end at a signed head",
                    remedy="restore what is proved; this is a defect, tell its developers",
                )
            _move_head(driver, head)
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _put(driver: Any, piece: Piece) -> None:
    marks = ", ".join("?" * len(StoredEvent._fields))
    driver.executemany(f"INSERT INTO events ({EVENT_COLUMNS}) VALUES ({marks})", piece.rows)
    driver.executemany("INSERT INTO segments VALUES (?, ?, ?, ?, ?)", piece.segments)
    driver.executemany("INSERT OR REPLACE INTO checkpoints VALUES (?, ?)", piece.checkpoints)
    for row in piece.rows:
        if row.kind == "command_issued":
            event = decode(row.payload)
            assert isinstance(event, CommandIssued)
            driver.execute(
                "INSERT INTO outbox (key, account, position) VALUES (?, ?, ?) "
                "ON CONFLICT (key) DO NOTHING",
                (event.key, event.account, row.position),
            )
        elif row.kind == "command_concluded":
            event = decode(row.payload)
            assert isinstance(event, CommandConcluded)
            driver.execute(
                "UPDATE outbox SET outcome = ?, concluded = ? WHERE key = ? AND outcome IS NULL",
                (event.outcome, row.position, event.key),
            )


def _move_head(driver: Any, head: HeadRow) -> None:
    """The head as it was signed; the index of streams is brought up to it."""
    driver.execute(
        "INSERT INTO stream_index SELECT stream, seq, position FROM events "
        "WHERE position > (SELECT indexed FROM head) ORDER BY stream, seq"
    )
    driver.execute(
        "UPDATE head SET position = ?, root = ?, at = ?, frontier = ?, signature = ?, indexed = ?",
        (head.position, head.root, head.at, head.frontier, head.signature, head.position),
    )
