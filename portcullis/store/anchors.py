"""The file of signed checkpoints beside the ledger, made to be copied to where nobody here writes.

Checkpoints follow each other as signed notes, each ended by an empty line. When the file is full it
is put aside under the position of its last checkpoint and a new one begins.
"""

from __future__ import annotations

import os
from pathlib import Path

ANCHORS_FILE = "anchors"
ANCHORS_BYTES = 64 * 1024 * 1024


def add_anchor(home: Path, position: int, note: str) -> None:
    """Append a note and flush it to the disk. Raises OSError."""
    path = home / ANCHORS_FILE
    if path.exists() and path.stat().st_size > ANCHORS_BYTES:
        path.rename(path.with_name(f"{ANCHORS_FILE}.{position}"))
    with path.open("a", encoding="utf-8") as file:
        file.write(note + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_anchors(path: Path) -> list[str]:
    """The notes of such a file, oldest first, without a last one that a crash cut off."""
    parts = path.read_text(encoding="utf-8").split("\n\n")
    return [f"{text}\n\n{line}\n" for text, line in zip(parts[::2], parts[1::2], strict=False)]
