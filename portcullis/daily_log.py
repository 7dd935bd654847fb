"""A log of lines: a file a day, packed when it is done with, thirty of them kept.

It tells what happened to whoever looks; the ledger, not this, is what decisions stand on.
"""

from __future__ import annotations

import gzip
import shutil
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

BYTES_MAX = 100 * 2**20
KEPT = 30
MICRO = 1_000_000


class DailyLog:
    """Written by one thread; packing goes on beside it. Raises OSError as files do."""

    def __init__(self, path: Path, now: Callable[[], int], bytes_max: int = BYTES_MAX) -> None:
        """`now` in microseconds. Only their owner can read the files."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path, self._now, self._bytes_max = path, now, bytes_max
        self._packing: threading.Thread | None = None
        self._open()
        self._start_packing()  # what an end in the middle of it left

    def write(self, line: bytes) -> None:
        """Add a line, without its end."""
        if day_of(self._now()) != self._day or self._size >= self._bytes_max:
            self._rotate()
        self._file.write(line + b"\n")
        self._file.flush()
        self._size += len(line) + 1

    def close(self) -> None:
        self._file.close()
        if self._packing is not None:
            self._packing.join()

    def _open(self) -> None:
        self._file: IO[bytes] = self._path.open("ab")
        self._path.chmod(0o600)
        found = self._path.stat()
        self._size = found.st_size
        self._day = day_of(round(found.st_mtime * MICRO) if found.st_size else self._now())

    def _rotate(self) -> None:
        """Put the file aside under its day and a number, and begin another."""
        self._file.close()
        if self._packing is not None:
            self._packing.join()
        stem, suffix, number = self._path.stem, self._path.suffix, 1
        while any(self._path.parent.glob(f"{stem}-{self._day}.{number:03d}{suffix}*")):
            number += 1
        self._path.rename(self._path.with_name(f"{stem}-{self._day}.{number:03d}{suffix}"))
        self._open()
        self._day = day_of(self._now())
        self._start_packing()

    def _start_packing(self) -> None:
        aside = sorted(self._path.parent.glob(f"{self._path.stem}-*{self._path.suffix}"))
        if aside:
            self._packing = threading.Thread(target=self._pack, args=(aside,), name="packing")
            self._packing.start()

    def _pack(self, aside: list[Path]) -> None:
        """Pack files, each whole or not at all; then drop the oldest of all."""
        for each in aside:
            packed = each.with_name(each.name + ".gz")
            begun = each.with_name(each.name + ".tmp")
            with each.open("rb") as source, gzip.open(begun, "wb") as target:
                begun.chmod(0o600)
                shutil.copyfileobj(source, target)
            begun.replace(packed)
            each.unlink()
        folder, stem = self._path.parent, self._path.stem
        for old in sorted(folder.glob(f"{stem}-*{self._path.suffix}.gz"))[:-KEPT]:
            old.unlink(missing_ok=True)


def day_of(at: int) -> str:
    """The day of a moment, UTC."""
    return datetime.fromtimestamp(at // MICRO, UTC).strftime("%Y-%m-%d")
