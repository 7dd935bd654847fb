"""What a worker says when an error ends it: in a file that a full disk still takes.

The ledger may be what failed, so the words lie beside it, in blocks that were taken before. The
next start enters them as `worker_failed`, which shuts the system down until a person looks.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

LAST_WORDS_FILE = "worker.last"
SIZE = 4096


class LastWords:
    """The file of one home; the worker that holds the ledger's lock is its only user."""

    def __init__(self, home: Path) -> None:
        self.path = home / LAST_WORDS_FILE

    def prepare(self) -> str:
        """What the run before said, empty when it said nothing; the file is there from now on.

        Raises OSError where it can neither be read nor made.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            data = b""
        if len(data) != SIZE:
            self._write(data[:SIZE].decode(errors="replace"), os.O_CREAT | os.O_TRUNC)
        return data[:SIZE].rstrip(b"\0").decode(errors="replace")

    def leave(self, words: str) -> None:
        """Say it, as far as the disk still takes it."""
        with suppress(OSError):
            self._write(words)

    def clear(self) -> None:
        """It is in the ledger now. Raises OSError."""
        self._write("")

    def _write(self, words: str, flags: int = 0) -> None:
        data = words.encode(errors="replace")[:SIZE].ljust(SIZE, b"\0")
        descriptor = os.open(self.path, os.O_WRONLY | flags, 0o600)
        try:
            os.pwrite(descriptor, data, 0) if hasattr(os, "pwrite") else os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
