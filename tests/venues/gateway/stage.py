"""A simulated gateway on loopback, and the adapter to it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import aiohttp

from portcullis.clock import SystemClock
from portcullis.domain.events import Quote
from portcullis.domain.model import MICRO, SECOND, OrderRequest
from portcullis.venues.projectx.rest import Login
from portcullis.venues.projectx.venue import ProjectXVenue
from portcullis.venues.projectx.wire import HttpWire
from portcullis.venues.simulated import Exchange, FaultPlan, Terms, instrument
from portcullis.venues.simulated_gateway.gateway import SimulatedGateway
from portcullis.venues.simulated_gateway.server import GatewayServer
from portcullis.venues.simulated_gateway.terms import GatewayTerms
from tests.conformance.venue import until
from tests.venues.bench import ES, FREE

ACCOUNT = "PRAC-V2-1-1"
USER, KEY = "Trader", "a key of mine"
CONTROL = "the operator's"


class GatewayStage:
    """A gateway with one account, flat, ES at 100 and 101, and an adapter that is connected."""

    account = ACCOUNT
    instrument = ES

    def __init__(self, terms: Terms | None = None, gateway: GatewayTerms | None = None) -> None:
        self.clock = SystemClock()
        self.exchange = Exchange(
            self.clock,
            terms=terms or Terms(costs=FREE),
            instruments=[instrument("ES"), instrument("MES")],
        )
        self.exchange.open_account(ACCOUNT, balance=50_000 * MICRO)
        self.plan = FaultPlan()
        users = {USER: KEY}
        self.gateway = SimulatedGateway(self.exchange, self.plan, users, self.clock, gateway)
        self.server = GatewayServer(self.gateway, control_token=CONTROL)
        self.url = ""

    async def start(self, *, patience: int = 5 * SECOND) -> None:
        self.url = f"http://127.0.0.1:{await self.server.start('127.0.0.1', 0)}"
        self.venue = self.adapter(patience=patience)
        await self.venue.connect()
        await self.price(100, 101)

    def adapter(self, *, key: str = KEY, patience: int = 5 * SECOND) -> ProjectXVenue:
        wire = HttpWire(self.url, self.url, patience=patience)
        return ProjectXVenue(wire, Login(USER, key), self.clock, tickers=["ES"])

    async def price(self, bid: int, ask: int, contract: str = ES) -> None:
        """Let the market quote this; of ES the adapter has it when this returns."""
        quote = Quote(contract, bid, ask, bid, self.clock.now())
        self.exchange.on_quote(quote)

        async def has_it() -> bool:
            return quote in await self.venue.quotes()

        if contract == ES:
            await until(has_it)

    async def trade(self, side: int, size: int, contract: str = ES) -> None:
        self.exchange.place_order(OrderRequest(ACCOUNT, contract, side, size, "market"))

    async def control(self, act: str, **body):
        headers = {"Authorization": f"Bearer {CONTROL}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{self.url}/control/{act}", json=body) as reply,
        ):
            return reply.status, await reply.json()


@contextlib.asynccontextmanager
async def on_stage(
    terms: Terms | None = None,
    gateway: GatewayTerms | None = None,
    *,
    patience: int = 5 * SECOND,
) -> AsyncIterator[GatewayStage]:
    stage = GatewayStage(terms, gateway)
    await stage.start(patience=patience)
    try:
        yield stage
    finally:
        await stage.venue.close()
        await stage.server.stop()
