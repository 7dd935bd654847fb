"""The stores a run may have: in memory, or the real ledger on a disk that can lose its power."""

from __future__ import annotations

import random
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from portcullis.errors import StoreError, UsageError
from portcullis.ports import Ledger
from portcullis.store.database import Tuning
from portcullis.store.memory import MemoryLedger


class Store(Protocol):
    """What outlives the worker's process."""

    def open(self) -> Ledger:
        """The ledger as a process that starts now finds it."""

    def end(self, how: str) -> None:
        """The process that had it open is gone: by a `kill`, with the `power`, or by a `stop`."""

    def close(self) -> None:
        """Leave nothing behind."""


class MemoryStore:
    """Everything that was appended is durable, in whole transactions: a disk that never lies."""

    def __init__(self) -> None:
        self._ledger = MemoryLedger()

    def open(self) -> Ledger:
        return self._ledger

    def end(self, how: str) -> None:
        """An append is durable when it returns, so there is nothing to lose."""

    def close(self) -> None:
        """Nothing is held."""


class DiskStore:
    """The real ledger on SQLite, on a disk that keeps for sure only what was synced.

    A kill leaves what was written; without power each unsynced sector is old or new by chance.
    """

    def __init__(self, chance: random.Random) -> None:
        try:
            from portcullis.proof import disk
        except ImportError as error:
            raise UsageError(
                "a run on the simulated disk needs the package apsw",
                remedy="pip install 'portcullis[proof]'",
            ) from error
        self._maker: Any = disk
        self._chance = chance
        self._disk = disk.Disk()
        self._home = Path(tempfile.mkdtemp(prefix="portcullis-proof-"))
        self._ledger: Any = None

    def open(self) -> Ledger:
        from portcullis.store.ledger import SqliteLedger

        tuning = Tuning(self._maker.Driver(self._disk), locking_mode="EXCLUSIVE")
        ledger = self._ledger = SqliteLedger(self._home, tuning)
        return ledger

    def end(self, how: str) -> None:
        if how == "stop":
            self._release()
        left = self._disk
        images = left.after_power_loss(self._chance) if how == "power" else left.images()
        self._disk = self._maker.Disk(images)
        self._release()

    def close(self) -> None:
        self._release()
        shutil.rmtree(self._home, ignore_errors=True)

    def _release(self) -> None:
        """Let go of the lock file, as the end of a process does; what it writes, nobody reads."""
        if self._ledger is not None:
            with suppress(StoreError):
                self._ledger.close()
            self._ledger = None


def store_of(kind: str, chance: random.Random) -> Store:
    """The store a story names."""
    return DiskStore(chance) if kind == "disk" else MemoryStore()
