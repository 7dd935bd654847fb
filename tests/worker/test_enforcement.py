"""The worker on the simulated venue, in virtual time: commands end as facts at the venue."""

from __future__ import annotations

import pytest

from portcullis.domain.events import (
    AlertRaised,
    BreachFound,
    CommandConcluded,
    CommandIssued,
    CommandSent,
    LockSet,
    ModeChanged,
    VenueLinked,
)
from portcullis.domain.model import BUY, MINUTE, SECOND, SELL
from portcullis.domain.rules import (
    auth_loss_guard,
    cooldown_after_loss,
    daily_realized_loss,
    max_contracts,
    max_contracts_per_instrument,
)
from portcullis.venues.simulated import Fault, FaultPlan, Latency, Terms
from tests.worker.harness import ES, MES, NQ, World

USD = 1_000_000


def outcomes(world: World) -> list[str]:
    return [event.outcome for event in world.events(CommandConcluded)]


def closing_orders(world: World) -> list:
    """What the venue itself executed for our commands, from its own journal."""
    return [
        row
        for row in world.exchange.journal
        if row.what == "executed" and row.call in ("close_position", "reduce_position")
    ]


def over_the_limit(**more) -> World:
    world = World(max_contracts.Params(limit=2), **more)
    world.quote(ES, 20_000)
    return world


def test_a_breach_ends_flat_in_three_round_trips():
    world = over_the_limit(faults=FaultPlan(latency=Latency(50_000)))

    async def story(w):
        await w.start(settle=2)
        w.order(ES, BUY, 3)
        await w.pass_time(3)
        assert w.size(ES) == 0
        concluded = w.events(CommandConcluded)[0]
        assert concluded.outcome == "confirmed"
        assert concluded.round_trips == 3
        assert concluded.confirmed_at - concluded.detected_at <= 3 * 50_000 + 20_000

    world.play(story)


def test_orders_are_cancelled_and_suspended_children_with_them():
    world = over_the_limit()

    async def story(w):
        await w.start()
        w.order(ES, BUY, 1, "limit", limit_price=19_000, stop_loss=18_900, take_profit=19_100)
        w.order(ES, SELL, 1, "limit", limit_price=21_000)
        w.order(ES, BUY, 3)
        await w.pass_time(5)
        assert w.size(ES) == 0
        assert w.exchange.orders("A") == []

    world.play(story)


@pytest.mark.parametrize("kind", ["timeout_before", "timeout_after", "drop", "reject"])
@pytest.mark.parametrize("count", [1, 2])
def test_a_failing_close_still_ends_flat_and_closes_once(kind, count):
    plan = FaultPlan(script=[Fault("call", kind, on="close_position", count=count)])
    world = over_the_limit(faults=plan)

    async def story(w):
        await w.start()
        w.order(ES, BUY, 3)
        await w.pass_time(60)
        assert w.size(ES) == 0
        assert sum(row.size for row in closing_orders(w)) == 3

    world.play(story)


@pytest.mark.parametrize("deduplicates", ["never", "always"])
def test_a_partially_filled_close_is_finished(deduplicates):
    terms = Terms(seed=3, liquidity=1, deduplicates=deduplicates)
    world = over_the_limit(terms=terms)

    async def story(w):
        await w.start()
        w.order(ES, BUY, 6)
        for _ in range(60):
            w.quote(ES, 20_000)
            await w.pass_time(0.5)
        assert w.size(ES) == 0
        assert w.exchange.orders("A") == []

    world.play(story)


def test_a_reduction_takes_the_excess_and_no_more_after_a_time_out():
    plan = FaultPlan(script=[Fault("call", "timeout_after", on="reduce_position", count=1)])
    world = World(max_contracts_per_instrument.Params(limits={"ES": 2}), faults=plan)
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        w.order(ES, BUY, 5)
        await w.pass_time(30)
        assert w.size(ES) == 2
        assert outcomes(w)[-1] == "confirmed"

    world.play(story)


def test_a_refused_close_is_a_critical_alert_and_no_loop():
    world = over_the_limit()

    async def story(w):
        await w.start()
        w.exchange.refuse_close("A")
        w.order(ES, BUY, 3)
        await w.pass_time(20)
        assert outcomes(w) == ["refused"]
        assert [a.severity for a in w.events(AlertRaised) if a.alert == "enforcement_failed"] == [
            "critical"
        ]
        w.exchange.refuse_close("A", False)
        await w.pass_time(40)
        assert w.size(ES) == 0

    world.play(story)


def test_a_forbidden_account_is_not_hammered():
    world = World(auth_loss_guard.Params())
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        w.order(ES, BUY, 1)
        w.exchange.refuse_close("A")
        w.exchange.set_can_trade("A", False)
        await w.pass_time(600)
        assert len(w.events(CommandSent)) == 1
        assert [row.lock.ends for row in w.events(LockSet)] == ["person"]

    world.play(story)


def test_an_auth_loss_the_stream_did_not_tell_is_found_by_asking():
    plan = FaultPlan(event_rates={"drop": 1.0})
    world = World(auth_loss_guard.Params(), faults=plan)
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        w.exchange.set_can_trade("A", False)
        await w.pass_time(12)
        assert [b.rule for b in w.events(BreachFound)] == ["auth_loss_guard"]

    world.play(story)


