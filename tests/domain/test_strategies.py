"""Strategies: which moves there are, who may ask for them, and what the gate makes of a state."""

from __future__ import annotations

import itertools
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.domain.events import ProposalReceived, StrategyMoved, decode
from portcullis.domain.model import OrderRequest, StrategyState
from portcullis.domain.plan import Plan, StrategyPlan, decode_plan
from portcullis.domain.rules import max_contracts
from portcullis.domain.state import freeze, thaw
from portcullis.domain.strategies import MOVES, loosens, strategy_rows, trades
from tests.domain.desk import BUY, LISTED, SELL, Desk

STATES = get_args(StrategyState)


def desk(starts: StrategyState = "ACTIVE", **more: Any) -> Desk:
    found = Desk(max_contracts.Params(limit=9))
    found.load(with_strategies(found.plan, StrategyPlan("s", ("A",), starts=starts, **more)))
    found.quote("ES", 20_000)
    return found


def with_strategies(plan: Plan, *strategies: StrategyPlan) -> Plan:
    return Plan(plan.accounts, plan.required, strategies=strategies)


def propose(found: Desk, size: int = 1, side: int = BUY, strategy: str = "s") -> Any:
    found.numbers += 1
    order = OrderRequest("A", LISTED["ES"].id, side, size, "market")
    return found.do(ProposalReceived(f"p{found.numbers}", "test", order, strategy=strategy))[-1]


def state_of(found: Desk) -> str:
    return found.engine.world.strategies["s"].state


# --- moves ------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_only_the_moves_of_the_table_are_made(before, after):
    found = desk(before)
    answer = found.ask("strategy", strategy="s", to=after)
    if after in MOVES[before]:
        assert (answer.outcome, state_of(found)) == ("done", after)
        moved = [d for d in found.out if isinstance(d, StrategyMoved)][-1]
        assert (moved.before, moved.after, moved.by, moved.reason) == (before, after, "me", "test")
    else:
        assert (answer.outcome, state_of(found)) == ("refused", before)
        assert all(legal in answer.detail for legal in MOVES[before])


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_what_loosens_needs_the_administrator_and_what_tightens_does_not(before, after):
    if after not in MOVES[before]:
        return
    found = desk(before)
    answer = found.ask("strategy", role="operator", strategy="s", to=after)
    assert (answer.outcome == "refused") is loosens(before, after)
    assert ("administrator" in answer.detail) is loosens(before, after)


def test_nobody_comes_back_from_retired_and_everybody_can_get_there():
    assert MOVES["RETIRED"] == ()
    assert all("RETIRED" in MOVES[state] for state in STATES if state != "RETIRED")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"strategy": "t", "to": "PAUSED"}, "known are: s"),
        ({"to": "PAUSED"}, "known are: s"),
        ({"strategy": "s"}, "PROBATION, PAUSED, RETIRED"),
        ({"strategy": "s", "to": "ASLEEP"}, "PROBATION, PAUSED, RETIRED"),
        ({"strategy": ["s"], "to": 5}, "known are: s"),
    ],
)
def test_a_move_of_nothing_is_refused_with_what_there_is(arguments, word):
    answer = desk().ask("strategy", **arguments)
    assert answer.outcome == "refused"
    assert word in answer.detail


def test_a_move_needs_a_reason():
    answer = desk().ask("strategy", reason=" ", strategy="s", to="PAUSED")
    assert answer.detail == "a reason is required"


def test_a_strategy_begins_once_and_a_configuration_read_again_leaves_it_where_it_is():
    found = desk("DRAFT")
    found.ask("strategy", strategy="s", to="PROBATION")
    found.out.clear()
    found.load(with_strategies(found.plan, StrategyPlan("s", ("A",), starts="ACTIVE")))
    assert found.out == []
    assert state_of(found) == "PROBATION"


