"""Flat is what the venue's rows say, and what they say a while after the fills did."""

from __future__ import annotations

import asyncio

from portcullis.domain.events import CommandConcluded, PositionReported
from portcullis.domain.model import BUY, MICRO
from portcullis.domain.rules import max_contracts
from portcullis.venues.simulated import LocalVenue
from tests.worker.harness import ES, World


def closes(world: World) -> int:
    return sum(
        row.what == "executed" and row.call == "close_position" for row in world.exchange.journal
    )


def outcomes(world: World) -> list[str]:
    return [event.outcome for event in world.events(CommandConcluded)]


def lagging(world: World, seconds: float) -> None:
    """From now on the venue's rows go on saying for a while that three are held."""
    read, until = LocalVenue.positions, asyncio.get_running_loop().time() + seconds
    before = world.exchange.positions("A")

    async def positions(account: str) -> list[PositionReported]:
        now = await read(world.venue, account)  # type: ignore[arg-type]
        return before if asyncio.get_running_loop().time() < until else now

    world.venue.positions = positions  # type: ignore[method-assign]


def over_the_limit() -> World:
    world = World(max_contracts.Params(limit=2))
    world.quote(ES, 20_000)
    return world


def test_a_row_that_lags_is_waited_for_and_nothing_is_sent_again():
    world = over_the_limit()

    async def story(w: World) -> None:
        await w.start()
        w.order(ES, BUY, 3)
        lagging(w, 3)
        await w.pass_time(2)
        assert outcomes(w) == []
        await w.pass_time(8)
        assert outcomes(w) == ["confirmed"]
        (ended,) = w.events(CommandConcluded)
        assert ended.confirmed_at - ended.detected_at >= 2 * MICRO
        assert closes(w) == 1

    world.play(story)


def test_a_row_that_outlives_its_fill_is_closed_again_and_a_person_is_told():
    world = over_the_limit()

    async def story(w: World) -> None:
        await w.start()
        w.order(ES, BUY, 3)
        lagging(w, 3600)
        await w.pass_time(4)
        asked = len([row for row in w.exchange.journal if row.call == "close_position"])
        await w.pass_time(12)
        assert len([row for row in w.exchange.journal if row.call == "close_position"]) > asked
        await w.pass_time(10)
        assert outcomes(w)[0] == "unconfirmed"

    world.play(story)
