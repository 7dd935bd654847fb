"""Who is compared with the venue and how often, where its limits leave few reads; what is found."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from msgspec.structs import replace

from portcullis.domain.events import DayRolled, Reconciled, VenueLinked
from portcullis.domain.model import BUY, SECOND
from portcullis.domain.overview import system_overview
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.rules import auth_loss_guard, max_contracts
from portcullis.errors import OverBudget, VenueUnreachable
from portcullis.venues.simulated import Fault, FaultPlan, LocalVenue
from portcullis.worker import routine
from tests.worker.harness import ES, World

ACCOUNTS = tuple("ABCDEFGH")


def reads(world: World, allowed: int | None, seconds: float, *, busy: str = "") -> Counter[str]:
    """How often each account's positions were read, beside the first comparison of all."""
    counted: Counter[str] = Counter()

    async def story(w: World) -> None:
        await w.start()
        limited = msgspec.structs.replace(w.venue.capabilities, reads_a_minute=allowed)
        w.venue.capabilities = limited
        read = LocalVenue.positions

        async def counting(account: str):
            counted[account] += 1
            return await read(w.venue, account)

        w.venue.positions = counting  # type: ignore[method-assign]
        for account in busy:
            w.order(ES, BUY, 1, account=account)
        await w.pass_time(seconds)

    world.quote(ES, 20_000)
    world.play(story)
    return counted


def test_without_a_limit_everyone_is_compared_each_time():
    counted = reads(World(accounts=ACCOUNTS), None, 60)
    assert set(counted.values()) == {12}


def test_with_a_limit_it_is_kept_and_nobody_is_forgotten():
    counted = reads(World(accounts=ACCOUNTS), 60, 600)
    assert set(counted) == set(ACCOUNTS)
    # 60 a minute are 5 in a round of 5 s: one for the accounts, and one account of three.
    assert sum(counted.values()) == 120
    assert max(counted.values()) - min(counted.values()) <= 1


def test_those_that_hold_something_come_first_but_not_alone():
    counted = reads(World(accounts=ACCOUNTS), 100, 600, busy="CD")
    assert counted["C"] + counted["D"] > sum(counted.values()) / 3
    assert min(counted.values()) >= 600 // 5 // 12 - 1


def test_an_account_that_is_left_out_of_a_round_does_not_count_as_failed():
    world = World(accounts=ACCOUNTS)
    reads(world, 20, 300)
    assert all(row.ok for row in world.events(Reconciled))


def test_a_comparison_without_room_in_the_budget_is_put_off_for_a_minute():
    world = World()
    world.quote(ES, 20_000)

    async def story(w: World) -> None:
        await w.start()
        await w.pass_time(10)

        async def refuse(account: str):
            raise OverBudget("no room", remedy="wait")

        w.venue.positions = refuse  # type: ignore[method-assign]
        await w.pass_time(55)
        assert all(row.ok for row in w.events(Reconciled))
        assert w.shown()["reconciled"]
        await w.pass_time(20)
        assert not w.shown()["reconciled"]

    world.play(story)


def test_fills_that_the_stream_never_sent_are_found_counted_and_shown():
    plan = FaultPlan()
    world = World(faults=plan)
    world.quote(ES, 20_000)

    async def story(w: World) -> None:
        await w.start()
        w.order(ES, BUY, 1)
        await w.pass_time(10)
        assert w.shown()["missed_fills"] == 0
        plan.set_rates(event_rates={"drop": 1.0})
        w.order(ES, BUY, 2)
        await w.pass_time(10)
        assert w.shown()["missed_fills"] == 0
        await w.pass_time(10)
        assert w.size(ES) == 3
        assert w.shown()["missed_fills"] == 1
        assert w.shown()["positions"][0]["size"] == 3

    world.play(story)
    assert [row.missed for row in world.events(Reconciled) if row.missed] == [1]


def test_fills_that_the_stream_tells_late_are_not_lost():
    plan = FaultPlan()
    world = World(faults=plan)
    world.quote(ES, 20_000)

    async def story(w: World) -> None:
        await w.start()
        await w.pass_time(10)
        plan.add(Fault("event", "delay", on="trade_reported", micros=8 * SECOND))
        w.order(ES, BUY, 2)
        await w.pass_time(40)
        assert w.shown()["missed_fills"] == 0
        assert w.shown()["positions"][0]["size"] == 2

    world.play(story)
    assert any(row.differences for row in world.events(Reconciled))


