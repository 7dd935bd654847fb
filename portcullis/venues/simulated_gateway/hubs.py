"""The gateway's two hubs: SignalR connections that push what their client subscribed to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Literal, Protocol

import msgspec

from portcullis.domain.events import (
    AccountReported,
    OrderReported,
    PositionReported,
    Quote,
    TradeReported,
)
from portcullis.domain.model import SECOND
from portcullis.errors import VenueUnreachable
from portcullis.ports import VenueEvent
from portcullis.venues.projectx.signalr import END, PING, Records
from portcullis.venues.simulated.faults import FaultPlan
from portcullis.venues.simulated.push import PushStream
from portcullis.venues.simulated_gateway import rows
from portcullis.venues.simulated_gateway.books import Books

HubName = Literal["user", "market"]
USER = ("Accounts", "Orders", "Positions", "Trades")
MARKET = ("ContractQuotes", "ContractTrades", "ContractMarketDepth")
METHODS: dict[str, tuple[str, ...]] = {"user": USER, "market": MARKET}

Pushes = list[tuple[str, list[Any]]]
"""Targets with their arguments, to be sent one after the other."""

_encoder = msgspec.json.Encoder(decimal_format="number")


class _Said(msgspec.Struct):
    """What a client says; signalrcore sends more than the protocol has."""

    type: int = 0
    target: str = ""
    arguments: list[Any] = []
    invocationId: str | None = None  # noqa: N815 - the protocol's own word


class ClientSocket(Protocol):
    """A client's socket as the hub has it."""

    async def send(self, data: bytes) -> None:
        """Send a frame; a client that has left is no error."""

    async def receive(self) -> bytes | None:
        """The next frame, None once the client has left."""

    async def close(self) -> None: ...

    def abort(self) -> None:
        """Break the connection as a dying network would."""


