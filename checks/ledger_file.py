"""The ledger as a file that suites can query: itself, or of a server the rows they look at."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from portcullis.config.settings import Settings
from portcullis.store.database import LEDGER_FILE, driver_of, transaction
from portcullis.store.opening import place_of
from portcullis.store.place import LEDGER, SqliteFile

_WHOLE = ("head", "snapshots", "segments", "checkpoints")
_OF_WINDOW = {
    "events": "position BETWEEN ? AND ? OR position > (SELECT indexed FROM head)",
    # The row of each stream that is in front of its first one in the window.
    "stream_index": "(stream, seq) IN (SELECT stream, min(seq) - 1 FROM events "
    "WHERE position BETWEEN ? AND ? GROUP BY stream)",
    "outbox": "position BETWEEN ? AND ? OR concluded BETWEEN ? AND ?",
}
CHUNK = 5_000


@contextmanager
def ledger_file(settings: Settings, windows: Sequence[tuple[int, int]] = ()) -> Iterator[Path]:
    """The ledger's file; of a server a copy, for as long as it is needed, of the positions of
    `windows` (first, last) and of everything stated about them. Raises StoreError.
    """
    if not settings.store_url:
        yield settings.ledger_path
        return
    settings.operations_path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=settings.operations_path, prefix=".rows-") as folder:
        copy = SqliteFile(Path(folder) / LEDGER_FILE, LEDGER._replace(lock=None))
        place = place_of(settings)
        with (
            place.explained(),
            copy.writer() as target,
            place.reader().connect() as source,
            place.moment(source),
            transaction(driver_of(target)),
        ):
            for table in _WHOLE:
                _copy(source, driver_of(target), table, "true", ())
            for first, last in windows:
                for table, where in _OF_WINDOW.items():
                    bounds = (first, last) * (where.count("?") // 2)
                    _copy(source, driver_of(target), table, where, bounds)
        yield copy.path


def _copy(
    source: sa.Connection, target: Any, table: str, where: str, bounds: tuple[int, ...]
) -> None:
    found = source.exec_driver_sql(f"SELECT * FROM {table} WHERE {where}", bounds)  # noqa: S608
    columns = list(found.keys())
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"  # noqa: S608
    while rows := found.fetchmany(CHUNK):
        target.executemany(insert, [tuple(row) for row in rows])
