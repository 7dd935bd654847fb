"""Exports with something done to them: a decision left out, a figure changed, an event moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from portcullis.audit.inquiry import audit
from portcullis.audit.report import Report

Event = dict[str, Any]


def parsed(lines: Iterable[bytes]) -> list[Event]:
    return [msgspec.json.decode(line) for line in lines]


def audited(events: list[Event]) -> Report:
    """The audit of events; positions are given anew, as a forger would."""
    lines = [
        msgspec.json.encode(event | {"position": number})
        for number, event in enumerate(events, start=1)
    ]
    return audit(lines, "doctored")


def without(events: list[Event], index: int) -> list[Event]:
    return events[:index] + events[index + 1 :]


def changed(events: list[Event], index: int, **payload: Any) -> list[Event]:
    event = events[index] | {"payload": events[index]["payload"] | payload}
    return [*events[:index], event, *events[index + 1 :]]


def places(
    events: list[Event], kind: str, wanted: Callable[[Event], bool] | None = None
) -> list[int]:
    """Where events of a kind stand."""
    return [
        index
        for index, event in enumerate(events)
        if event["kind"] == kind and (wanted is None or wanted(event["payload"]))
    ]


def found(report: Report) -> set[tuple[str, str]]:
    """What the audit complains of: kind of difference and rule."""
    return {(each.kind, each.rule) for each in report.differences}
