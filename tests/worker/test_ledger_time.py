"""The time of the records: never back, and forward only with the venue's word for it."""

from __future__ import annotations

import pytest

from portcullis.domain.model import HOUR, SECOND
from portcullis.errors import Fatal
from portcullis.worker.ledger_time import LedgerTime

START = 1_000 * HOUR


class Machine:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.wall, self.ticks = START, 0

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> int:
        return self.ticks

    def passes(self, by: int) -> None:
        self.wall += by
        self.ticks += by


@pytest.mark.parametrize(
    ("step", "venue", "moved", "then"),
    [
        pytest.param(-HOUR, 0, -HOUR, 0, id="set back: waited out"),
        pytest.param(HOUR, 0, HOUR, 0, id="set forward by hand: not followed"),
        pytest.param(HOUR, HOUR, HOUR, HOUR, id="set forward and the venue agrees: followed"),
        pytest.param(HOUR, HOUR - 61 * SECOND, HOUR, 0, id="the venue is a minute off"),
        pytest.param(5 * SECOND, 0, 5 * SECOND, 5 * SECOND, id="a small step is followed"),
        pytest.param(SECOND, 0, 0, 0, id="drift is no step"),
    ],
)
def test_a_step_of_the_wall_clock(step, venue, moved, then):
    machine = Machine()
    time = LedgerTime(machine, START - SECOND)
    machine.wall += step
    assert time.step(START + venue) == moved
    assert time.now() == START + then
    assert time.step(START + venue) == 0  # told once
    machine.passes(10 * SECOND)
    assert time.now() == START + then + 10 * SECOND


def test_a_clock_behind_the_ledger_is_no_start():
    with pytest.raises(Fatal, match="behind the newest event"):
        LedgerTime(Machine(), START + HOUR)
