"""Clocks. Time enters the system here and nowhere else."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for records, monotonic time for waiting; both in microseconds."""

    def now(self) -> int:
        """Microseconds since 1970-01-01 UTC."""

    def monotonic(self) -> int:
        """Microseconds that never go back; the origin means nothing."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> int:
        return time.monotonic_ns() // 1000


class ManualClock:
    """A clock that moves when told to. Shipped: drills and simulations run on it."""

    def __init__(self, start: int) -> None:
        self._now = start
        self._monotonic = 0

    def now(self) -> int:
        return self._now

    def monotonic(self) -> int:
        return self._monotonic

    def advance(self, by: int) -> None:
        """Let `by` microseconds pass."""
        if by < 0:
            raise ValueError("time does not run backwards; use step() for a clock fault")
        self._now += by
        self._monotonic += by

    def step(self, by: int) -> None:
        """Set the wall clock forward or back while no time passes: a clock fault."""
        self._now += by
