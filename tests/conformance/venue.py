"""What every venue adapter must do: one list of cases, run on each implementation.

An implementation provides a `Stage` (its venue, one account, one instrument, a hand on the
market and a hand of somebody else in the account) and a test of it says:

    @pytest.mark.parametrize("case", venue.CASES, ids=venue.name_of)
    async def test_conforms(case, stage): await case(stage)

The stage starts connected, flat, with quotes at bid 100, ask 101, without costs to speak of.
Cases that need what the venue says it cannot do (`capabilities`) are not run on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import pytest

from portcullis.domain.events import OrderReported, PositionReported, Quote, TradeReported
from portcullis.domain.model import BUY, SELL, STOP_TYPES, OrderRequest
from portcullis.errors import VenueRefused, VenueUnreachable
from portcullis.ports import Venue, VenueEvent

PATIENCE = 10.0
"""Seconds (of the loop's clock) within which what was done must be seen."""


class Stage(Protocol):
    venue: Venue
    account: str
    instrument: str

    async def price(self, bid: int, ask: int) -> None:
        """Let the market quote this."""

    async def trade(self, side: int, size: int) -> None:
        """Let somebody else trade at the market in the account."""


Case = Callable[[Stage], Awaitable[None]]


def name_of(case: Case) -> str:
    return getattr(case, "__name__", "case")


def order(stage: Stage, side: int, size: int, key: str = "", **fields) -> OrderRequest:
    return OrderRequest(
        account=stage.account,
        instrument=stage.instrument,
        side=side,
        size=size,
        type=fields.pop("type", "market"),
        key=key,
        **fields,
    )


async def size_of(stage: Stage) -> int:
    return sum(
        p.size
        for p in await stage.venue.positions(stage.account)
        if p.instrument == stage.instrument
    )


async def until(read: Callable[[], Awaitable[bool]]) -> None:
    """Wait until the venue's records say so."""
    async with asyncio.timeout(PATIENCE):
        while not await read():  # noqa: ASYNC110 - records are all a venue must have
            await asyncio.sleep(0.01)


async def flat(stage: Stage) -> None:
    async def is_flat() -> bool:
        return await size_of(stage) == 0

    await until(is_flat)


async def hears(
    stream: AsyncIterator[VenueEvent], wanted: Callable[[VenueEvent], bool]
) -> VenueEvent:
    async with asyncio.timeout(PATIENCE):
        async for event in stream:
            if wanted(event):
                return event
    raise AssertionError("the stream ended without an error")


# --- cases --------------------------------------------------------------------------------------


async def tells_what_there_is(stage: Stage) -> None:
    instruments = {i.id: i for i in await stage.venue.instruments()}
    assert instruments[stage.instrument].tick_value > 0
    (account,) = [a for a in await stage.venue.accounts() if a.account == stage.account]
    assert account.can_trade is True
    assert account.balance > 0
    assert await stage.venue.positions(stage.account) == []
    assert await stage.venue.orders(stage.account) == []
    (quote,) = [q for q in await stage.venue.quotes() if q.instrument == stage.instrument]
    assert (quote.bid, quote.ask) == (100, 101)


async def a_market_order_becomes_a_position_and_a_trade(stage: Stage) -> None:
    order_id = await stage.venue.place_order(order(stage, BUY, 2, "entry"))
    assert await size_of(stage) == 2
    (position,) = await stage.venue.positions(stage.account)
    assert position.average == 101_000_000
    (trade,) = await stage.venue.trades(stage.account, 0)
    assert (trade.order_id, trade.side, trade.size, trade.price) == (order_id, BUY, 2, 101)
    assert trade.gross is None
    assert position.as_of >= trade.executed_at


async def closing_is_convergent(stage: Stage) -> None:
    await stage.trade(SELL, 3)
    await stage.venue.close_position(stage.account, stage.instrument, "c1")
    await flat(stage)
    await stage.venue.close_position(stage.account, stage.instrument, "c2")
    assert len(await stage.venue.trades(stage.account, 0)) == 2
    closing = (await stage.venue.trades(stage.account, 0))[-1]
    assert closing.gross is not None
    assert closing.gross < 0, "bought back at the ask"


async def reducing_takes_part(stage: Stage) -> None:
    await stage.trade(BUY, 3)
    await stage.venue.reduce_position(stage.account, stage.instrument, 2, "r1")
    assert await size_of(stage) == 1


async def reducing_by_too_much_is_refused(stage: Stage) -> None:
    await stage.trade(BUY, 1)
    with pytest.raises(VenueRefused) as caught:
        await stage.venue.reduce_position(stage.account, stage.instrument, 2, "r1")
    assert caught.value.code
    assert caught.value.remedy
    assert await size_of(stage) == 1


async def cancelling_twice_is_success(stage: Stage) -> None:
    order_id = await stage.venue.place_order(
        order(stage, BUY, 1, "limit", type="limit", limit_price=90)
    )
    (working,) = await stage.venue.orders(stage.account)
    assert (working.order_id, working.status, working.remaining) == (order_id, "working", 1)
    await stage.venue.cancel_order(stage.account, order_id)
    await stage.venue.cancel_order(stage.account, order_id)
    assert await stage.venue.orders(stage.account) == []


async def a_stop_can_be_moved_and_resized(stage: Stage) -> None:
    await stage.trade(BUY, 2)
    order_id = await stage.venue.place_order(
        order(stage, SELL, 2, "stop", type="stop", stop_price=90)
    )
    await stage.venue.modify_order(stage.account, order_id, stop_price=95, size=None)
    await stage.venue.modify_order(stage.account, order_id, stop_price=None, size=1)
    (stop,) = await stage.venue.orders(stage.account)
    assert stop.type in STOP_TYPES
    assert (stop.stop_price, stop.remaining) == (95, 1)
    await stage.price(94, 95)
    assert await size_of(stage) == 1


async def bracket_children_are_listed_while_suspended(stage: Stage) -> None:
    parent = await stage.venue.place_order(
        order(stage, BUY, 1, "b", type="limit", limit_price=95, stop_loss=90, take_profit=120)
    )
    children = [o for o in await stage.venue.orders(stage.account) if o.parent == parent]
    assert [(c.status, c.side) for c in children] == [("suspended", SELL)] * 2
    await stage.price(94, 95)
    children = [o for o in await stage.venue.orders(stage.account) if o.parent == parent]
    assert [c.status for c in children] == ["working"] * 2
    await stage.price(89, 90)
    await flat(stage)
    assert await stage.venue.orders(stage.account) == []


async def an_order_is_found_by_its_key_whatever_its_status(stage: Stage) -> None:
    if not stage.venue.capabilities.finds_by_key:
        pytest.skip("the venue does not find orders by key")
    order_id = await stage.venue.place_order(
        order(stage, BUY, 1, "look", type="limit", limit_price=90)
    )
    await stage.venue.cancel_order(stage.account, order_id)
    found = await stage.venue.order_by_key(stage.account, "look")
    assert found is not None
    assert (found.order_id, found.status) == (order_id, "cancelled")
    assert await stage.venue.order_by_key(stage.account, "never sent") is None


async def a_second_request_with_a_key_is_treated_as_declared(stage: Stage) -> None:
    for _ in range(2):
        await stage.venue.place_order(order(stage, BUY, 1, "twice"))
    never = stage.venue.capabilities.deduplicates == "never"
    assert await size_of(stage) == (2 if never else 1)


async def a_refused_order_raises(stage: Stage) -> None:
    with pytest.raises(VenueRefused):
        await stage.venue.place_order(order(stage, BUY, 1, "bad", type="limit"))
    with pytest.raises(VenueRefused):
        await stage.venue.positions("no such account")


async def the_stream_tells_what_others_do(stage: Stage) -> None:
    stream = stage.venue.stream()
    waiting = asyncio.ensure_future(hears(stream, lambda e: isinstance(e, PositionReported)))
    await asyncio.sleep(0.05)
    await stage.trade(BUY, 2)
    position = await waiting
    assert isinstance(position, PositionReported)
    assert (position.account, position.size) == (stage.account, 2)


async def the_stream_tells_orders_trades_and_quotes(stage: Stage) -> None:
    stream = stage.venue.stream()
    trade = asyncio.ensure_future(hears(stream, lambda e: isinstance(e, TradeReported)))
    await asyncio.sleep(0.05)
    await stage.venue.place_order(order(stage, BUY, 1, "entry"))
    told = await trade
    assert isinstance(told, TradeReported)
    (read,) = await stage.venue.trades(stage.account, 0)
    assert told == read
    order_id = await stage.venue.place_order(
        order(stage, SELL, 1, "stop", type="stop", stop_price=90)
    )
    seen = await hears(stream, lambda e: isinstance(e, OrderReported) and e.order_id == order_id)
    assert isinstance(seen, OrderReported)
    assert (seen.type, seen.stop_price) == ("stop", 90)
    await stage.price(99, 100)
    moved = await hears(stream, lambda e: isinstance(e, Quote) and e.bid == 99)
    assert moved.ask == 100  # type: ignore[union-attr]


async def trades_are_read_from_a_moment_on(stage: Stage) -> None:
    await stage.trade(BUY, 1)
    await stage.trade(BUY, 1)
    first, second = await stage.venue.trades(stage.account, 0)
    assert first.executed_at < second.executed_at
    assert await stage.venue.trades(stage.account, second.executed_at) == [second]


async def closing_the_adapter_ends_the_stream(stage: Stage) -> None:
    stream = stage.venue.stream()
    waiting = asyncio.ensure_future(hears(stream, lambda e: False))
    await asyncio.sleep(0.05)
    await stage.venue.close()
    await stage.venue.close()
    with pytest.raises(VenueUnreachable):
        await waiting
    with pytest.raises(VenueUnreachable):
        await stage.venue.accounts()


async def it_connects_again(stage: Stage) -> None:
    await stage.venue.close()
    await stage.venue.connect()
    await tells_what_there_is(stage)


CASES: list[Case] = [
    tells_what_there_is,
    a_market_order_becomes_a_position_and_a_trade,
    closing_is_convergent,
    reducing_takes_part,
    reducing_by_too_much_is_refused,
    cancelling_twice_is_success,
    a_stop_can_be_moved_and_resized,
    bracket_children_are_listed_while_suspended,
    an_order_is_found_by_its_key_whatever_its_status,
    a_second_request_with_a_key_is_treated_as_declared,
    a_refused_order_raises,
    the_stream_tells_what_others_do,
    the_stream_tells_orders_trades_and_quotes,
    trades_are_read_from_a_moment_on,
    closing_the_adapter_ends_the_stream,
    it_connects_again,
]
