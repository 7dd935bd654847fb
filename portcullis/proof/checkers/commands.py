"""Enforcement at the venue: once, truthfully confirmed, and in the end done."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from portcullis.domain.commands import Close, Flatten, PlaceStop, Submit
from portcullis.domain.events import CommandConcluded, CommandIssued
from portcullis.domain.model import STOP_KEY
from portcullis.proof.checkers.record import Record

STAMPS_AHEAD = 1_000
"""Each event of the venue has a microsecond of its own, so many at one instant run ahead of it."""


def opening_orders_are_sent_once(record: Record) -> Iterator[str]:
    """An order we place is taken by the venue at most once, whatever was not answered."""
    taken: Counter[str] = Counter()
    for entry in record.exchange.journal:
        if entry.call == "place_order" and entry.key:
            taken[entry.key] += (entry.what == "requested") - (
                entry.what in ("refused", "repeated")
            )
    for _, event in record.of(CommandIssued):
        command: Any = event.command
        key = event.key
        if isinstance(command, PlaceStop):
            key += STOP_KEY
        if isinstance(command, PlaceStop | Submit) and taken[key] > 1:
            yield f"the venue took {type(command).__name__} {key} {taken[key]} times"


def opening_orders_ask_once(record: Record) -> Iterator[str]:
    """An opening order leaves once: a request whose outcome is unknown is looked up, not resent."""
    asked = Counter(
        entry.key
        for entry in record.exchange.journal
        if entry.call == "place_order" and entry.what == "requested"
    )
    for _, event in record.of(CommandIssued):
        command: Any = event.command
        key = event.key
        if isinstance(command, Submit) and asked[key] > 1:
            yield f"opening order {key} was sent {asked[key]} times"


def commands_end_once(record: Record) -> Iterator[str]:
    """No command has two outcomes; when all is well again, none is without."""
    ended = Counter(event.key for _, event in record.of(CommandConcluded))
    for row, event in record.of(CommandIssued):
        if ended[event.key] > 1:
            yield f"command {event.key} ended {ended[event.key]} times"
        if record.is_settled and not ended[event.key]:
            yield f"command {event.key} of event {row.position} has no outcome after the calm"


class _Holdings:
    """What the venue's journal says an account held, over time."""

    def __init__(self, record: Record) -> None:
        changes: dict[tuple[str, str], list[tuple[int, int]]] = {}
        for entry in record.exchange.journal:
            if entry.what == "executed":
                signed = entry.side * entry.size
                changes.setdefault((entry.account, entry.instrument), []).append((entry.at, signed))
        self._times = {key: [at for at, _ in rows] for key, rows in changes.items()}
        self._sizes = {
            key: [0, *accumulate(signed for _, signed in rows)] for key, rows in changes.items()
        }

    def was_flat(self, account: str, instrument: str | None, start: int, end: int) -> bool:
        """Whether each position was nothing at some moment between two times of the venue."""
        return all(
            0 in self._sizes[key][bisect_right(times, start) : bisect_right(times, end) + 1]
            for key, times in self._times.items()
            if key[0] == account and instrument in (None, key[1])
        )


def confirmed_means_flat(record: Record) -> Iterator[str]:
    """A flatten or close that counts as confirmed really left nothing, by the venue's journal."""
    holdings = _Holdings(record)
    issued: dict[str, tuple[int, Any]] = {}
    for row, event in record.events:
        if isinstance(event, CommandIssued):
            issued[event.key] = (row.position, event.command)
        if not isinstance(event, CommandConcluded) or event.outcome != "confirmed":
            continue
        position, command = issued[event.key]
        if not isinstance(command, Flatten | Close):
            continue
        start, end = record.durable_at(position), record.durable_at(row.position)
        instrument = command.instrument if isinstance(command, Close) else None
        begun = record.story.start
        if start is None or end is None:
            continue
        until = end + begun + STAMPS_AHEAD
        if not holdings.was_flat(event.account, instrument, start + begun, until):
            yield f"{event.key} counts as flat at event {row.position}, and was not"
