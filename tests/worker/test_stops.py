"""Stops at the venue: which one spares a position, which one does not, and whose goes with it."""

from __future__ import annotations

from portcullis.domain.events import CommandConcluded
from portcullis.domain.model import BUY, SECOND, SELL
from portcullis.domain.rules import no_stop_loss_grace, trade_management
from portcullis.venues.simulated import FaultPlan
from tests.worker.harness import ES, World


def outcomes(world: World) -> list[str]:
    return [event.outcome for event in world.events(CommandConcluded)]


def test_a_stop_in_the_venues_own_books_spares_the_position():
    plan = FaultPlan()
    world = World(no_stop_loss_grace.Params(grace=10 * SECOND), faults=plan)
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        plan.set_rates(event_rates={"drop": 1.0})
        w.order(ES, BUY, 1)
        w.order(ES, SELL, 1, "stop", stop_price=19_000)
        await w.pass_time(30)
        assert w.size(ES) == 1
        assert "confirmed" not in outcomes(w)

    world.play(story)


def test_a_stop_that_fired_and_did_not_fill_becomes_a_market_exit():
    """The market jumps over the limit of a stop-limit order: it is awake, and nobody buys."""
    world = World(no_stop_loss_grace.Params(grace=10 * SECOND))
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        w.order(ES, BUY, 1)
        w.order(ES, SELL, 1, "stop_limit", stop_price=19_990, limit_price=19_988)
        await w.pass_time(30)
        assert w.size(ES) == 1
        for _ in range(9):
            w.quote(ES, 19_950)
            await w.pass_time(1)
        assert w.size(ES) == 1
        for _ in range(2):
            w.quote(ES, 19_950)
            await w.pass_time(1)
        assert w.size(ES) == 0
        assert not w.exchange.orders("A")
        assert outcomes(w) == ["confirmed"]

    world.play(story)


def test_a_managed_stop_never_opens_a_position():
    world = World(trade_management.Params(auto_stop=20))
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        w.order(ES, BUY, 1)
        await w.pass_time(2)
        stops = [o for o in w.exchange.orders("A") if o.type == "stop"]
        assert [(o.side, o.stop_price) for o in stops] == [(SELL, 20_001 - 20)]
        w.exchange.close_position("A", ES.id, "")
        await w.pass_time(10)
        assert w.exchange.orders("A") == []
        w.quote(ES, 19_000)
        await w.pass_time(10)
        assert w.size(ES) == 0

    world.play(story)
