"""What we send ourselves never turns a position round: stops, closes, exits beside one another."""

from __future__ import annotations

from typing import Any

import pytest

from portcullis.domain.events import (
    CommandConcluded,
    CommandIssued,
    ProposalReceived,
    RulesLoaded,
)
from portcullis.domain.model import BUY, SECOND, SELL, OrderRequest
from portcullis.domain.plan import AccountPlan, Plan, digest, encode_plan
from portcullis.domain.rules import (
    max_contracts,
    max_contracts_per_instrument,
    no_stop_loss_grace,
    trade_management,
)
from portcullis.venues.simulated import Fault, FaultPlan, Latency, Terms
from tests.worker.harness import ES, World

MANAGED = trade_management.Params(auto_stop=20)


def stops(world: World) -> int:
    """Contracts that working stops would sell."""
    return sum(each.remaining for each in world.exchange.orders("A") if "stop" in each.type)


def leave(world: World, side: int, size: int) -> None:
    """A program hands in an order for us to send."""
    assert world.worker is not None
    order = OrderRequest("A", ES.id, side, size, "market")
    world.worker.core.enter(ProposalReceived("p", "bot", order, submit=True))


@pytest.mark.parametrize("latency", [0, 100_000])
@pytest.mark.parametrize(
    "entry",
    [{}, {"kind": "limit", "limit_price": 19_995}],
    ids=["market", "limit"],
)
def test_a_bracket_that_wakes_meanwhile_is_stop_enough(entry: dict[str, Any], latency: int):
    world = World(MANAGED, faults=FaultPlan(latency=Latency(latency)))
    world.quote(ES, 20_000)

    async def story(w):
        await w.start(settle=1)
        w.order(ES, BUY, 1, stop_loss=19_985, **entry)
        await w.pass_time(1)
        w.quote(ES, 19_994)
        await w.pass_time(3)
        assert (w.size(ES), stops(w)) == (1, 1)
        w.quote(ES, 19_950)
        await w.pass_time(1)
        assert w.size(ES) == 0

    world.play(story)


@pytest.mark.parametrize("held", [0, 2])
def test_a_stop_is_no_larger_than_what_a_reduction_left(held: int):
    rules = (MANAGED, max_contracts_per_instrument.Params(limits={"ES": 2}))
    world = World(*rules, faults=FaultPlan(latency=Latency(50_000)))
    world.quote(ES, 20_000)

    async def story(w):
        await w.start(settle=1)
        if held:
            w.order(ES, BUY, held)
            await w.pass_time(3)
        w.order(ES, BUY, 4 - held)
        await w.pass_time(5)
        assert (w.size(ES), stops(w)) == (2, 2)

    world.play(story)


def test_a_stop_whose_answers_were_lost_is_sent_for_what_is_held_now():
    lost = [Fault("call", "timeout_before", on="place_order")]
    world = World(MANAGED, faults=FaultPlan(script=lost))
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        w.order(ES, BUY, 3)
        await w.pass_time(0.01)
        w.order(ES, SELL, 2)
        for _ in range(100):
            await w.pass_time(0.1)
            assert stops(w) <= w.size(ES) == 1
        assert stops(w) == 1

    world.play(story)


def test_a_stop_that_filled_in_part_follows_what_is_left():
    """The size a venue is asked for is the whole order's, its fills included."""
    world = World(trade_management.Params(auto_stop=100), terms=Terms(seed=3, liquidity=1))
    world.quote(ES, 20_000)

    async def settle(w: World, price: int, seconds: float, times: int) -> None:
        for number in range(times):
            w.quote(ES, price + number % 2)
            await w.pass_time(seconds)

    async def story(w):
        await w.start()
        w.order(ES, SELL, 5, "stop_limit", stop_price=19_990, limit_price=19_990)
        w.order(ES, BUY, 5)
        await settle(w, 20_000, 0.5, 8)
        w.quote(ES, 19_990)
        await settle(w, 19_970, 5, 10)
        assert 0 < stops(w) == w.size(ES) < 5
        w.order(ES, BUY, 2)
        await settle(w, 19_970, 5, 30)
        assert stops(w) == w.size(ES) > 2
        assert not [row for row in w.events(CommandConcluded) if row.outcome == "unconfirmed"]

    world.play(story)


@pytest.mark.parametrize("after_ms", range(5_000, 5_700, 25))
def test_an_exit_of_a_program_never_meets_the_close_of_a_naked_position(after_ms: int):
    slow = Fault("call", "delay", on="close_position", micros=200_000)
    plan = FaultPlan(latency=Latency(200_000), script=[slow])
    world = World(no_stop_loss_grace.Params(grace=5 * SECOND), faults=plan)
    world.quote(ES, 20_000)

    async def story(w):
        await w.start(settle=2)
        w.order(ES, BUY, 2)
        await w.pass_time(after_ms / 1000)
        w.quote(ES, 20_000)
        leave(w, SELL, 2)
        for _ in range(200):
            await w.pass_time(0.02)
            assert w.size(ES) >= 0
        await w.pass_time(5)
        assert w.size(ES) == 0

    world.play(story)


@pytest.mark.parametrize(("cover", "left"), [("any", 2), ("full", 0)])
def test_one_stop_of_two_is_enough_where_any_is(cover: Any, left: int):
    plan = FaultPlan()
    rule = no_stop_loss_grace.Params(grace=3 * SECOND, cover=cover)
    world = World(rule, faults=plan)
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        await w.pass_time(5)
        w.order(ES, BUY, 2)
        await w.pass_time(0.1)
        plan.add(Fault("event", "drop", on="order_reported", count=5))
        w.order(ES, SELL, 1, "stop", stop_price=19_900)
        await w.pass_time(4)
        plan.heal()
        await w.pass_time(20)
        assert w.events(CommandIssued), "the grace was over before the stop was known"
        assert w.size(ES) == left

    world.play(story)


def test_an_exit_whose_first_look_gets_no_answer_is_sent_all_the_same():
    plan = FaultPlan()
    world = World(max_contracts.Params(limit=5), faults=plan)
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        w.order(ES, BUY, 2)
        await w.pass_time(1)
        plan.add(Fault("call", "drop", on="positions"))
        leave(w, SELL, 2)
        await w.pass_time(30)
        assert w.size(ES) == 0

    world.play(story)


def test_a_close_that_asks_first_outlives_the_plan_that_asked_for_it():
    """The account leaves the plan while the close is on its way: it ends, and the worker lives."""
    dead = Fault("call", "timeout_before", on="positions", count=3)
    plan = FaultPlan()
    world = World(no_stop_loss_grace.Params(grace=3 * SECOND), faults=plan)
    world.quote(ES, 20_000)

    async def story(w):
        worker = await w.start()
        w.order(ES, BUY, 1)
        await w.pass_time(2.9)
        plan.add(dead)
        await w.pass_time(0.5)
        assert w.events(CommandIssued)
        data = encode_plan(Plan((AccountPlan("B", ()),)))
        worker.core.enter(RulesLoaded(digest(data), data))
        await w.pass_time(60)
        assert len(w.events(CommandConcluded)) == 1
        assert not worker.core.engine.world.accounts["A"].pending

    world.play(story)
