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
from portcullis.store.note import Checkpoint, Verifier, snapshot_text

CHUNK_EVENTS = 2_000
LAST_POSITION = 2**63 - 1

EVENT_COLUMNS = ", ".join(StoredEvent._fields)

# A loose index scan: one look-up per stream, however many events the streams have.
_STREAMS = """
WITH RECURSIVE names(stream) AS (
    SELECT min(stream) FROM events
    UNION ALL
    SELECT (SELECT min(stream) FROM events WHERE stream > names.stream)
    FROM names WHERE names.stream IS NOT NULL
)
SELECT stream FROM names WHERE stream IS NOT NULL
"""


class HeadRow(NamedTuple):
    """The head as stored. `frontier` holds the peaks of the tree whose root is `root`."""

    epoch: int
    position: int
    root: bytes
    at: int
    frontier: bytes
    signature: bytes

    def statement(self, origin: str) -> Checkpoint:
        """What `signature` signs."""
        return Checkpoint(origin, self.position, self.root, self.at)


def meta(connection: sa.Connection) -> dict[str, str]:
    """Facts about the file: `ledger_id` and `public_key`; empty in a new one."""
    found = connection.exec_driver_sql("SELECT name, value FROM meta")
    return {row[0]: row[1] for row in found}


def head(connection: sa.Connection) -> HeadRow | None:
    """The head's row, None in a new file."""
    row = connection.exec_driver_sql(
        "SELECT epoch, position, root, at, frontier, signature FROM head"
    ).one_or_none()
    return None if row is None else HeadRow._make(row)


def last_position(connection: sa.Connection) -> int:
    """Where the rows of events end, 0 when there are none."""
    return int(connection.exec_driver_sql("SELECT max(position) FROM events").scalar() or 0)


def stream_ends(connection: sa.Connection) -> dict[str, tuple[int, bytes]]:
    """(seq, hash) of every stream's newest event."""
    last = "SELECT seq, hash FROM events WHERE stream = ? ORDER BY seq DESC LIMIT 1"
    ends = {}
    for name in connection.exec_driver_sql(_STREAMS).scalars().all():
        row = connection.exec_driver_sql(last, (name,)).one()
        ends[name] = (row[0], row[1])
    return ends


def events(
    connection: sa.Connection,
    guard: Callable[[], AbstractContextManager[object]],
    *,
    after: int,
    through: int,
    stream: str | None = None,
    conditions: Sequence[tuple[str, object]] = (),
    newest_first: bool = False,
) -> Iterator[StoredEvent]:
    """Events behind `after` up to `through`, chunk by chunk; `guard` is held around each statement.

    Within a stream the order of seq is that of position, and seq is what its index knows.
    """
    where = [condition for condition, _ in conditions]
    values: list[object] = []
    for _, value in conditions:
        values += value if isinstance(value, tuple) else (value,)
    low, high, column = after, through, "position"
    if stream is not None:
        where, values, column = ["stream = ?", *where], [stream, *values], "seq"
        with guard():
            low, high = (_seq_at(connection, stream, position) for position in (after, through))
    where += [f"{column} > ?", f"{column} <= ?"]
    statement = (
        f"SELECT {EVENT_COLUMNS} FROM events WHERE {' AND '.join(where)} "
        f"ORDER BY {column} {'DESC' if newest_first else ''} LIMIT {CHUNK_EVENTS}"
    )
    while True:
        with guard():
            found = connection.exec_driver_sql(statement, (*values, low, high)).all()
        yield from map(StoredEvent._make, found)
        if len(found) < CHUNK_EVENTS:
            return
        edge = getattr(found[-1], column)
        low, high = (low, edge - 1) if newest_first else (edge, high)


def _seq_at(connection: sa.Connection, stream: str, position: int) -> int:
    """The seq of the stream's newest event up to `position`, 0 when it has none yet."""
    found = connection.exec_driver_sql(
        "SELECT max(seq) FROM events WHERE stream = ? AND position <= ?", (stream, position)
    )
    return int(found.scalar() or 0)


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
