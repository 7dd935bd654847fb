"""What was spent of the request budgets, kept where the end of a process does not reach it.

A worker that is killed and started again has the venue's limits behind it that it had before. The
file is a ring of times by the monotonic clock, mapped into memory: writing one costs nothing, and
what a killed process wrote is there. After a reboot that clock begins anew, and what is later than
now is nothing.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Protocol

SLOTS = 256
_SLOT = struct.Struct("<q")


class Spent(Protocol):
    """Times of requests, microseconds by the monotonic clock."""

    def times(self, now: int) -> list[int]:
        """Those up to now, oldest first."""

    def note(self, at: int) -> None: ...


class Forgotten:
    """For a process whose end nobody continues."""

    def times(self, now: int) -> list[int]:  # noqa: ARG002
        return []

    def note(self, at: int) -> None:
        """Nothing is kept."""


class SpentFile:
    """The newest 256 times in a file that is made where missing."""

    def __init__(self, path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(handle, SLOTS * _SLOT.size)
            self._ring = mmap.mmap(handle, SLOTS * _SLOT.size)
        finally:
            os.close(handle)
        kept = self._kept()
        self._next = kept.index(max(kept)) + 1

    def times(self, now: int) -> list[int]:
        return sorted(at for at in self._kept() if 0 < at <= now)

    def note(self, at: int) -> None:
        _SLOT.pack_into(self._ring, self._next % SLOTS * _SLOT.size, at)
        self._next += 1

    def _kept(self) -> list[int]:
        return [at for (at,) in _SLOT.iter_unpack(self._ring[:])]
