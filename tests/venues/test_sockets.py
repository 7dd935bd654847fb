"""The venue behind real sockets: it conforms, and its faults act on the connection."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest

from portcullis.domain.events import Quote, TradeReported
from portcullis.domain.model import BUY, SECOND, OrderRequest
from portcullis.errors import (
    PortTaken,
    UsageError,
    VenueRefused,
    VenueTimeout,
    VenueUnreachable,
)
from portcullis.venues.simulated import Fault, FaultPlan, Terms
from portcullis.venues.simulated.client import SimulatedVenue
from portcullis.venues.simulated.endpoint import VenueServer
from tests.conformance import venue as conformance
from tests.venues.bench import ES, FREE, Bench

TOKEN = "let me in"


class SocketStage:
    """A venue behind sockets on loopback, and the adapter to it."""

    account = "A"
    instrument = ES

    def __init__(self, terms: Terms | None = None) -> None:
        self.bench = Bench(terms)
        self.bench.price(100)
        self.plan = FaultPlan()
        self.server = VenueServer(self.bench.exchange, self.plan, token=TOKEN)
        self.url = ""

    async def start(self, patience: int = 5 * SECOND) -> None:
        self.url = f"http://127.0.0.1:{await self.server.start('127.0.0.1', 0)}"
        self.venue = SimulatedVenue(self.url, TOKEN, timeout=patience)
        await self.venue.connect()

    async def price(self, bid: int, ask: int) -> None:
        self.bench.price(bid, ask)

    async def trade(self, side: int, size: int) -> None:
        self.bench.send(side, size)

    async def control(self, act: str, **body):
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{self.url}/control/{act}", json=body) as reply,
        ):
            return reply.status, await reply.json()


@contextlib.asynccontextmanager
async def on_stage(terms: Terms | None = None, patience: int = 5 * SECOND):
    stage = SocketStage(terms)
    await stage.start(patience)
    try:
        yield stage
    finally:
        await stage.venue.close()
        await stage.server.stop()


@pytest.mark.parametrize("case", conformance.CASES, ids=conformance.name_of)
async def test_conforms(case):
    async with on_stage() as stage:
        await case(stage)


async def test_it_declares_the_venues_capabilities():
    terms = Terms(costs=FREE, deduplicates="window", window=7)
    async with on_stage(terms) as stage:
        assert stage.venue.capabilities.deduplicates == "window"
        assert stage.venue.capabilities.window == 7
        await conformance.a_second_request_with_a_key_is_treated_as_declared(stage)


def buy(key: str = "k") -> OrderRequest:
    return OrderRequest("A", ES, BUY, 1, "market", key=key)


CALL_FAULTS = [
    ("drop", VenueUnreachable, 0),
    ("timeout_before", VenueTimeout, 0),
    ("timeout_after", VenueTimeout, 1),
    ("disconnect", VenueTimeout, 0),
    ("reject", VenueRefused, 0),
]


@pytest.mark.parametrize(("kind", "error", "bought"), CALL_FAULTS)
async def test_a_call_fault_acts_on_the_socket(kind, error, bought):
    async with on_stage(patience=SECOND // 5) as stage:
        stage.plan.add(Fault("call", kind, on="place_order"))
        with pytest.raises(error):
            await stage.venue.place_order(buy())
        assert stage.bench.held() == bought
        found = await stage.venue.order_by_key("A", "k")
        assert (found is not None) is bool(bought), "looking tells what became of it"


async def test_half_open_is_silent_and_stays_open():
    async with on_stage() as stage:
        stream = stage.venue.stream()
        stage.plan.add(Fault("event", "freeze", on="quote"))
        for bid in range(100, 110):
            stage.bench.price(bid)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await anext(stream)
        assert await stage.venue.accounts(), "calls still work"


@pytest.mark.parametrize("how", ["fault", "cut", "stop"])
async def test_a_broken_stream_raises_and_a_new_connection_hears_again(how):
    async with on_stage() as stage:
        stream = stage.venue.stream()
        stage.bench.price(101)
        assert await anext(stream)
        if how == "fault":
            stage.plan.add(Fault("event", "disconnect"))
            stage.bench.price(102)
        elif how == "cut":
            assert await stage.control("cut") == (200, None)
        else:
            await stage.server.stop()
        with pytest.raises(VenueUnreachable):
            await conformance.hears(stream, lambda e: False)
        if how == "stop":
            with pytest.raises(VenueUnreachable):
                await stage.venue.connect()
            return
        await stage.venue.connect()
        stream = stage.venue.stream()
        stage.bench.price(103)
        event = await anext(stream)
        assert isinstance(event, Quote)
        assert event.bid == 103


async def test_connect_subscribes_before_any_snapshot():
    async with on_stage() as stage:
        await stage.trade(BUY, 1)
        stream = stage.venue.stream()
        told = await conformance.hears(stream, lambda e: isinstance(e, TradeReported))
        assert [told] == await stage.venue.trades("A", 0)


async def test_the_wrong_token_opens_nothing():
    async with on_stage() as stage:
        stranger = SimulatedVenue(stage.url, "wrong")
        with pytest.raises(VenueRefused, match="Unauthorized"):
            await stranger.connect()
        with pytest.raises(VenueUnreachable):
            await stranger.accounts()
        async with aiohttp.ClientSession() as session:
            for path in ("/calls/accounts", "/control/status"):
                async with session.post(stage.url + path) as reply:
                    assert reply.status == 401
            async with session.get(stage.url + "/stream") as reply:
                assert reply.status == 401
    with pytest.raises(UsageError):
        VenueServer(stage.bench.exchange, stage.plan, token="")


async def test_a_taken_port_says_so():
    async with on_stage() as stage:
        port = int(stage.url.rsplit(":", 1)[1])
        second = VenueServer(stage.bench.exchange, stage.plan, token=TOKEN)
        with pytest.raises(PortTaken, match=str(port)) as caught:
            await second.start("127.0.0.1", port)
        assert caught.value.remedy


async def test_nothing_listening_is_unreachable(unused_tcp_port):
    venue = SimulatedVenue(f"http://127.0.0.1:{unused_tcp_port}", TOKEN)
    with pytest.raises(VenueUnreachable, match="nothing listens"):
        await venue.connect()


async def test_an_operator_changes_the_venue():
    async with on_stage() as stage:
        assert (await stage.control("can_trade", account="A", can_trade=False))[0] == 200
        assert (await stage.venue.accounts())[0].can_trade is False
        await stage.control("can_trade", account="A", can_trade=True)
        await stage.control("halt", instrument=ES)
        with pytest.raises(VenueRefused, match="OrderRejected"):
            await stage.venue.place_order(buy())
        await stage.control("resume", instrument=ES)
        quote = {"instrument": ES, "bid": 200, "ask": 201, "last": 200, "quoted_at": 1}
        assert (await stage.control("quote", kind="quote", **quote))[0] == 200
        order = {"account": "A", "instrument": ES, "side": 1, "size": 2, "type": "market"}
        await stage.control("order", **order)
        await stage.control("refuse_close", account="A")
        with pytest.raises(VenueRefused, match="AccountRejected"):
            await stage.venue.close_position("A", ES, "c")
        assert (await stage.control("fault", where="call", kind="drop", on="accounts"))[0] == 200
        with pytest.raises(VenueUnreachable):
            await stage.venue.accounts()
        _, status = await stage.control("status")
        assert status["positions"][0]["size"] == 2
        assert status["faults"] == {"drop": 1}
        await stage.control("liquidate", account="A")
        assert await stage.venue.positions("A") == []
        _, journal = await stage.control("journal", at=0)
        assert [e["size"] for e in journal if e["what"] == "executed"] == [2, 2]


@pytest.mark.parametrize(
    ("act", "body", "status"),
    [
        ("launch", {}, 404),
        ("halt", {"instrument": "nothing"}, 409),
        ("halt", {"ticker": "ES"}, 400),
        ("fault", {"where": "call", "kind": "freeze"}, 400),
        ("can_trade", {"account": "A", "can_trade": "maybe"}, 400),
    ],
)
async def test_a_wrong_control_request_is_refused_with_a_reason(act, body, status):
    async with on_stage() as stage:
        got, answer = await stage.control(act, **body)
        assert got == status
        assert answer["message"]
        assert answer["remedy"]
