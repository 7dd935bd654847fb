"""The file of signed checkpoints beside the ledger, made to be copied to where nobody here writes.

Checkpoints follow each other as signed notes, each ended by an empty line. When the file is full it
is put aside under the position of the next checkpoint and a new one begins.
"""

from __future__ import annotations

import os
from pathlib import Path

ANCHORS_FILE = "anchors"
ANCHORS_BYTES = 64 * 1024 * 1024

_TAIL_BYTES = 4096  # many times a note
_SIGNATURE = "\N{EM DASH} ".encode()


def add_anchor(home: Path, position: int, note: str) -> None:
    """Append a note and flush it to the disk. Raises OSError."""
    path = home / ANCHORS_FILE
    if path.exists() and path.stat().st_size > ANCHORS_BYTES:
        path.rename(path.with_name(f"{ANCHORS_FILE}.{position}"))
    with path.open("ab+") as file:
        start = max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES)
        file.seek(start)
        file.truncate(start + _whole(file.read()))  # a crash may have torn the last one
        file.write(f"{note}\n".encode())
        file.flush()
        os.fsync(file.fileno())


def read_anchors(path: Path) -> list[str]:
    """The notes of such a file, oldest first, without a last one that a crash tore."""
    data = path.read_bytes()
    parts = data[: _whole(data)].decode(errors="replace").split("\n\n")
    return [f"{text}\n\n{line}\n" for text, line in zip(parts[::2], parts[1::2], strict=False)]


def _whole(data: bytes) -> int:
    """How many of the bytes are whole notes: up to the end of the last signature."""
    end = data.rfind(b"\n\n")
    while end >= 0 and not data[data.rfind(b"\n", 0, end) + 1 : end].startswith(_SIGNATURE):
        end = data.rfind(b"\n\n", 0, end)
    return end + 2 if end >= 0 else 0
