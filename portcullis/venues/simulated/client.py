"""The adapter to a simulated venue in another process: the Venue port over HTTP and WebSocket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NoReturn, TypeVar

import aiohttp
import msgspec

from portcullis.domain.events import (
    AccountReported,
    OrderReported,
    PositionReported,
    Quote,
    TradeReported,
)
from portcullis.domain.model import SECOND, Instrument, OrderRequest
from portcullis.errors import VenueRefused, VenueTimeout, VenueUnreachable
from portcullis.ports import VenueCapabilities, VenueEvent
from portcullis.venues.simulated import wire

Answer = TypeVar("Answer")

MESSAGE_BOUND = 1024 * 1024
"""Largest stream message in bytes."""


class SimulatedVenue:
    """A simulated venue at `url` (http://127.0.0.1:8700).

    `timeout` (microseconds) bounds every call; `heartbeat` (microseconds) is how often a silent
    stream is probed. `connect` subscribes, so that a snapshot read after it misses nothing;
    `stream` then hands that subscription out. Capabilities are the venue's own after `connect`.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        name: str = "simulated",
        timeout: int = 5 * SECOND,
        heartbeat: int = 15 * SECOND,
    ) -> None:
        self.name = name
        self.capabilities = VenueCapabilities(deduplicates="never")
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}
        self._timeout = aiohttp.ClientTimeout(total=timeout / SECOND)
        self._heartbeat = heartbeat / SECOND
        self._session: aiohttp.ClientSession | None = None
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []
        self._ready: aiohttp.ClientWebSocketResponse | None = None

    async def connect(self) -> None:
        """Open the connection and subscribe. Raises VenueRefused when the token is wrong."""
        await self.close()
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=self._timeout)
        try:
            self.capabilities = await self._call("connect", wire.Nothing(), VenueCapabilities)
            self._ready = await self._subscribe()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        session, self._session = self._session, None
        sockets, self._sockets, self._ready = self._sockets, [], None
        for socket in sockets:
            await socket.close()
        if session is not None:
            await session.close()

    def stream(self) -> AsyncIterator[VenueEvent]:
        ready, self._ready = self._ready, None
        return self._events(ready)

    async def _events(
        self, socket: aiohttp.ClientWebSocketResponse | None
    ) -> AsyncIterator[VenueEvent]:
        socket = socket or await self._subscribe()
        try:
            async for message in socket:
                if message.type is not aiohttp.WSMsgType.TEXT:
                    break
                yield wire.event_decoder.decode(message.data)
        except msgspec.MsgspecError as error:
            raise _ended(f"it sent what cannot be read: {error}") from error
        except aiohttp.ClientError as error:
            raise _ended(str(error)) from error
        finally:
            await socket.close()
        raise _ended(f"close code {socket.close_code}")

    async def hang_up(self) -> None:
        """Stream and calls are one connection here."""
        await self.close()

    def for_protection(self) -> SimulatedVenue:
        """The venue itself: it has no limit of requests."""
        return self

    async def instruments(self) -> list[Instrument]:
        return await self._call("instruments", wire.Nothing(), list[Instrument])

    async def accounts(self) -> list[AccountReported]:
        return await self._call("accounts", wire.Nothing(), list[AccountReported])

    async def positions(self, account: str) -> list[PositionReported]:
        return await self._call("positions", wire.OfAccount(account), list[PositionReported])

    async def orders(self, account: str) -> list[OrderReported]:
        return await self._call("orders", wire.OfAccount(account), list[OrderReported])

    async def trades(self, account: str, since: int) -> list[TradeReported]:
        return await self._call("trades", wire.Trades(account, since), list[TradeReported])

    async def quotes(self) -> list[Quote]:
        return await self._call("quotes", wire.Nothing(), list[Quote])

    async def order_by_key(self, account: str, key: str) -> OrderReported | None:
        found: type[OrderReported | None] = OrderReported | None  # type: ignore[assignment]
        return await self._call("order_by_key", wire.ByKey(account, key), found)

    async def close_position(self, account: str, instrument: str, key: str) -> None:
        await self._call("close_position", wire.Close(account, instrument, key), type(None))

    async def reduce_position(self, account: str, instrument: str, size: int, key: str) -> None:
        arguments = wire.Reduce(account, instrument, size, key)
        await self._call("reduce_position", arguments, type(None))

    async def cancel_order(self, account: str, order_id: str) -> None:
        await self._call("cancel_order", wire.Cancel(account, order_id), type(None))

    async def place_order(self, order: OrderRequest) -> str:
        return await self._call("place_order", order, str)

    async def modify_order(
        self, account: str, order_id: str, *, stop_price: int | None, size: int | None
    ) -> None:
        arguments = wire.Modify(account, order_id, stop_price, size)
        await self._call("modify_order", arguments, type(None))

    # --- the wire -----------------------------------------------------------------------------

    async def _call(self, name: str, arguments: msgspec.Struct, answer: type[Answer]) -> Answer:
        session = self._open(name)
        body = msgspec.json.encode(arguments)
        try:
            async with session.post(f"{self._url}/calls/{name}", data=body) as reply:
                content = await reply.read()
                if reply.status == 200:
                    return msgspec.json.decode(content, type=answer)
                _raise(name, reply.status, content)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise VenueUnreachable(
                f"{name}: nothing listens at {self._url}: {error}",
                remedy="start the simulated venue, or correct its address",
            ) from error
        except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
            raise _unknown(name, str(error) or type(error).__name__) from error

    async def _subscribe(self) -> aiohttp.ClientWebSocketResponse:
        session = self._open("stream")
        try:
            socket = await session.ws_connect(
                f"{self._url}/stream", heartbeat=self._heartbeat, max_msg_size=MESSAGE_BOUND
            )
            self._sockets = [s for s in self._sockets if not s.closed]
            self._sockets.append(socket)
            hello: Any = await socket.receive_json(timeout=self._timeout.total)
        except (aiohttp.ClientError, TimeoutError, TypeError, ValueError) as error:
            raise _ended(f"it could not be opened: {error}") from error
        if hello != wire.SUBSCRIBED:
            raise _ended(f"it began with {hello!r}")
        return socket

    def _open(self, what: str) -> aiohttp.ClientSession:
        if self._session is None:
            raise VenueUnreachable(f"{what} before connect", remedy="connect to the venue first")
        return self._session


def _raise(name: str, status: int, content: bytes) -> NoReturn:
    """What an answer other than 200 means."""
    try:
        refused = msgspec.json.decode(content, type=wire.Refused)
    except msgspec.MsgspecError as error:
        raise _unknown(name, f"HTTP {status}") from error
    if status == 503:
        raise VenueUnreachable(refused.message, remedy=refused.remedy)
    if status >= 500:
        raise _unknown(name, f"HTTP {status}: {refused.message}")
    raise VenueRefused(refused.code, refused.message, remedy=refused.remedy)


def _unknown(name: str, why: str) -> VenueTimeout:
    return VenueTimeout(
        f"no answer to {name} ({why})", remedy="look at the venue before anything is sent again"
    )


def _ended(why: str) -> VenueUnreachable:
    return VenueUnreachable(
        f"the venue's stream ended: {why}", remedy="connect again and reconcile"
    )
