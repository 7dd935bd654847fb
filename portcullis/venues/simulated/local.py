"""The simulated venue in this process: the Venue port on an exchange, without sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TypeVar

from portcullis.domain.events import (
    AccountReported,
    OrderReported,
    PositionReported,
    Quote,
    TradeReported,
)
from portcullis.domain.model import SECOND, Instrument, OrderRequest
from portcullis.errors import VenueUnreachable
from portcullis.ports import VenueCapabilities, VenueEvent
from portcullis.venues.simulated.exchange import Exchange
from portcullis.venues.simulated.faults import FaultPlan, carry_out
from portcullis.venues.simulated.push import STREAM_BOUND, PushStream

Answer = TypeVar("Answer")


class LocalVenue:
    """The Venue port in-process. All waiting is asyncio's, so virtual time drives it too.

    A stream hears what happens from the call of `stream` on. `patience` (microseconds) is how
    long a call without an answer waits before it raises VenueTimeout.
    """

    def __init__(
        self,
        exchange: Exchange,
        *,
        plan: FaultPlan | None = None,
        name: str = "simulated",
        patience: int = 5 * SECOND,
        stream_bound: int = STREAM_BOUND,
    ) -> None:
        self.name = name
        self.exchange = exchange
        self.plan = plan or FaultPlan()
        self.capabilities = VenueCapabilities(
            deduplicates=exchange.terms.deduplicates, window=exchange.terms.window
        )
        self._patience = patience
        self._stream_bound = stream_bound
        self._streams: list[PushStream] = []
        self._connected = False

    async def connect(self) -> None:
        self._connected = True
        try:
            await self._call("connect", lambda: None)
        except BaseException:
            self._connected = False
            raise

    async def close(self) -> None:
        self._connected = False
        self.cut("closed")

    def cut(self, why: str = "the connection broke") -> None:
        """End every stream, as a broken network would; calls still work."""
        for stream in self._streams:
            stream.end(why)
        self._streams.clear()

    def stream(self) -> AsyncIterator[VenueEvent]:
        self._need_connection("stream")
        latency = self.plan.latency.fixed // 2
        stream = PushStream(self.exchange, self.plan, latency=latency, bound=self._stream_bound)
        self._streams = [s for s in self._streams if not s.ended]
        self._streams.append(stream)
        return stream

    async def hang_up(self) -> None:
        """Stream and calls are one connection here."""
        await self.close()

    def for_protection(self) -> LocalVenue:
        """The venue itself: it has no limit of requests."""
        return self

    async def instruments(self) -> list[Instrument]:
        return await self._call("instruments", self.exchange.instruments)

    async def accounts(self) -> list[AccountReported]:
        return await self._call("accounts", self.exchange.accounts)

    async def positions(self, account: str) -> list[PositionReported]:
        return await self._call("positions", lambda: self.exchange.positions(account), account)

    async def orders(self, account: str) -> list[OrderReported]:
        return await self._call("orders", lambda: self.exchange.orders(account), account)

    async def trades(self, account: str, since: int) -> list[TradeReported]:
        return await self._call("trades", lambda: self.exchange.trades(account, since), account)

    async def quotes(self) -> list[Quote]:
        return await self._call("quotes", self.exchange.quotes)

    async def order_by_key(self, account: str, key: str) -> OrderReported | None:
        return await self._call(
            "order_by_key", lambda: self.exchange.order_by_key(account, key), account
        )

    async def close_position(self, account: str, instrument: str, key: str) -> None:
        await self._call(
            "close_position",
            lambda: self.exchange.close_position(account, instrument, key),
            account,
            instrument,
        )

    async def reduce_position(self, account: str, instrument: str, size: int, key: str) -> None:
        await self._call(
            "reduce_position",
            lambda: self.exchange.reduce_position(account, instrument, size, key),
            account,
            instrument,
        )

    async def cancel_order(self, account: str, order_id: str) -> None:
        await self._call(
            "cancel_order", lambda: self.exchange.cancel_order(account, order_id), account
        )

    async def place_order(self, order: OrderRequest) -> str:
        return await self._call(
            "place_order",
            lambda: self.exchange.place_order(order),
            order.account,
            order.instrument,
        )

    async def modify_order(
        self, account: str, order_id: str, *, stop_price: int | None, size: int | None
    ) -> None:
        await self._call(
            "modify_order",
            lambda: self.exchange.modify_order(account, order_id, stop_price=stop_price, size=size),
            account,
        )

    async def _call(
        self, call: str, act: Callable[[], Answer], account: str = "", instrument: str = ""
    ) -> Answer:
        self._need_connection(call)
        return await carry_out(
            self.plan,
            self.exchange,
            call,
            act,
            account=account,
            instrument=instrument,
            patience=self._patience,
        )

    def _need_connection(self, call: str) -> None:
        if not self._connected:
            raise VenueUnreachable(f"{call} before connect", remedy="connect to the venue first")
