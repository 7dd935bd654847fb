"""What a check found, and how it reaches the gate: as a verdict in the inbox, with an expiry."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from portcullis.domain.model import HOUR, MINUTE, Verdict
from portcullis.store.inbox import SqliteInbox

SUMMARY_MAX = 400


class Grade(StrEnum):
    """How a check ended. Only PASS and WARN hold the gate."""

    PASS = "PASS"  # noqa: S105 - no password
    WARN = "WARN"
    FAIL = "FAIL"
    ERROR = "ERROR"  # it could not be carried out, which proves nothing
    EMPTY = "EMPTY"  # there was nothing to look at where something was due
    EARLY = "EARLY"  # nothing can be due yet: no verdict is left either way

    @property
    def holds(self) -> bool:
        return self in (Grade.PASS, Grade.WARN)


class Finding(NamedTuple):
    """What one run of a check found; `rows` are the lines of its table.

    `suite` is the SHA-256 of the suite that was run, where one was.
    """

    grade: Grade
    summary: str
    rows: list[dict[str, Any]]
    suite: str = ""


class Kind(NamedTuple):
    """A verdict the flows leave: its name in monitoring.yaml and how long it lasts (us)."""

    name: str
    lasts: int


OPERATIONS = Kind("operations", 2 * MINUTE)
MARKET_DATA = Kind("market_data", 3 * MINUTE)
EVENT_LOG = Kind("event_log", 2 * HOUR + 10 * MINUTE)
LEDGER_ROWS = Kind("ledger_rows", 2 * HOUR + 10 * MINUTE)
SNAPSHOT = Kind("snapshot", 25 * HOUR)
BACKUP = Kind("backup", 2 * HOUR)
RESTORE = Kind("restore", 8 * 24 * HOUR)


def verdict_of(kind: Kind, found: Finding, now: int, run_id: str, link: str = "") -> Verdict:
    """A finding as the gate reads it."""
    summary = f"{found.grade}: {found.summary}"[:SUMMARY_MAX]
    return Verdict(kind.name, found.grade.holds, now, now + kind.lasts, summary, run_id, link)


def leave(home: Path, verdict: Verdict) -> str:
    """Put a verdict into the inbox; the answer is its request id. The same again changes nothing.

    Raises StoreError when the inbox cannot be written.
    """
    request_id = f"verdict-{verdict.name}-{verdict.run_id}-{verdict.checked_at}"
    body = msgspec.msgpack.encode(verdict)
    inbox_of(home).ask(request_id, "verdict", "operations", "operator", body, verdict.checked_at)
    return request_id


@lru_cache(maxsize=4)
def inbox_of(home: Path) -> SqliteInbox:
    """One open inbox per home and process: opening it looks at the schema each time."""
    return SqliteInbox(home)
