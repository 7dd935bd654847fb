"""Reading an exported ledger: JSON lines in, facts with their decisions out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from portcullis.errors import UsageError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DECISIONS = frozenset(
    (
        "breach_found",
        "automation_planned",
        "command_issued",
        "lock_set",
        "lock_ended",
        "day_rolled",
        "mode_changed",
        "strategy_moved",
        "proposal_answered",
        "request_answered",
        "alert_raised",
    )
)
WHOLE = (
    "export the whole ledger: portcullis event export, without --account, --kind or --since; "
    "where events were archived, portcullis archive export comes first"
)


class Line(msgspec.Struct):
    """What the audit reads of an exported line; it needs neither hashes nor streams."""

    position: int
    at: datetime
    kind: str
    payload: dict[str, Any]


class Event(NamedTuple):
    """One event of the ledger; `at` in microseconds UTC."""

    position: int
    at: int
    kind: str
    body: dict[str, Any]


class Group(NamedTuple):
    """A fact and the decisions that follow it in the ledger, up to the next fact."""

    fact: Event
    decisions: list[Event]


def events(lines: Iterable[bytes], name: str) -> Iterator[Event]:
    """The events of an export; raises UsageError naming file and line where it cannot be read.

    Positions must run from 1 without a gap: a judge who saw half of the facts cannot judge.
    """
    decode = msgspec.json.Decoder(Line).decode
    expected = 1
    for number, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            line = decode(text)
        except msgspec.DecodeError as error:
            raise UsageError(
                f"{name}, line {number}: not an exported event: {error}",
                remedy="give a file that portcullis event export wrote",
            ) from error
        if line.position != expected:
            raise UsageError(
                f"{name}, line {number}: event {line.position} where {expected} was due",
                remedy=WHOLE,
            )
        if line.at.tzinfo is None:
            raise UsageError(
                f"{name}, line {number}: the time {line.at} has no zone",
                remedy="times are UTC, as portcullis event export writes them",
            )
        expected += 1
        yield Event(line.position, (line.at - EPOCH) // MICROSECOND, line.kind, line.payload)
    if expected == 1:
        raise UsageError(f"{name} holds no event", remedy=WHOLE)


def groups(found: Iterable[Event]) -> Iterator[Group]:
    """Facts, each with the decisions behind it."""
    group: Group | None = None
    for event in found:
        if event.kind in DECISIONS:
            if group is None:
                raise UsageError(
                    f"event {event.position} is a decision before any fact", remedy=WHOLE
                )
            group.decisions.append(event)
        else:
            if group is not None:
                yield group
            group = Group(event, [])
    if group is not None:
        yield group
