"""The list of orders on which the benchmark sets peers beside us: ours must stay right."""

from __future__ import annotations

import pytest

from benchmarks._orders import CASES
from benchmarks._our_decisions import decide

NOT_CHECKED = {"larger than the balance", "101st order within a second"}
"""What the gate has no rule for; the day it has one, this list gets shorter."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_gate_answers_as_is_right(case):
    verdict = decide(case, 2)["verdict"]
    assert (verdict == case["right"]) == (case["name"] not in NOT_CHECKED)


def test_every_case_is_asked_once_and_both_answers_are_wanted():
    names = [case["name"] for case in CASES]
    assert len(set(names)) == len(names) >= 25
    assert {case["right"] for case in CASES} == {"approve", "deny"}
    assert {name for name in NOT_CHECKED if name not in names} == set()
