"""Tighten now, loosen later: the whole worker, over sessions, restarts and tripped rules."""

from __future__ import annotations

import msgspec

from portcullis.domain import loosening
from portcullis.domain.events import LooseningDropped, LooseningHeld, RulesLoaded
from portcullis.domain.model import MICRO
from portcullis.domain.plan import AccountPlan, Plan, decode_plan
from portcullis.domain.rules import symbol_blocks
from portcullis.domain.session import Calendar
from tests.worker.changing import OVER, desk, limits
from tests.worker.harness import ES

BLOCK = symbol_blocks.Params(("ES",))


def test_what_is_stricter_is_in_force_at_once_and_what_is_looser_at_the_next_session():
    async def story(world):
        await world.start()
        told = await world.reload(limits(6, loss=400))
        assert "limit 500.00 -> 400.00; looser, and waits" in told
        assert world.in_force == limits(5, loss=400)
        (row,) = world.waits["changes"]
        assert (row["rule"], row["recorded"], row["new"]) == ("max_contracts", "5", "6")
        assert row["waits_for"] == "the session after 2026-03-03, or an approver"
        await world.pass_time(9.8 * 60)
        assert world.in_force == limits(5, loss=400)
        await world.pass_time(15)
        assert world.in_force == limits(6, loss=400)
        assert world.waits is None

    world = desk(story)
    held = world.events(LooseningHeld)[0]
    assert (held.by, held.reason) == ("me", "because")
    assert held.held == ("A: max_contracts: limit 5 -> 6",)
    assert [decode_plan(e.plan) for e in world.events(RulesLoaded)] == [
        limits(5), limits(5, loss=400), limits(6, loss=400),
    ]  # fmt: skip


def test_it_waits_on_over_a_kill_and_is_not_asked_for_anew():
    async def story(world):
        await world.start()
        await world.reload(limits(6))
        await world.kill()
        await world.start()
        assert "still waits, asked for by me" in world.worker.loaded
        assert world.in_force == limits(5)
        await world.kill()
        await world.pass_time(OVER)
        await world.start(settle=3)
        assert world.in_force == limits(6)

    world = desk(story)
    assert len(world.events(LooseningHeld)) == 1


def test_who_only_starts_it_or_sends_a_signal_tightens_and_loosens_nothing():
    async def story(world):
        await world.start()
        await world.kill()
        world.plan = limits(6, loss=400)
        await world.start()
        assert "left out until `portcullis config reload` asks" in world.worker.loaded
        assert world.in_force == limits(5, loss=400)
        world.plan = limits(7, loss=300)
        assert "left out" in world.worker.reload()
        assert world.in_force == limits(5, loss=300)
        await world.pass_time(OVER)
        assert world.in_force == limits(5, loss=300)
        assert world.waits is None

    assert desk(story).events(LooseningHeld) == []


def test_nothing_is_loosened_while_its_rule_has_a_lock():
    async def story(world):
        await world.start()
        await world.lose()
        await world.reload(limits(9, loss=900))
        assert {row["waits_for"] for row in world.waits["changes"]} == {
            "daily_realized_loss to have no lock and no breach",
            "the session after 2026-03-03, or an approver",
        }
        await world.pass_time(OVER)
        assert world.shown()["locks"] == []
        assert world.in_force == limits(9, loss=900)

    desk(story, limits(5))


def test_a_block_that_was_touched_is_lifted_once_nothing_stands_there():
    blocked = Plan((AccountPlan("A", (BLOCK,)),))

    async def story(world):
        await world.start()
        world.quote(ES, 20_000)
        world.order(ES, 1, 1)
        await world.pass_time(2)
        assert [row["ends"] for row in world.shown()["locks"]] == ["config"]
        await world.reload(limits(5))
        assert world.in_force.accounts[0].rules == (*limits(5).accounts[0].rules, BLOCK)
        await world.pass_time(OVER)
        assert world.in_force == limits(5)
        assert world.shown()["locks"] == []

    desk(story, blocked)


def test_what_waits_is_withdrawn_by_anybody_and_dropped_when_the_files_say_something_else():
    async def story(world):
        await world.start()
        await world.reload(limits(6))
        assert (await world.ask("withdraw"))[0] == "done"
        assert (await world.ask("withdraw"))[0] == "refused"
        await world.pass_time(OVER)
        assert world.in_force == limits(5)
        await world.reload(limits(7))
        await world.reload(limits(4))
        assert world.in_force == limits(4)
        assert world.waits is None
        await world.pass_time(OVER)
        assert world.in_force == limits(4)

    assert len(desk(story).events(LooseningDropped)) == 1


def test_an_account_that_is_left_out_stays_watched_until_its_session_is_over():
    two = Plan((*limits(5).accounts, msgspec.structs.replace(limits(2).accounts[0], account="B")))

    async def story(world):
        world.exchange.open_account("B", balance=50_000 * MICRO)
        await world.start()
        await world.reload(limits(5))
        assert world.in_force == two
        await world.pass_time(OVER)
        assert world.in_force == limits(5)

    desk(story, two)


def test_the_times_of_an_account_are_limits_too():
    other = {"reset_minute": 16 * 60, "quote_max_age": 3 * MICRO, "calendar": Calendar("UTC")}

    async def story(world):
        await world.start()
        told = await world.reload(limits(5, **other))
        assert all(name in told for name in other)
        assert world.in_force == limits(5)
        await world.pass_time(OVER)
        assert world.in_force == limits(5, **other)

    desk(story)


def test_the_room_that_the_gate_holds_is_kept_no_shorter_until_every_account_is_due():
    def held(seconds):
        return msgspec.structs.replace(limits(5), reservation=seconds * MICRO)

    async def story(world):
        await world.start()
        world.plan = held(1)
        assert "left out" in world.worker.reload()
        assert world.in_force == limits(5)
        await world.reload(held(20))
        assert world.in_force == held(20)
        await world.lose()
        await world.reload(held(1))
        (row,) = world.waits["changes"]
        assert (row["rule"], row["recorded"], row["new"]) == ("gate", "20 s", "1 s")
        await world.ask("release", account="A", signature="administrator")
        await world.pass_time(3)
        assert world.in_force == held(20)
        await world.pass_time(OVER)
        assert world.in_force == held(1)
        assert world.waits is None

    desk(story)


def test_what_waits_is_worked_out_once_and_not_at_every_look():
    async def story(world):
        await world.start()
        await world.reload(limits(6))
        assert world.waits is not None
        worked = [each.cache_info().misses for each in (loosening._changes, loosening._decoded)]
        for _ in range(5):
            assert world.waits is not None
            await world.pass_time(1)
        assert worked == [
            each.cache_info().misses for each in (loosening._changes, loosening._decoded)
        ]

    desk(story)
