"""A run as the checkers read it: ledger, venue's journal, and when what was durable."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from functools import cached_property
from typing import TypeVar

from portcullis.domain.events import Event, decode
from portcullis.domain.model import MINUTE
from portcullis.ports import StoredEvent
from portcullis.proof.notes import Notes
from portcullis.proof.stage import Outcome
from portcullis.proof.story import Story
from portcullis.venues.simulated import Exchange

Kind = TypeVar("Kind")


class Record:
    """Reads only what is outside the worker: nothing here asks the engine for its opinion."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.story: Story = outcome.story
        self.rows: list[StoredEvent] = outcome.rows
        self.exchange: Exchange = outcome.exchange
        self.notes: Notes = outcome.notes

    @cached_property
    def events(self) -> list[tuple[StoredEvent, Event]]:
        return [(row, decode(row.payload)) for row in self.rows]

    def of(self, kind: type[Kind]) -> Iterator[tuple[StoredEvent, Kind]]:
        """The events of a kind, in order."""
        return ((row, event) for row, event in self.events if isinstance(event, kind))

    @cached_property
    def accounts(self) -> tuple[str, ...]:
        return tuple(each.account for each in self.story.plan.accounts)

    @cached_property
    def is_settled(self) -> bool:
        """Whether faults ended and the worker was up at the end, so that progress is demanded."""
        return self.story.mode == "liveness" and self.outcome.state is not None

    @cached_property
    def time_is_right(self) -> bool:
        """Whether the ledger's time is the world's: a start under a wrong clock goes on from there.

        Evidence is then over before it comes, and the gate stays shut until a person looks.
        """
        return abs(self.rows[-1].at - self.outcome.ended_at) < MINUTE

    def durable_at(self, position: int) -> int | None:
        """When a position was acknowledged, in microseconds after the start; None: never."""
        known = self._acknowledged
        index = bisect_left(known, (position, 0))
        return known[index][1] if index < len(known) else None

    @cached_property
    def _acknowledged(self) -> list[tuple[int, int]]:
        return sorted((each.head.position, each.at) for each in self.notes.acknowledged)
