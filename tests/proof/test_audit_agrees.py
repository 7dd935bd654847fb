"""The audit and the engine judge the same simulated days alike: kills, faults and all.

The seeds are those on which nothing is left to settle; `docs/audit.md` says which classes are.
"""

from __future__ import annotations

import pytest

from portcullis.proof import swarm
from portcullis.proof.checkers.record import Record
from portcullis.proof.checkers.rules import the_audit_agrees
from portcullis.proof.play import play

SEEDS = (0, 1, 3, 4, 6, 8, 10, 11, 14, 15, 17, 18, 21, 24, 25, 30, 32, 37, 45, 59)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_audit_agrees_on_a_simulated_day(seed: int):
    outcome = play(swarm.draw(seed, 600))
    assert len(outcome.rows) > 1_000
    assert list(the_audit_agrees(Record(outcome))) == []
