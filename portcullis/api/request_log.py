"""The request log: a line of JSON each, a file a day, packed when it is done with, 30 kept."""

from __future__ import annotations

import gzip
import shutil
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import IO

import msgspec

from portcullis.api.answers import EPOCH, rfc3339
from portcullis.api.guard import Asked

FILE = "api.jsonl"
BYTES_MAX = 100 * 2**20
KEPT = 30


class RequestLog:
    """Written by one thread; packing goes on beside it."""

    def __init__(self, folder: Path, now: Callable[[], int], bytes_max: int = BYTES_MAX) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._now, self._bytes_max = folder, now, bytes_max
        self._packing: threading.Thread | None = None
        self._open()

    def write(self, asked: Asked) -> None:
        """A line; no key is ever in it, only the id of one that was known."""
        now = self._now()
        if _day(now) != self._day or self._size >= self._bytes_max:
            self._rotate()
        caller = asked.caller
        line = msgspec.json.encode(
            {
                "at": rfc3339(now),
                "request_id": asked.request_id,
                "trace_id": asked.trace.trace_id,
                "span_id": asked.trace.span_id,
                "parent_id": asked.parent,
                "asked": asked.asked,
                "method": asked.method,
                "path": asked.path,
                "query": asked.query,
                "status": asked.status,
                "bytes": asked.sent,
                "ms": round(asked.took * 1000, 2),
                "address": caller.address,
                "key": caller.key_id,
                "name": caller.name,
                "role": caller.role,
                "refusal": asked.refusal,
            }
        )
        self._file.write(line + b"\n")
        self._file.flush()
        self._size += len(line) + 1

    def close(self) -> None:
        self._file.close()
        if self._packing is not None:
            self._packing.join()

    def _open(self) -> None:
        path = self._folder / FILE
        self._file: IO[bytes] = path.open("ab")
        path.chmod(0o600)
        found = path.stat()
        self._size = found.st_size
        self._day = _day(round(found.st_mtime * 1_000_000) if found.st_size else self._now())

    def _rotate(self) -> None:
        """Put the file aside under its day and a number, and begin another."""
        self._file.close()
        if self._packing is not None:
            self._packing.join()
        number = 1
        while any(self._folder.glob(f"api-{self._day}.{number:03d}.jsonl*")):
            number += 1
        aside = self._folder / f"api-{self._day}.{number:03d}.jsonl"
        (self._folder / FILE).rename(aside)
        self._open()
        self._day = _day(self._now())
        self._packing = threading.Thread(target=self._pack, args=(aside,), name="packing")
        self._packing.start()

    def _pack(self, aside: Path) -> None:
        packed = aside.with_suffix(".jsonl.gz")
        with aside.open("rb") as source, gzip.open(packed, "wb") as target:
            packed.chmod(0o600)
            shutil.copyfileobj(source, target)
        aside.unlink()
        for old in sorted(self._folder.glob("api-*.jsonl.gz"))[:-KEPT]:
            old.unlink(missing_ok=True)


def _day(at: int) -> str:
    return (EPOCH + timedelta(microseconds=at)).strftime("%Y-%m-%d")
