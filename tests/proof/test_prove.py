"""The simulator proves something: it is repeatable, its checkers can fail, and seeds hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from portcullis.domain.events import (
    ProposalAnswered,
    ProposalReceived,
    StrategyMoved,
    decode,
    encode,
)
from portcullis.proof import campaign, shrink, story, swarm
from portcullis.proof.checkers import CHECKERS, violations
from portcullis.proof.occurrences import never
from portcullis.proof.play import play
from portcullis.proof.stage import Outcome

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.json"))


def test_seeds_hold_and_were_not_empty():
    runs = list(campaign.run(1, 16, 300))
    assert [each.violations for each in runs if each.violations] == []
    seen = campaign.seen_in(runs)
    assert len(never(seen)) < 12, never(seen)


def test_seeds_hold_behind_a_gateway_and_its_limits_were_kept():
    runs = list(campaign.run(1, 8, 240, venue="projectx"))
    assert [each.violations for each in runs if each.violations] == []
    seen = campaign.seen_in(runs)
    assert seen["logins"] > len(runs)
    assert sum(seen[f"act {what}"] for what in ("unsettle", "end", "hinder")) > len(runs)
    assert all(0 < each.seen["requests of a minute, at most"] <= 200 for each in runs)


@pytest.mark.slow
def test_many_seeds_hold_behind_a_gateway():
    runs = list(campaign.run(1_000, 60, 1_800, venue="projectx"))
    assert [(each.seed, each.violations) for each in runs if each.violations] == []


@pytest.mark.slow
def test_many_seeds_hold_and_everything_happened():
    runs = list(campaign.run(1_000, 300, 600))
    assert [(each.seed, each.violations) for each in runs if each.violations] == []
    assert never(campaign.seen_in(runs)) == []


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_a_found_story_stays_mended(path: Path):
    assert violations(play(story.read(path.read_bytes()))) == []


def test_the_corpus_is_there():
    assert len(CORPUS) >= 3


def test_a_seed_is_the_same_in_another_process_under_another_hash_seed():
    program = (
        "from portcullis.proof import campaign, swarm;"
        "print([campaign.judge(swarm.draw(seed, 200)).head for seed in (3, 4)],"
        " campaign.judge(swarm.draw(5, 200, None, 'projectx')).head)"
    )
    heads = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(heads) == 1


def test_a_story_is_the_same_after_a_file():
    drawn = swarm.draw(5, 300)
    assert story.read(story.write(drawn)) == drawn
    assert f"seed {drawn.seed}" in story.told(drawn)


# --- every checker can fail ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return play(swarm.draw(7, 300))


def test_a_missing_event_is_seen(outcome: Outcome):
    gone = next(n for n, row in enumerate(outcome.rows) if n > 99 and row.kind == "quote")
    rows = [*outcome.rows[:gone], *outcome.rows[gone + 1 :]]
    assert violations(outcome._replace(rows=rows))[0].startswith(f"chain_holds: event {gone + 2}")


def test_a_lost_tail_is_seen(outcome: Outcome):
    found = violations(outcome._replace(rows=outcome.rows[:-5]))
    assert any(what.startswith("nothing_acknowledged_is_lost") for what in found)


def test_a_changed_answer_is_seen(outcome: Outcome):
    rows = list(outcome.rows)
    index, answer = next(
        (n, event)
        for n, row in enumerate(rows)
        if isinstance(event := decode(row.payload), ProposalAnswered) and not event.approved
    )
    forged = encode(msgspec.structs.replace(answer, approved=True, lane="entry"))
    rows[index] = rows[index]._replace(payload=forged)
    found = {what.partition(":")[0] for what in violations(outcome._replace(rows=rows))}
    assert {"chain_holds", "approvals_are_earned", "replay_agrees"} <= found


def test_an_execution_nobody_commanded_is_seen(outcome: Outcome):
    journal = outcome.exchange.journal
    journal.append(
        msgspec.structs.replace(journal[0], what="requested", call="place_order", key="nobody-1")
    )
    try:
        found = violations(outcome)
    finally:
        journal.pop()
    assert any("the ledger does not know" in what for what in found)


def test_there_is_a_checker_for_every_name():
    assert len({checker.__name__ for checker in CHECKERS}) == len(CHECKERS) > 15


def test_a_failing_story_becomes_short():
    """A checker that rejects every day roll leaves a story of almost nothing."""
    drawn = swarm.draw(11, 120)
    short = shrink.shrink(drawn, "never_fails", tries=5)
    assert short == drawn


def test_a_store_that_does_not_open_is_a_violation(outcome: Outcome):
    assert violations(outcome._replace(rows=[])) == ["ledger: nothing is left of it"]


# --- pools and strategies -------------------------------------------------------------------------


def checked(outcome: Outcome) -> set[str]:
    return {what.partition(":")[0] for what in violations(outcome, audited=False)}


@pytest.fixture(scope="module")
def pooled() -> Outcome:
    """A run that ended in calm, with pools whose accounts traded and a strategy that opened."""
    played = (play(swarm.draw(seed, 200)) for seed in range(1, 90))
    return next(each for each in played if each.state and is_rich(each))


def is_rich(outcome: Outcome) -> bool:
    if outcome.story.mode != "liveness" or outcome.state is None:
        return False
    events = [decode(row.payload) for row in outcome.rows]
    named = {e.proposal_id for e in events if isinstance(e, ProposalReceived) and e.strategy}
    return (
        any(pool.result for pool in outcome.state.pools.values())
        and any(is_entry(e) and e.proposal_id in named for e in events)
        and not any(t.voided for a in outcome.state.accounts for t in outcome.exchange.trades(a, 0))
    )


def is_entry(event: object) -> bool:
    return isinstance(event, ProposalAnswered) and event.approved and event.lane == "entry"


def test_a_strategy_whose_moves_are_not_all_there_is_seen(pooled: Outcome):
    rows = [row for row in pooled.rows if row.kind != "strategy_moved"]
    assert "strategies_move_as_they_may" in checked(pooled._replace(rows=rows))


def test_a_pool_that_has_another_amount_than_the_venue_is_seen(pooled: Outcome):
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(pooled.state), type=type(pooled.state))
    for pool in state.pools.values():
        pool.result += 1
    assert "pools_have_what_the_venue_says" in checked(pooled._replace(state=state))


def test_an_order_of_a_strategy_that_may_not_trade_is_seen(pooled: Outcome):
    rows = [
        row._replace(payload=encode(msgspec.structs.replace(event, after="PAUSED")))
        if isinstance(event := decode(row.payload), StrategyMoved)
        else row
        for row in pooled.rows
    ]
    assert "strategies_trade_as_they_may" in checked(pooled._replace(rows=rows))
