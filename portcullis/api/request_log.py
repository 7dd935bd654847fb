"""The request log: a line of JSON each, in a file a day."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from portcullis.api.answers import rfc3339
from portcullis.api.guard import Asked
from portcullis.daily_log import BYTES_MAX, DailyLog

FILE = "api.jsonl"


class RequestLog:
    """Written by one thread."""

    def __init__(self, folder: Path, now: Callable[[], int], bytes_max: int = BYTES_MAX) -> None:
        self._log, self._now = DailyLog(folder / FILE, now, bytes_max), now

    def write(self, asked: Asked) -> None:
        """A line; no key is ever in it, only the id of one that was known."""
        caller = asked.caller
        line = msgspec.json.encode(
            {
                "at": rfc3339(self._now()),
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
        self._log.write(line)

    def close(self) -> None:
        self._log.close()