def test_lost_authorization_locks_until_a_person():
    plan = FaultPlan()
    world = World(auth_loss_guard.Params(), faults=plan)
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        plan.add(Fault("call", "reject", on="connect", count=1, code="Unauthorized"))
        w.venue.cut()
        await w.pass_time(30)
        assert [b.rule for b in w.events(BreachFound)] == ["auth_loss_guard"]
        assert [row.lock.ends for row in w.events(LockSet)] == ["person"]

    world.play(story)


def test_fills_lost_by_a_healthy_stream_are_found_and_held_to_the_rules():
    plan = FaultPlan(event_rates={"drop": 1.0})
    world = over_the_limit(faults=plan)

    async def story(w):
        await w.start()
        w.order(ES, BUY, 3)
        await w.pass_time(12)
        assert w.size(ES) == 0
        assert [b.rule for b in w.events(BreachFound)] == ["max_contracts"]

    world.play(story)


def test_duplicated_and_reordered_events_count_once():
    plan = FaultPlan(seed=4, event_rates={"duplicate": 0.5, "reorder": 0.3})
    world = World(daily_realized_loss.Params(limit=100_000 * USD), faults=plan)
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        for n in range(20):
            w.order(ES, BUY if n % 2 == 0 else SELL, 1)
            w.quote(ES, 20_000 - n)
            await w.pass_time(0.1)
        await w.pass_time(12)
        account = w.worker.core.engine.state.accounts["A"]
        gross = sum((t.gross or 0) - t.fees - t.commission for t in w.exchange.trades("A", 0))
        assert account.realized == gross
        assert account.balance == w.exchange.accounts()[0].balance

    world.play(story)


def test_a_flatten_takes_over_what_a_lesser_command_had_begun():
    plan = FaultPlan(latency=Latency(500_000))
    rules = (
        max_contracts_per_instrument.Params(limits={"ES": 1}, unknown=9, on_breach="close"),
        max_contracts.Params(limit=4),
    )
    world = World(*rules, faults=plan)
    world.quote(ES, 20_000)
    world.quote(NQ, 20_000)

    async def story(w):
        await w.start(settle=3)
        w.order(ES, BUY, 2)
        await w.pass_time(0.4)
        w.order(NQ, BUY, 4)
        await w.pass_time(10)
        assert w.size(ES) == w.size(NQ) == 0
        assert set(outcomes(w)) == {"superseded", "confirmed"}

    world.play(story)


def test_accounts_do_not_influence_each_other():
    world = World(max_contracts.Params(limit=2), accounts=("A", "B"))
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        w.order(ES, BUY, 2, account="B")
        w.order(ES, BUY, 3, account="A")
        await w.pass_time(5)
        assert (w.size(ES, "A"), w.size(ES, "B")) == (0, 2)

    world.play(story)


def test_a_broken_connection_is_noted_mended_and_what_happened_meanwhile_is_found():
    world = over_the_limit()

    async def story(w):
        await w.start()
        w.venue.cut()
        w.order(ES, BUY, 3)
        await w.pass_time(10)
        assert [e.connected for e in w.events(VenueLinked)] == [True, False, True]
        assert w.size(ES) == 0

    world.play(story)


def test_a_lock_cancels_resting_orders_at_the_venue_and_closes_what_appears():
    world = World(cooldown_after_loss.Params())
    world.quote(ES, 20_000)
    world.quote(MES, 20_000)

    async def story(w):
        await w.start()
        w.order(MES, BUY, 1, "limit", limit_price=19_000)
        w.order(ES, BUY, 1)
        w.quote(ES, 19_990)
        w.exchange.close_position("A", ES.id, "")
        await w.pass_time(3)
        assert [row.lock.rule for row in w.events(LockSet)] == ["cooldown_after_loss"]
        assert w.exchange.orders("A") == []
        w.order(ES, BUY, 1)
        await w.pass_time(3)
        assert w.size(ES) == 0
        await w.pass_time(5 * MINUTE / SECOND)
        w.quote(ES, 19_990)
        w.order(ES, BUY, 1)
        await w.pass_time(3)
        assert w.size(ES) == 1

    world.play(story)


def test_commands_are_bounded_and_the_bound_is_told():
    world = over_the_limit()

    async def story(w):
        await w.start()
        for _ in range(30):
            w.order(ES, BUY, 3)
            await w.pass_time(1)
        issued = w.events(CommandIssued)
        assert len(issued) <= 32
        assert any(a.alert == "command_bound" for a in w.events(AlertRaised))
        await w.pass_time(120)
        assert w.size(ES) == 0

    world.play(story)


def test_evidence_that_runs_out_shuts_the_gate_and_enforcement_goes_on():
    from portcullis.domain.plan import Requirement

    world = over_the_limit(required=(Requirement("venue", at_start=True),))

    async def story(w):
        await w.start()
        assert w.worker.core.engine.state.system.mode == "ACTIVE"
        plan = w.faults = FaultPlan(script=[Fault("call", "drop", on="connect", count=50)])
        w.venue.plan = plan
        w.venue.cut()
        await w.pass_time(30)
        changes = w.events(ModeChanged)
        assert changes[-1].after == "OBSERVE_ONLY"
        assert changes[-1].evidence[0].startswith("venue: expired")
        plan.heal()
        await w.pass_time(10)
        assert w.worker.core.engine.state.system.mode == "OBSERVE_ONLY"
        w.quote(ES, 20_000)
        w.order(ES, BUY, 3)
        await w.pass_time(10)
        assert w.size(ES) == 0

    world.play(story)
