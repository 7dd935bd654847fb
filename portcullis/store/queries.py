"""What is read from the ledger's file, by its writer and by readers alike.

Long reads come in chunks, each a statement of its own: none holds on to the file's past, so the
write-ahead log can always start over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import sqlalchemy as sa

from portcullis.ports import PendingCommand, Snapshot, StoredEvent
from portcullis.store.base import Base
from portcullis.store.database import driver_of
from portcullis.store.note import Checkpoint, Verifier, snapshot_text
from portcullis.store.place import EVENT_COLUMNS

CHUNK_EVENTS = 2_000

# A loose index scan: one look-up per stream, however many events the streams have.
_INDEXED_STREAMS = """
WITH RECURSIVE names(stream) AS (
    SELECT min(stream) FROM stream_index
    UNION ALL
    SELECT (SELECT min(stream) FROM stream_index WHERE stream > names.stream)
    FROM names WHERE names.stream IS NOT NULL
)
SELECT stream FROM names WHERE stream IS NOT NULL
"""
_INDEXED_END = """
SELECT events.seq, hash FROM stream_index JOIN events USING (position)
WHERE stream_index.stream = ? ORDER BY stream_index.seq DESC LIMIT 1
"""
_SEQ_AT = """
SELECT coalesce(max(seq), 0) FROM (
    SELECT max(seq) AS seq FROM stream_index WHERE stream = ? AND position <= ?
    UNION ALL
    SELECT max(seq) FROM events WHERE position > (SELECT indexed FROM head)
    AND stream = ? AND position <= ?
) AS found
"""
_OF_POSITIONS = "position > ? AND position <= ?"
_OF_STREAM = """
position IN (
    SELECT position FROM stream_index WHERE stream = ? AND seq > ? AND seq <= ?
    UNION ALL
    SELECT position FROM events WHERE position > (SELECT indexed FROM head)
    AND stream = ? AND seq > ? AND seq <= ?
)
"""


class HeadRow(NamedTuple):
    """The head as stored. `frontier` holds the peaks of the tree whose root is `root`.

    Events up to `indexed` are in `stream_index`.
    """

    epoch: int
    position: int
    root: bytes
    at: int
    frontier: bytes
    signature: bytes
    indexed: int

    def statement(self, origin: str) -> Checkpoint:
        """What `signature` signs."""
        return Checkpoint(origin, self.position, self.root, self.at)


def meta(connection: sa.Connection) -> dict[str, str]:
    """Facts about the file: `ledger_id` and `public_key`; empty in a new one."""
    found = connection.exec_driver_sql("SELECT name, value FROM meta")
    return {row[0]: row[1] for row in found}


def head(connection: sa.Connection) -> HeadRow | None:
    """The head's row, None in a new file."""
    row = connection.exec_driver_sql(f"SELECT {', '.join(HeadRow._fields)} FROM head").one_or_none()
    return None if row is None else HeadRow._make(row)


def last_position(connection: sa.Connection) -> int:
    """Where the rows of events end, 0 when there are none."""
    return int(connection.exec_driver_sql("SELECT max(position) FROM events").scalar() or 0)


def _first_position(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql("SELECT min(position) FROM events").scalar() or 1)


def stream_ends(
    connection: sa.Connection, base: Base | None = None
) -> dict[str, tuple[int, bytes]]:
    """(seq, hash) of every stream's newest event, those before the base included."""
    ends = dict(base.streams) if base else {}
    for name in connection.exec_driver_sql(_INDEXED_STREAMS).scalars().all():
        seq, digest = connection.exec_driver_sql(_INDEXED_END, (name,)).one()
        ends[name] = (seq, digest)
    for name, seq, digest in connection.exec_driver_sql(
        "SELECT stream, seq, hash FROM events WHERE position > (SELECT indexed FROM head) "
        "ORDER BY position"
    ):
        ends[name] = (seq, digest)
    return ends


def events(
    connection: sa.Connection,
    guard: Callable[[], AbstractContextManager[object]],
    *,
    after: int,
    through: int | None = None,
    stream: str | None = None,
    conditions: Sequence[tuple[str, object]] = (),
    newest_first: bool = False,
) -> Iterator[StoredEvent]:
    """Events behind `after` up to `through`, as the file is now; `guard` is held around reading.

    Each statement looks at `CHUNK_EVENTS` numbers at most: positions, or the seqs of one stream.
    """
    with guard():
        last, first = last_position(connection), _first_position(connection)
        low, high = max(after, first - 1), last if through is None else min(through, last)
        if stream is not None:
            low, high = (_seq_at(connection, stream, position) for position in (after, high))
    where = [_OF_POSITIONS if stream is None else _OF_STREAM]
    where += [condition for condition, _ in conditions]
    values = [
        v for _, value in conditions for v in (value if isinstance(value, tuple) else (value,))
    ]
    statement = (
        f"SELECT {EVENT_COLUMNS} FROM events WHERE {' AND '.join(where)} "
        f"ORDER BY position {'DESC' if newest_first else ''}"
    )
    driver = driver_of(connection)
    starts = range(low, high, CHUNK_EVENTS)
    for start in reversed(starts) if newest_first else starts:
        window: tuple[object, ...] = (start, min(start + CHUNK_EVENTS, high))
        if stream is not None:
            window = (stream, *window, stream, *window)
        with guard():
            found = driver.execute(statement, (*window, *values)).fetchall()
        yield from map(StoredEvent._make, found)


def _seq_at(connection: sa.Connection, stream: str, position: int) -> int:
    """The seq of the stream's newest event up to `position`, 0 when it has none yet."""
    found = connection.exec_driver_sql(_SEQ_AT, (stream, position, stream, position))
    return int(found.scalar_one())


def pending(connection: sa.Connection) -> list[PendingCommand]:
    """Outbox rows without an outcome, oldest first."""
    found = connection.exec_driver_sql(
        "SELECT key, account, position FROM outbox WHERE outcome IS NULL ORDER BY position"
    )
    return [PendingCommand._make(row) for row in found]


def newest_signed(connection: sa.Connection, verifier: Verifier, origin: str) -> Snapshot | None:
    """The newest snapshot whose signature holds; verification names those whose does not."""
    found = connection.exec_driver_sql(
        "SELECT position, taken_at, version, state, signature FROM snapshots ORDER BY position DESC"
    )
    for row in found:
        snapshot = Snapshot._make(row[:4])
        if verifier.holds(snapshot_text(origin, snapshot), row[4]):
            found.close()
            return snapshot
    return None