def test_a_strategy_that_the_configuration_drops_keeps_its_state_for_when_it_comes_back():
    found = desk("ACTIVE")
    found.ask("strategy", strategy="s", to="RETIRED")
    found.load(found.plan)
    assert found.ask("strategy", strategy="s", to="ACTIVE").outcome == "refused"
    found.load(with_strategies(found.plan, StrategyPlan("s", ("A",), starts="ACTIVE")))
    assert state_of(found) == "RETIRED"


@given(st.lists(st.sampled_from(STATES), max_size=20), st.sampled_from(STATES))
def test_every_history_is_a_path_of_the_table_that_ends_in_the_present_state(wanted, starts):
    found = Desk()
    found.load(with_strategies(found.plan, StrategyPlan("s", ("A",), starts=starts)))
    for state in wanted:
        found.ask("strategy", strategy="s", to=state)
    path = [d for d in found.out if isinstance(d, StrategyMoved)]
    assert (path[0].before, path[0].after) == ("", starts)
    for before, moved in itertools.pairwise(path):
        assert moved.before == before.after
        assert moved.after in MOVES[moved.before]
    assert state_of(found) == path[-1].after
    assert found.engine.world.strategies["s"].moves == len(path)
    assert freeze(thaw(freeze(found.engine.state))) == freeze(found.engine.state)


# --- the gate ---------------------------------------------------------------------------------


def opened(starts: StrategyState, **more: Any) -> Desk:
    """A desk whose gate is open."""
    found = desk(starts, **more)
    assert found.engine.world.system.mode == "ACTIVE"
    return found


@pytest.mark.parametrize("state", STATES)
def test_the_gate_asks_for_the_state(state):
    answer = propose(opened(state))
    assert answer.approved is trades(state)
    if not answer.approved:
        assert [reason.code for reason in answer.reasons] == ["strategy_not_trading"]
        assert answer.largest_allowed == 0


@pytest.mark.parametrize("state", STATES)
def test_an_exit_passes_in_every_state(state):
    found = opened(state)
    found.holds("ES", 3)
    answer = propose(found, 3, SELL)
    assert (answer.approved, answer.lane) == (True, "exit")


def test_probation_limits_an_order_to_its_contracts():
    found = opened("PROBATION", probation_contracts=2)
    answer = propose(found, 3)
    assert [reason.code for reason in answer.reasons] == ["probation_size"]
    assert answer.largest_allowed == 2
    assert propose(found, 2).approved
    found.ask("strategy", strategy="s", to="ACTIVE")
    assert propose(found, 3).approved


def test_an_unknown_strategy_and_a_foreign_account_are_denied():
    found = opened("ACTIVE")
    assert [r.code for r in propose(found, strategy="t").reasons] == ["unknown_strategy"]
    found.load(with_strategies(found.plan, StrategyPlan("s", ("B",))))
    assert [r.code for r in propose(found).reasons] == ["strategy_elsewhere"]


def test_a_proposal_without_a_strategy_is_judged_as_before():
    assert propose(opened("RETIRED"), strategy="").approved


def test_rows_say_what_may_come_next():
    found = desk("PAUSED")
    (row,) = strategy_rows(found.engine.world)
    assert row["may_become"] == ["PROBATION", "ACTIVE", "RETIRED"]
    assert (row["trades"], row["accounts"], row["planned"]) == (False, ["A"], True)


# --- what earlier versions wrote --------------------------------------------------------------


def test_proposals_and_plans_of_earlier_versions_are_read_as_naming_no_strategy():
    order = msgspec.to_builtins(OrderRequest("A", "ES", BUY, 1, "market"))
    old = {"kind": "proposal_received", "proposal_id": "p", "agent": "a", "order": order}
    assert decode(msgspec.msgpack.encode(old)).strategy == ""
    plan = decode_plan(msgspec.msgpack.encode({"accounts": []}))
    assert (plan.pools, plan.strategies) == ((), ())
