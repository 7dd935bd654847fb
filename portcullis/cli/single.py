"""One `portcullis up` per home: a lock that dies with its holder, and a note of who holds it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Self

import msgspec

from portcullis.cli.output import Declined
from portcullis.errors import StoreLocked
from portcullis.store.lock import WriterLock

LOCK_FILE = "up.lock"
NOTE_FILE = "up.json"


class Running(msgspec.Struct, frozen=True):
    """Who runs: process id, since when (local time), and where to find it."""

    pid: int
    since: str
    addresses: dict[str, str]


class OnlyOne:
    """Held for the time of a `with`; raises Declined naming what runs already."""

    def __init__(self, home: Path, addresses: dict[str, str]) -> None:
        self._note = home / NOTE_FILE
        try:
            self._lock = WriterLock(home / LOCK_FILE)
        except StoreLocked as error:
            raise Declined(
                f"it runs already in {home}{_described(self._note)}",
                remedy="look with `portcullis status -w`; stop it with Control-C where it runs",
            ) from error
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        self._note.write_bytes(msgspec.json.encode(Running(os.getpid(), since, addresses)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._note.unlink(missing_ok=True)
        self._lock.__exit__()


def _described(note: Path) -> str:
    """What the note says, as far as it can be read."""
    try:
        found = msgspec.json.decode(note.read_bytes(), type=Running)
    except (OSError, msgspec.MsgspecError):
        return ""
    places = "".join(f"\n  {name}: {address}" for name, address in found.addresses.items())
    return f": process {found.pid}, since {found.since}{places}"
