"""The adapter against a gateway in every mood: faults, refusals, logouts, rows that come late."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from portcullis.domain.events import PositionReported, TradeReported
from portcullis.domain.model import BUY, MICRO, SECOND, SELL, OrderRequest
from portcullis.errors import VenueRefused, VenueTimeout, VenueUnreachable
from portcullis.venues.simulated import Costs, Fault, Terms
from portcullis.venues.simulated_gateway.terms import GatewayTerms
from tests.conformance.venue import flat, hears, order, until
from tests.venues.bench import ES, MES
from tests.venues.gateway.stage import ACCOUNT, USER, on_stage

QUICK = SECOND // 5


async def test_a_close_whose_answer_is_lost_is_unknown_and_was_done():
    async with on_stage(patience=QUICK) as stage:
        await stage.trade(BUY, 2)
        stage.plan.add(Fault("call", "timeout_after", on="Position/closeContract"))
        with pytest.raises(VenueTimeout):
            await stage.venue.close_position(ACCOUNT, ES, "c")
        await flat(stage)


@pytest.mark.parametrize("kind", ["drop", "timeout_before", "disconnect"])
async def test_a_read_without_an_answer_has_done_nothing(kind):
    async with on_stage(patience=QUICK) as stage:
        stage.plan.add(Fault("call", kind, on="Position/searchOpen"))
        with pytest.raises(VenueUnreachable):
            await stage.venue.positions(ACCOUNT)
        assert await stage.venue.positions(ACCOUNT) == []


async def test_a_gateway_that_became_slow_is_waited_for():
    async with on_stage(patience=QUICK) as stage:
        slow = Fault("call", "delay", on="Position/searchOpen", micros=3 * QUICK // 2, count=3)
        stage.plan.add(slow)
        with pytest.raises(VenueUnreachable):
            await stage.venue.positions(ACCOUNT)
        assert await stage.venue.positions(ACCOUNT) == []
        assert await stage.venue.positions(ACCOUNT) == []


@pytest.mark.parametrize("kind", ["drop", "disconnect"])
async def test_a_change_whose_connection_broke_is_unknown(kind):
    async with on_stage() as stage:
        stage.plan.add(Fault("call", kind, on="Order/place"))
        with pytest.raises(VenueTimeout):
            await stage.venue.place_order(order(stage, BUY, 1, "k"))
        assert await stage.venue.order_by_key(ACCOUNT, "k") is None


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        ("HTTP 429", VenueUnreachable, "another program uses the same key"),
        ("HTTP 502", VenueUnreachable, "proxy"),
        ("HTML", VenueUnreachable, "proxy"),
        ("AccountNotFound", VenueRefused, "look at the account"),
    ],
)
async def test_what_is_no_answer_says_what_to_do(code, error, says):
    async with on_stage() as stage:
        stage.plan.add(Fault("call", "reject", on="Position/searchOpen", code=code))
        with pytest.raises(error) as caught:
            await stage.venue.positions(ACCOUNT)
        assert says in caught.value.remedy


async def test_tokens_that_end_between_two_calls_cost_one_login():
    async with on_stage() as stage:
        await stage.trade(BUY, 3)
        before = stage.gateway.logins
        await stage.control("end_tokens")
        await stage.venue.close_position(ACCOUNT, ES, "c")
        await flat(stage)
        assert stage.gateway.logins == before + 1


async def test_hubs_that_refuse_a_token_cost_one_login_and_then_say_so():
    """A gateway that forgot its tokens says nothing of the key; refusing a new one does."""
    async with on_stage() as stage:
        before = stage.gateway.logins
        await stage.control("end_tokens")
        await stage.venue.connect()
        assert stage.gateway.logins == before + 1
        stage.gateway.user_of = lambda token: None  # type: ignore[method-assign]
        with pytest.raises(VenueRefused) as caught:
            await stage.venue.connect()
        assert caught.value.code == "Unauthorized"


async def test_a_first_balance_is_dated_by_the_fills_it_contains():
    """A fill between listing accounts and reading their trades is in one of two balances."""
    async with on_stage(terms=Terms(costs=Costs(fees=MICRO))) as stage:
        fresh = stage.adapter()
        await fresh.connect()
        listing, trading = fresh.meet, True

        async def meet():
            nonlocal trading
            found = await listing()
            if trading:
                trading = False
                stage.exchange.place_order(OrderRequest(ACCOUNT, ES, BUY, 1, "market"))
            return found

        fresh.meet = meet  # type: ignore[method-assign]
        try:
            (told,) = await fresh.accounts()
            trades = await fresh.trades(ACCOUNT, 0)
            assert len(trades) == 1
            assert told.reported_at >= trades[-1].executed_at
            assert told.balance == stage.exchange.accounts()[0].balance
        finally:
            await fresh.close()


async def test_one_contract_that_cannot_be_read_hides_no_other(monkeypatch):
    async with on_stage() as stage:
        venue = stage.adapter()
        call = venue.gateway.call

        async def with_a_bad_row(endpoint, body, answer, **more):
            found = await call(endpoint, body, answer, **more)
            if endpoint == "Contract/available":
                bad = msgspec.Raw(b'{"id": "CON.F.US.BAD.Z26", "name": "BADZ6", "tickSize": null}')
                return msgspec.structs.replace(found, contracts=(bad, *found.contracts))
            return found

        monkeypatch.setattr(venue.gateway, "call", with_a_bad_row)
        await venue.connect()
        try:
            assert ES in {each.id for each in await venue.instruments()}
        finally:
            await venue.close()


async def test_a_wrong_key_and_a_lost_subscription_are_refused_with_a_remedy():
    async with on_stage() as stage:
        for key, word in (("wrong", "API key"), ("a key of mine", "subscription")):
            stranger = stage.adapter(key=key)
            if word == "subscription":
                await stage.control("expire", user=USER)
            with pytest.raises(VenueRefused) as caught:
                await stranger.connect()
            assert word in caught.value.remedy
            assert key not in str(caught.value)


async def test_an_account_that_may_not_trade_is_still_listed():
    async with on_stage() as stage:
        stage.exchange.set_can_trade(ACCOUNT, False)
        assert [a.can_trade for a in await stage.venue.accounts()] == [False]
        with pytest.raises(VenueRefused, match="AccountViolation"):
            await stage.venue.place_order(order(stage, BUY, 1))


async def test_a_rejection_with_an_id_is_a_rejection():
    async with on_stage(gateway=GatewayTerms(brackets="position")) as stage:
        with pytest.raises(VenueRefused, match="Position Brackets"):
            await stage.venue.place_order(
                order(stage, BUY, 1, "b", type="limit", limit_price=95, stop_loss=90)
            )
        found = await stage.venue.order_by_key(ACCOUNT, "b")
        assert found is not None
        assert found.status == "rejected"


async def test_a_live_account_refuses_and_a_person_is_told():
    async with on_stage() as stage:
        stage.exchange.open_account("77", balance=1_000_000, flavour="live")
        order_id = stage.exchange.place_order(
            OrderRequest("77", ES, BUY, 1, "limit", limit_price=90)
        )
        await stage.venue.accounts()
        with pytest.raises(VenueRefused, match="AccountRejected") as caught:
            await stage.venue.cancel_order("77", order_id)
        assert "by hand" in caught.value.remedy


async def test_prices_come_for_what_an_account_deals_in():
    async with on_stage() as stage:
        await stage.price(400, 401, MES)
        await stage.trade(BUY, 1, MES)
        assert [p.instrument for p in await stage.venue.positions(ACCOUNT)] == [MES]

        async def priced() -> bool:
            await stage.price(402, 403, MES)
            return any(q.instrument == MES and q.bid == 402 for q in await stage.venue.quotes())

        await until(priced)


async def test_being_logged_out_ends_the_stream_and_the_next_connection_logs_in():
    async with on_stage() as stage:
        before = stage.gateway.logins
        stream = stage.venue.stream()
        waiting = asyncio.ensure_future(hears(stream, lambda _: False))
        await stage.control("log_out")
        with pytest.raises(VenueUnreachable, match="logged us out"):
            await waiting
        await stage.venue.connect()
        assert stage.gateway.logins == before + 1


@pytest.mark.parametrize("act", ["cut", "close_hubs"])
async def test_a_hub_that_ends_ends_the_stream(act):
    async with on_stage() as stage:
        waiting = asyncio.ensure_future(hears(stage.venue.stream(), lambda _: False))
        await stage.control(act)
        with pytest.raises(VenueUnreachable):
            await waiting


async def test_a_row_says_which_fills_it_contains_whatever_came_first():
    """Positions overtaken by later fills, and ahead of their own, never count a fill twice."""
    async with on_stage(Terms(costs=Costs())) as stage:
        stage.plan.set_rates(event_rates={"reorder": 0.3, "duplicate": 0.2})
        stream = stage.venue.stream()
        assert await stage.venue.positions(ACCOUNT) == []
        sizes = [(BUY, 1), (BUY, 2), (SELL, 1), (SELL, 2), (SELL, 3), (BUY, 3)] * 5
        for side, size in sizes:
            await stage.trade(side, size)
        stage.plan.heal()
        await stage.trade(BUY, 4)
        truth = await stage.venue.trades(ACCOUNT, 0)

        rows: list[PositionReported] = []
        ids: set[str] = set()
        async with asyncio.timeout(10):
            async for event in stream:
                if isinstance(event, PositionReported):
                    rows.append(event)
                if isinstance(event, TradeReported):
                    ids.add(event.trade_id)
                if rows and rows[-1].size == 4:
                    break
        for row in rows:
            held = sum(t.side * t.size for t in truth if t.executed_at <= row.as_of)
            assert held == row.size, row
        assert len(ids) > len(truth) // 2


async def test_a_read_during_a_fill_contains_what_it_says():
    async with on_stage() as stage:
        for side in (BUY, SELL) * 10:
            reading = asyncio.ensure_future(stage.venue.positions(ACCOUNT))
            await asyncio.sleep(0)
            await stage.trade(side, 1)
            rows = await reading
            truth = stage.exchange.trades(ACCOUNT, 0)
            for row in rows:
                held = sum(t.side * t.size for t in truth if t.executed_at <= row.as_of)
                assert held == row.size


async def test_a_defect_of_ours_is_raised_and_not_taken_for_a_quiet_market():
    async with on_stage() as stage:

        def broken(*_: object) -> None:
            raise ZeroDivisionError("oops")

        waiting = asyncio.ensure_future(hears(stage.venue.stream(), lambda _: False))
        stage.venue.books.order = broken  # type: ignore[method-assign, assignment]
        await stage.trade(BUY, 1)
        with pytest.raises(ZeroDivisionError):
            await waiting


async def test_a_busted_trade_is_news_once():
    """Every read lists it again; what is known of the position since must stay known."""
    async with on_stage() as stage:
        await stage.trade(BUY, 1)
        (trade,) = await stage.venue.trades(ACCOUNT, 0)
        stage.exchange.void_trade(ACCOUNT, trade.trade_id)
        await stage.venue.trades(ACCOUNT, 0)
        await stage.trade(BUY, 2)
        await stage.venue.trades(ACCOUNT, 0)
        (before,) = await stage.venue.positions(ACCOUNT)
        await stage.venue.trades(ACCOUNT, 0)
        stage.plan.add(Fault("call", "drop", on="Trade/search", count=5))
        (after,) = await stage.venue.positions(ACCOUNT)
        assert (after.size, after.as_of) == (before.size, before.as_of)
