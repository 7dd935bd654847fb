"""One writer per store: a lock the operating system lets go of when the process dies."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Self

from portcullis.errors import StoreLocked
from portcullis.store.database import explained

if sys.platform == "win32":
    import msvcrt

    def _take(descriptor: int) -> None:
        os.lseek(
            descriptor, 1 << 20, os.SEEK_SET
        )  # a byte past the text, so that it stays readable
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class WriterLock:
    """Held from construction to the end of its `with`; the file names the holder's process id.

    Raises StoreLocked where another process holds it. The file stays: removing it would let two
    processes lock two files of one name.
    """

    def __init__(self, path: Path) -> None:
        with explained(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _take(self._descriptor)
        except OSError as error:
            holder = os.pread(self._descriptor, 32, 0).decode(errors="replace").strip()
            os.close(self._descriptor)
            raise StoreLocked(
                f"{path.parent}: another worker writes here (process {holder or 'unknown'})",
                remedy=f"stop process {holder or 'holding ' + str(path)}, or name another home",
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