def test_fills_while_nobody_listened_are_not_the_streams_fault():
    world = World()
    world.quote(ES, 20_000)

    async def story(w: World) -> None:
        await w.start()
        await w.kill()
        w.order(ES, BUY, 1)
        await w.pass_time(10)
        w.quote(ES, 20_000)
        await w.start()
        await w.pass_time(10)
        assert w.shown()["missed_fills"] == 0
        assert w.shown()["positions"][0]["size"] == 1

    world.play(story)


def test_fills_of_a_day_that_ended_while_nobody_ran_are_in_the_balance():
    """The day's reset came and went; what was lost before it is no part of the new day."""
    world = World()
    world.quote(ES, 20_000)

    async def story(w: World) -> None:
        await w.start()
        w.order(ES, BUY, 1)
        await w.pass_time(10)
        await w.kill()
        w.quote(ES, 19_900)
        w.exchange.close_position("A", ES.id, "")
        await w.pass_time(12 * 3600)
        worker = await w.start()
        account = worker.core.engine.state.accounts["A"]
        assert account.equity() == w.exchange.accounts()[0].balance
        assert account.realized == 0

    world.play(story)
    assert world.events(DayRolled)


def test_contract_data_that_cannot_be_had_hold_up_no_comparison():
    plan = FaultPlan()
    world = World(max_contracts.Params(limit=2), faults=plan)
    world.quote(ES, 20_000)

    async def story(w: World) -> None:
        await w.start()

        async def fail() -> None:
            raise VenueUnreachable("HTTP 500", remedy="wait")

        w.venue.instruments = fail  # type: ignore[method-assign, assignment]
        plan.set_rates(event_rates={"drop": 1.0})
        w.order(ES, BUY, 3)
        await w.pass_time(15)
        assert w.size(ES) == 0

    world.play(story)


def test_a_row_that_the_books_do_not_take_is_no_comparison():
    """A venue minutes ahead of our clock: its rows are of a time that cannot be."""
    world = World()
    world.quote(ES, 20_000)

    async def story(w: World) -> None:
        await w.start()
        w.order(ES, BUY, 1)
        await w.pass_time(1)
        read = LocalVenue.positions

        async def ahead(account: str):
            rows = await read(w.venue, account)
            return [replace(row, size=9, as_of=row.as_of + 600 * SECOND) for row in rows]

        w.venue.positions = ahead  # type: ignore[method-assign]
        await w.pass_time(30)
        assert not w.shown()["reconciled"]

    world.play(story)
    assert "the venue holds +9" in [row.detail for row in world.events(Reconciled)][-1]


def test_a_connection_that_breaks_again_and_again_leaves_nobody_as_if_compared():
    world = World(accounts=ACCOUNTS)
    world.quote(ES, 20_000)

    async def story(w: World) -> None:
        await w.start()
        w.venue.capabilities = replace(w.venue.capabilities, reads_a_minute=20)
        for _ in range(8):
            await w.pass_time(3)
            w.venue.cut("broken")
        await w.pass_time(1)
        assert not all(w.shown(account)["reconciled"] for account in ACCOUNTS)

    world.play(story)


def test_every_reason_why_a_venue_is_down_is_told_once():
    world = World()
    world.quote(ES, 20_000)

    async def story(w: World) -> None:
        await w.start()
        for reason in ("no route, try 1", "no route, try 2", "a wrong key"):

            async def fail(reason: str = reason) -> None:
                raise VenueUnreachable(reason, remedy="wait")

            w.venue.connect = fail  # type: ignore[method-assign]
            w.venue.cut("broken")
            await w.pass_time(30)
        system = system_overview(w.worker.core.engine, w.clock.now())  # type: ignore[union-attr]
        assert system["venue_reasons"] == {"simulated": "a wrong key"}

    world.play(story)
    reasons = [row.reason for row in world.events(VenueLinked) if not row.connected]
    assert [each for each in reasons if "broken" not in each] == ["no route, try 1", "a wrong key"]


@pytest.mark.parametrize(
    ("checks", "every"), [((), 60), ((30,), 30), ((90, 20), 20), ((0.001,), 1), ((0.001, 5), 1)]
)
def test_the_venue_is_asked_as_often_as_the_strictest_guard_wants(checks, every):
    plans = tuple(
        AccountPlan(f"A{n}", (auth_loss_guard.Params(check_every=round(each * SECOND)),))
        for n, each in enumerate(checks)
    )
    assert routine.asked_every(Plan(plans), 60 * SECOND) == every * SECOND
    assert routine.asked_every(Plan(plans), SECOND // 2) <= SECOND // 2
