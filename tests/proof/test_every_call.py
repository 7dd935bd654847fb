"""Fail the n-th call, for every n, in every way: a day with a breach still ends as it must.

The story is small: a trader loses more than allowed with another order resting. Each run fails one
call of the venue, or one commit, and is judged by every checker, after a calm in which the account
must be flat, locked, and the books right.
"""

from __future__ import annotations

import msgspec
import pytest

from portcullis.domain.model import MICRO, MINUTE, SECOND
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.rules import daily_realized_loss, max_contracts
from portcullis.proof.checkers import violations
from portcullis.proof.faults_drawn import CALL_KINDS
from portcullis.proof.play import play
from portcullis.proof.story import CloseOut, DiskFails, End, Hinder, Jump, Story, Trade
from portcullis.proof.swarm import REQUIRED
from portcullis.venues.simulated import Fault, Latency

RULES = (daily_realized_loss.Params(200 * MICRO), max_contracts.Params(9))
ACTS = (
    Trade(5 * SECOND, "A", "ES", 1, 2),
    Trade(6 * SECOND, "A", "MES", 1, 1),
    Trade(7 * SECOND, "A", "ES", 1, 1, "limit", 40),
    Jump(8 * SECOND, "ES", -30),
    CloseOut(9 * SECOND, "A", "ES"),
)
STORY = Story(
    seed=1,
    mode="liveness",
    start=1_772_550_000 * MICRO,
    lasting=30 * SECOND,
    plan=Plan((AccountPlan("A", RULES),), required=REQUIRED),
    tickers=("ES", "MES"),
    wild=1,
    latency=Latency(20_000),
    compare_every=5 * SECOND,
    calm=2 * MINUTE,
    acts=ACTS,
)


def with_act(act: Hinder | DiskFails | End) -> Story:
    acts = tuple(sorted((*ACTS, act), key=lambda each: each.at))
    return msgspec.structs.replace(STORY, acts=acts)


def ends_well(story: Story) -> None:
    outcome = play(story)
    assert violations(outcome) == []
    assert outcome.exchange.positions("A") == []
    assert outcome.state is not None
    assert [row.rule for row in outcome.state.accounts["A"].locks.values()] == [
        "daily_realized_loss"
    ]


def calls_made() -> int:
    """How many calls the venue gets in the undisturbed story."""
    outcome = play(with_act(Hinder(0, Fault("call", "delay", count=10_000, micros=0))))
    return len([each for each in outcome.faults if each.where == "call"])


def test_the_story_ends_well_by_itself_and_makes_calls():
    ends_well(STORY)
    assert calls_made() > 40


@pytest.mark.parametrize("kind", CALL_KINDS)
def test_any_single_call_may_fail(kind: str):
    """The calls of the first ten seconds, in which everything happens."""
    for skip in range(40):
        fault = Fault("call", kind, skip=skip)  # type: ignore[arg-type]
        ends_well(with_act(Hinder(0, fault)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", CALL_KINDS)
def test_any_two_calls_in_a_row_may_fail(kind: str):
    for skip in range(calls_made()):
        fault = Fault("call", kind, skip=skip, count=2)  # type: ignore[arg-type]
        ends_well(with_act(Hinder(0, fault)))


def test_the_disk_may_fail_at_any_moment():
    for moment in range(4_900, 10_500, 200):
        ends_well(with_act(DiskFails(moment * 1_000, SECOND)))


@pytest.mark.parametrize("commit", ["lost", "durable"])
def test_the_power_may_go_at_any_moment(commit: str):
    for moment in range(4_900, 10_500, 200):
        act = End(moment * 1_000, "power", SECOND, commit)  # type: ignore[arg-type]
        ends_well(with_act(act))
