"""One writer per store: a lock the operating system lets go of when the process dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO, Self

from portcullis.errors import StoreLocked
from portcullis.store.database import explained

if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[str]) -> None:
        file.seek(1 << 20)  # a byte behind the text, so that the text stays readable
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


class WriterLock:
    """Held from construction to the end of its `with`; the file names the holder's process id.

    Raises StoreLocked where another process holds it. The file stays: removing it would let two
    processes lock two files of one name.
    """

    def __init__(self, path: Path) -> None:
        with explained(path):
            self._file = path.open("a+")
        try:
            _take(self._file)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read(32).strip() or "unknown"
            self._file.close()
            raise StoreLocked(
                f"{path.parent}: another worker writes here (process {holder})",
                remedy=f"stop process {holder}, or name another home",
            ) from error
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
