"""What a check found, and how it reaches the gate: as a verdict in the inbox, with an expiry."""

from __future__ import annotations

from contextlib import closing
from enum import StrEnum
from typing import Any, NamedTuple

from portcullis.config.settings import Settings
from portcullis.domain.model import HOUR, MINUTE, Verdict
from portcullis.store.inbox import leave_verdict
from portcullis.store.opening import open_inbox

SUMMARY_MAX = 400
DIGEST_SHOWN = 12


class Grade(StrEnum):
    """How a check ended. Only PASS and WARN hold the gate; `MEANS` says what each stands for."""

    PASS = "PASS"  # noqa: S105 - no password
    WARN = "WARN"
    FAIL = "FAIL"
    ERROR = "ERROR"
    EMPTY = "EMPTY"
    STALE = "STALE"
    EARLY = "EARLY"

    @property
    def holds(self) -> bool:
        return self in (Grade.PASS, Grade.WARN)


class Meaning(NamedTuple):
    """A grade in words, and what it does to the gate."""

    says: str
    gate: str


MEANS: dict[Grade, Meaning] = {
    Grade.PASS: Meaning("everything holds", "held"),
    Grade.WARN: Meaning("something a person should look at", "held"),
    Grade.FAIL: Meaning("something critical does not hold", "falls"),
    Grade.ERROR: Meaning("it could not be carried out, three times: that proves nothing", "falls"),
    Grade.EMPTY: Meaning("nothing was there where something was due", "falls"),
    Grade.STALE: Meaning("what is there is older than its deadline", "falls"),
    Grade.EARLY: Meaning("nothing can be due yet, or another run is at it", "as before"),
}
"""The one table of what grades mean; docs/operations.md is compared with it by a test."""


class Finding(NamedTuple):
    """What one run of a check found; `rows` are the lines of its table.

    `suite` is the SHA-256 of the suite that was run, where one was.
    """

    grade: Grade
    summary: str
    rows: list[dict[str, Any]]
    suite: str = ""


class Kind(NamedTuple):
    """A verdict the flows leave: its name in monitoring.yaml and how long it lasts (us).

    `remedy` is what a person does when it does not hold.
    """

    name: str
    lasts: int
    remedy: str = ""


OPERATIONS = Kind(
    "operations",
    2 * MINUTE,
    "Look at the side it names: the worker by `portcullis status`, the operations side in "
    "Prefect's pages (is heartbeat's schedule on?), and what each said last in the home's `logs`.",
)
MARKET_DATA = Kind(
    "market_data",
    3 * MINUTE,
    "Compare with the venue's own screen. Is its stream up? `portcullis status` says so.",
)
EVENT_LOG = Kind(
    "event_log",
    2 * HOUR + 10 * MINUTE,
    "Keep the file, run `portcullis ledger verify`, then restore the newest backup beside it.",
)
LEDGER_ROWS = Kind(
    "ledger_rows",
    2 * HOUR + 10 * MINUTE,
    "Keep the file, look at the rows named here, run `portcullis ledger verify`, then restore.",
)
SNAPSHOT = Kind(
    "snapshot",
    25 * HOUR,
    "Look at the accounts named here: `portcullis account show NAME`; then run the flow again.",
)
CAPITAL = Kind(
    "capital",
    2 * HOUR + 10 * MINUTE,
    "Run `portcullis capital`; then `portcullis ledger verify` and `portcullis replay`.",
)
STRATEGIES = Kind(
    "strategies",
    2 * HOUR + 10 * MINUTE,
    "Run `portcullis strategy list`; then `portcullis ledger verify` and `portcullis replay`.",
)
BACKUP = Kind(
    "backup",
    2 * HOUR,
    "Run `portcullis backup create`: it says what is in the way. Is there room at the target?",
)
RESTORE = Kind(
    "restore",
    8 * 24 * HOUR,
    "Run `portcullis backup drill`; if it fails again, make a backup and keep the old ones.",
)


def verdict_of(kind: Kind, found: Finding, now: int, run_id: str, link: str = "") -> Verdict:
    """A finding as the gate reads it; the summary ends with which suite, and where to look."""
    end = f" (suite {found.suite[:DIGEST_SHOWN]})" if found.suite else ""
    end += "" if found.grade.holds else f" (portcullis evidence show {kind.name})"
    summary = f"{found.grade}: {found.summary}"[: SUMMARY_MAX - len(end)] + end
    return Verdict(kind.name, found.grade.holds, now, now + kind.lasts, summary, run_id, link)


def leave(settings: Settings, verdict: Verdict) -> str:
    """Put a verdict into the inbox; the answer is its request id. The same again changes nothing.

    Raises StoreError when the inbox cannot be written.
    """
    # The inbox that is there now: a restore in place puts another one in its place.
    with closing(open_inbox(settings)) as inbox:
        return leave_verdict(inbox, verdict, "operations")
