"""What those outside saw during a run: what checkers may trust besides ledger and venue journal."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from portcullis.domain.events import ProposalAnswered
from portcullis.ports import Head


class Acknowledged(NamedTuple):
    """A head that the store called durable, and when."""

    at: int
    head: Head


class Life(NamedTuple):
    """One run of the worker: when it began and ended, how, and the head it found."""

    began: int
    ended: int
    how: str
    found: Head


class Answered(NamedTuple):
    """An answer that a program got from the gate."""

    at: int
    answer: ProposalAnswered


class Notes:
    """Kept by the stage while a run goes on. `seen` counts what happened, for vacuous runs."""

    def __init__(self) -> None:
        self.acknowledged: list[Acknowledged] = []
        self.lives: list[Life] = []
        self.answers: list[Answered] = []
        self.asked: list[str] = []
        self.seen: Counter[str] = Counter()
        self.broken: list[str] = []

    def acknowledge(self, at: int, head: Head) -> None:
        self.acknowledged.append(Acknowledged(at, head))
