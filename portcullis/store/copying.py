"""A consistent copy of a file that another process is writing."""

from __future__ import annotations

import os
from pathlib import Path

from pysqlite3 import dbapi2

from portcullis.store.database import driver_of, explained, open_reader


def copy_online(source: Path, copy: Path) -> None:
    """Copy a database as it is at one moment, durably. Raises StoreError.

    In one step: in several the copying begins anew with every commit of the writer and, beside a
    busy one, never ends (measured).
    """
    with explained(source), open_reader(source).connect() as connection:
        reader = driver_of(connection)
        made = dbapi2.connect(str(copy))
        try:
            reader.backup(made, pages=-1)
            made.execute("PRAGMA journal_mode=DELETE")
        finally:
            made.close()
    descriptor = os.open(copy, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
