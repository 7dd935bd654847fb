"""Killed at any moment, the worker comes back: nothing lost, nothing forgotten, nothing twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from portcullis.domain.events import (
    BreachFound,
    CommandConcluded,
    CommandIssued,
    DayRolled,
    LockEnded,
    LockSet,
    WorkerStarted,
)
from portcullis.domain.model import BUY, SECOND
from portcullis.domain.rules import (
    daily_realized_loss,
    max_contracts,
    no_stop_loss_grace,
    trade_frequency_limit,
)
from portcullis.domain.state import freeze
from portcullis.ports import Entry, Head
from portcullis.store.memory import MemoryLedger
from portcullis.venues.simulated import Fault, FaultPlan, Latency
from portcullis.worker.recovery import recover
from portcullis.worker.replay import replay
from tests.worker.harness import ES, World

USD = 1_000_000


class Killed(BaseException):
    """What SIGKILL is to a process: nothing catches it."""


class MortalLedger(MemoryLedger):
    """Dies at the n-th append, before or after it became durable; dead, it takes nothing."""

    def __init__(self, dies_at: int, *, after: bool) -> None:
        super().__init__()
        self.dies_at = dies_at
        self.after = after
        self.appends = 0
        self.is_dead = False

    def append(self, entries: Sequence[Entry]) -> Head:
        if self.is_dead:
            raise Killed
        self.appends += 1
        if self.appends == self.dies_at:
            self.is_dead = True
            if self.after:
                super().append(entries)
            raise Killed
        return super().append(entries)

    def revive(self) -> None:
        self.is_dead = False


def losing_day(ledger: MemoryLedger, faults: FaultPlan | None = None) -> World:
    """A trader loses more than allowed, with another position open: flatten, cancel, lock."""
    rules = (daily_realized_loss.Params(limit=200 * USD), max_contracts.Params(limit=9))
    world = World(*rules, faults=faults or FaultPlan(latency=Latency(20_000)))
    world.ledger = ledger
    world.quote(ES, 20_000)
    return world


async def lose(world: World) -> None:
    world.order(ES, BUY, 3)
    world.order(ES, BUY, 1, "limit", limit_price=18_000)
    await asyncio.sleep(0.5)
    world.quote(ES, 19_980)
    world.exchange.reduce_position("A", ES.id, 1)


def run_killed_at(dies_at: int, *, after: bool, faults: FaultPlan | None = None) -> World:
    ledger = MortalLedger(dies_at, after=after)
    world = losing_day(ledger, faults)

    async def story(w: World) -> None:
        await w.start(settle=0)
        for tick in range(100):
            await asyncio.sleep(0.05 if tick < 60 else 1)
            if ledger.is_dead:
                await w.kill()
                ledger.revive()
                await w.start(settle=0)
            if tick == 10:
                await lose(w)

    world.play(story)
    return world


def test_a_kill_at_every_commit_ends_in_the_same_place():
    whole = run_killed_at(0, after=False)
    appends = whole.ledger.appends  # type: ignore[attr-defined]
    assert appends > 25
    for dies_at in range(1, appends + 1):
        for after in (False, True):
            world = run_killed_at(dies_at, after=after)
            where = f"killed {'after' if after else 'before'} commit {dies_at}"
            assert world.size(ES) == 0, where
            assert world.exchange.orders("A") == [], where
            breaches = [b.rule for b in world.events(BreachFound) if b.rule != "lockout"]
            assert breaches == ["daily_realized_loss"], where
            assert [row.lock.rule for row in world.events(LockSet)] == ["daily_realized_loss"]
            assert world.events(LockEnded) == [], where
            flattens = [e for e in world.events(CommandIssued) if "daily_realized_loss" in e.rules]
            assert len(flattens) == 1, where
            closed = sum(
                r.size
                for r in world.exchange.journal
                if r.what == "executed" and r.call == "close_position"
            )
            assert closed == 2, where
            assert not world.worker.core.engine.state.accounts["A"].pending, where
            assert replay(world.ledger).agrees, where


@pytest.mark.parametrize("kind", ["timeout_after", "timeout_before"])
def test_a_kill_while_the_outcome_is_unknown_closes_once(kind):
    for dies_at in range(20, 40, 3):
        faults = FaultPlan(
            latency=Latency(20_000), script=[Fault("call", kind, on="close_position", count=1)]
        )
        world = run_killed_at(dies_at, after=True, faults=faults)
        closed = sum(
            r.size
            for r in world.exchange.journal
            if r.what == "executed" and r.call == "close_position"
        )
        assert (world.size(ES), closed) == (0, 2), dies_at


def test_the_state_after_a_restart_is_the_state_before_it():
    world = losing_day(MemoryLedger())

    async def story(w: World) -> None:
        await w.start()
        await lose(w)
        await w.pass_time(5)
        before = freeze(w.worker.core.engine.state)
        await w.kill()
        assert freeze(recover(w.ledger).engine.state) == before

    world.play(story)


def test_a_snapshot_and_the_rest_is_the_whole():
    world = losing_day(MemoryLedger())

    async def story(w: World) -> None:
        worker = await w.start()
        await lose(w)
        await worker.snapshots.take()
        await w.pass_time(20)
        before = freeze(worker.core.engine.state)
        await w.kill()
        recovered = recover(w.ledger)
        assert recovered.snapshot_position > 0
        assert recovered.folded < len(w.events())
        assert freeze(recovered.engine.state) == before

    world.play(story)


def test_a_grace_that_ran_out_while_nobody_ran_is_enforced_at_once():
    world = World(no_stop_loss_grace.Params(grace=30 * SECOND))
    world.quote(ES, 20_000)

    async def story(w: World) -> None:
        await w.start()
        w.order(ES, BUY, 1)
        await w.pass_time(10)
        await w.kill()
        await w.pass_time(25)
        await w.start(settle=1)
        assert w.size(ES) == 0

    world.play(story)


def test_a_cooldown_goes_on_where_it_was_and_ends_on_time():
    world = World(trade_frequency_limit.Params(per_minute=1, minute_cooldown=60 * SECOND))
    world.quote(ES, 20_000)

    async def story(w: World) -> None:
        await w.start()
        w.order(ES, BUY, 1)
        w.order(ES, BUY, 1)
        await w.pass_time(1)
        until = w.events(LockSet)[0].lock.until
        await w.kill()
        await w.pass_time(20)
        await w.start()
        assert [row.until for row in w.worker.core.engine.state.accounts["A"].locks.values()] == [
            until
        ]
        await w.pass_time(60)
        ended = w.events(LockEnded)
        assert [row.how for row in ended] == ["expired"]
        assert w.size(ES) == 2

    world.play(story)


def test_a_restart_over_the_reset_rolls_the_day_once_and_ends_its_locks():
    world = losing_day(MemoryLedger())

    async def story(w: World) -> None:
        await w.start()
        await lose(w)
        await w.pass_time(5)
        await w.kill()
        await w.pass_time(9 * 3600)
        for _ in range(3):
            await w.start(settle=2)
            await w.kill()
        assert len(w.events(DayRolled)) == 1
        assert [row.how for row in w.events(LockEnded)] == ["session"]

    world.play(story)


def test_trades_of_the_day_that_nobody_saw_count_after_the_restart():
    world = losing_day(MemoryLedger())

    async def story(w: World) -> None:
        await w.start()
        await w.kill()
        await lose(w)
        await w.pass_time(5)
        await w.start(settle=5)
        assert [b.rule for b in w.events(BreachFound)] == ["daily_realized_loss"]
        assert w.size(ES) == 0

    world.play(story)


def test_a_drained_stop_finishes_what_is_under_way_and_says_so():
    world = losing_day(MemoryLedger(), FaultPlan(latency=Latency(500_000)))

    async def story(w: World) -> None:
        await w.start(settle=4)
        await lose(w)
        await w.pass_time(0.6)
        await w.stop()
        assert [c.outcome for c in w.events(CommandConcluded)] == ["confirmed"]
        assert w.size(ES) == 0
        await w.start()
        assert w.events(WorkerStarted)[-1].clean

    world.play(story)


def test_an_unknown_opening_order_is_looked_up_and_never_sent_again():
    from portcullis.domain.events import ProposalReceived
    from portcullis.domain.model import OrderRequest

    for kind in ("timeout_after", "timeout_before", "drop"):
        plan = FaultPlan(script=[Fault("call", kind, on="place_order", count=1)])
        world = World(max_contracts.Params(limit=9), faults=plan)
        world.quote(ES, 20_000)

        async def story(w: World) -> None:
            worker = await w.start()
            order = OrderRequest("A", ES.id, BUY, 1, "market")
            worker.core.enter(ProposalReceived("p", "agent", order, submit=True))
            await w.pass_time(1)
            await w.kill()
            await w.start(settle=30)
            placed = [
                r for r in w.exchange.journal if r.what == "requested" and r.call == "place_order"
            ]
            assert len(placed) <= 1
            assert abs(w.size(ES)) == len(placed)
            outcome = w.events(CommandConcluded)[-1].outcome
            assert outcome == ("confirmed" if placed else "unconfirmed")

        world.play(story)
