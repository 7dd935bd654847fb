"""Figures of one moment as tables, so that a suite can judge them inside the database.

Written anew by each run, in a file that only the run of that name writes; the file is no record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from portcullis.store.database import driver_of, explained, open_writer, transaction

Rows = Sequence[Mapping[str, Any]]


def lay_out(path: Path, tables: Mapping[str, tuple[Mapping[str, str], Rows]]) -> None:
    """Put tables into a file in place of what is there: each its columns with their types, and its
    rows. Raises StoreError.
    """
    with explained(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = open_writer(path)
        try:
            with engine.connect() as connection:
                driver = driver_of(connection)
                with transaction(driver):
                    for name, (columns, rows) in tables.items():
                        _put(driver, name, columns, rows)
        finally:
            engine.dispose()


def _put(driver: Any, name: str, columns: Mapping[str, str], rows: Rows) -> None:
    declared = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
    driver.execute(f'DROP TABLE IF EXISTS "{name}"')
    driver.execute(f'CREATE TABLE "{name}" ({declared}) STRICT')
    marks = ", ".join("?" * len(columns))
    driver.executemany(
        f'INSERT INTO "{name}" VALUES ({marks})',  # noqa: S608 - our own names
        [[row[column] for column in columns] for row in rows],
    )