class HubConnection:
    """One connection of a client to a hub, from its handshake to its end."""

    def __init__(self, hub: HubName, books: Books, plan: FaultPlan, socket: ClientSocket) -> None:
        self._hub = hub
        self._books = books
        self._terms = books.terms
        self._subscribed: set[tuple[str, str]] = set()
        self._seen: dict[str, Quote] = {}
        latency = plan.latency.fixed // 2
        self._stream = PushStream(books.exchange, plan, latency=latency, tell=self._tell)
        self._socket = socket
        self._tellers: dict[type, Callable[[Any], Pushes]] = {
            AccountReported: self._account,
            OrderReported: self._order,
            PositionReported: self._position,
            TradeReported: self._trade,
            Quote: self._quote,
        }
        self.starved = False

    # --- its life -----------------------------------------------------------------------------

    async def serve(self) -> None:
        """Shake hands, answer calls and push, until either side ends it."""
        records = Records()
        tasks: list[asyncio.Task[None]] = []
        try:
            early = await self._shake(records)
            if early is None:
                return
            tasks = [asyncio.create_task(self._push()), asyncio.create_task(self._keep())]
            await self._listen(records, early)
        finally:
            self._stream.end("the client left")
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._socket.close()

    def end(self, why: str) -> None:
        """Break the connection without a word."""
        self._stream.end(why)

    async def say_close(self, error: str | None, *, allow_reconnect: bool) -> None:
        """End the connection as the protocol says it."""
        body: dict[str, Any] = {"type": 7, "allowReconnect": allow_reconnect}
        await self._send(body | ({"error": error} if error else {}))
        await self._socket.close()

    async def log_out(self) -> None:
        await self._send({"type": 1, "target": "GatewayLogout", "arguments": []})

    async def _shake(self, records: Records) -> list[bytes] | None:
        """The records that came with the handshake, or None where there was none."""
        try:
            async with asyncio.timeout(self._terms.handshake_within / SECOND):
                found: list[bytes] = []
                while not found:
                    frame = await self._socket.receive()
                    if frame is None:
                        return None
                    found = records.feed(frame)
        except TimeoutError:
            return None
        with contextlib.suppress(msgspec.MsgspecError, AttributeError):
            if msgspec.json.decode(found[0]).get("protocol") == "json":
                await self._socket.send(b"{}" + END)
                return found[1:]
        await self._send({"error": "the protocol must be json"})
        return None

    async def _listen(self, records: Records, early: list[bytes]) -> None:
        """Take calls; a client that says nothing for too long is dropped."""
        for record in early:
            await self._call(record)
        with contextlib.suppress(TimeoutError):
            while True:
                async with asyncio.timeout(self._terms.client_timeout / SECOND):
                    frame = await self._socket.receive()
                if frame is None:
                    return
                for record in records.feed(frame):
                    await self._call(record)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._terms.keep_alive / SECOND)
            if not (self._stream.frozen or self.starved):
                await self._socket.send(PING)

    async def _push(self) -> None:
        try:
            async for pushes in self._stream:
                for target, arguments in pushes:
                    await self._send({"type": 1, "target": target, "arguments": arguments})
        except VenueUnreachable:
            self._socket.abort()

    async def _send(self, body: dict[str, Any]) -> None:
        await self._socket.send(_encoder.encode(body) + END)

    # --- calls --------------------------------------------------------------------------------

    async def _call(self, record: bytes) -> None:
        said = msgspec.json.decode(record, type=_Said)
        if said.type != 1:
            return
        error = self._subscribe(said.target, said.arguments)
        if said.invocationId is not None and not self._stream.frozen:
            answer: dict[str, Any] = {"type": 3, "invocationId": said.invocationId}
            await self._send(answer | ({"error": error} if error else {"result": None}))

    def _subscribe(self, target: str, arguments: list[Any]) -> str | None:
        """Carry out a call; the answer is what is wrong with it."""
        for verb in ("Unsubscribe", "Subscribe"):
            what = target.removeprefix(verb)
            if what == target or what not in METHODS[self._hub]:
                continue
            needed = 0 if what == "Accounts" else 1
            if len(arguments) != needed:
                return f"Failed to invoke '{target}': {needed} arguments are expected"
            pair = what, str(arguments[0]) if arguments else ""
            if verb == "Subscribe":
                self._subscribed.add(pair)
            else:
                self._subscribed.discard(pair)
            return None
        return f"Failed to invoke '{target}' due to an error: the method does not exist"

    # --- what is pushed -----------------------------------------------------------------------

    def _tell(self, event: VenueEvent) -> Pushes | None:
        """The pushes of an event, as it is at this moment; None where nobody asked for any."""
        tell = self._tellers.get(type(event))
        return (tell(event) or None) if tell is not None else None

    def _account(self, told: AccountReported) -> Pushes:
        if ("Accounts", "") not in self._subscribed:
            return []
        row = rows.account(told, self._books.number(told.account), simulated=True)
        return [("GatewayUserAccount", [self._wrap(row, 1)])]

    def _order(self, told: OrderReported) -> Pushes:
        number = self._books.number(told.account)
        if ("Orders", str(number)) not in self._subscribed:
            return []
        held = self._books.exchange.order(told.account, told.order_id)
        if held is None:
            return []
        row = rows.order(held, number, self._books.listed(told.instrument), self._terms.digits)
        return [("GatewayUserOrder", [self._wrap(row, 1)])]

    def _position(self, told: PositionReported) -> Pushes:
        number = self._books.number(told.account)
        if ("Positions", str(number)) not in self._subscribed:
            return []
        row = rows.position(told, number, self._books.listed(told.instrument), self._terms.digits)
        return [("GatewayUserPosition", [self._wrap(row, 1 if told.size else 2)])]

    def _trade(self, told: TradeReported) -> Pushes:
        number = self._books.number(told.account)
        if ("Trades", str(number)) not in self._subscribed:
            return []
        row = rows.trade(told, number, self._books.listed(told.instrument), self._terms.digits)
        return [("GatewayUserTrade", [self._wrap(row, 0)])]

    def _quote(self, told: Quote) -> Pushes:
        listed = self._books.listed(told.instrument)
        pushes: Pushes = []
        before = self._seen.get(told.instrument)
        self._seen[told.instrument] = told
        if ("ContractQuotes", told.instrument) in self._subscribed:
            known = before if self._terms.partial_quotes else None
            row = rows.quote(told, known, listed, self._terms.digits)
            pushes.append(("GatewayQuote", [told.instrument, self._bare(row)]))
        is_traded = told.last is not None and (before is None or before.last != told.last)
        if is_traded and ("ContractTrades", told.instrument) in self._subscribed:
            traded = rows.market_trade(told, listed, self._terms.digits)
            pushes.append(
                ("GatewayTrade", [told.instrument, [traded] if self._terms.batches else traded])
            )
        return pushes

    def _wrap(self, row: rows.Row, action: int) -> Any:
        bare = self._bare(row)
        return {"action": action, "data": bare} if self._terms.wrapped else bare

    def _bare(self, row: rows.Row) -> rows.Row:
        return rows.without_nulls(row) if self._terms.nulls == "omitted" else row
