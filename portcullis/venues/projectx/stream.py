"""Both hubs of the gateway as one stream of facts. Its end, for whatever reason, is the end of
both: who listens connects again, and reads the records.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import NamedTuple

import msgspec

from portcullis.clock import Clock
from portcullis.domain.events import DataFault
from portcullis.domain.model import SECOND
from portcullis.errors import VenueRefused, VenueUnreachable
from portcullis.ports import VenueEvent
from portcullis.venues.projectx.facts import microseconds
from portcullis.venues.projectx.hub import Hub
from portcullis.venues.projectx.payloads import (
    AccountRow,
    OrderRow,
    PositionRow,
    QuoteRow,
    TradeRow,
    rows,
)
from portcullis.venues.projectx.records import Records
from portcullis.venues.projectx.signalr import Invocation
from portcullis.venues.projectx.wire import Wire

WAITING_MAX = 50_000
FAULTS_MAX = 1_000
"""Different faults that are told of a connection."""

SUBSCRIPTIONS = ("SubscribeOrders", "SubscribePositions", "SubscribeTrades")
EARLY_MAX = SECOND // 2
"""How long a row waits for its fill, microseconds; both come within milliseconds."""

LOGGED_OUT = "GatewayLogout"


class _Early(NamedTuple):
    """A row that contains a fill which has not come yet; `of` is its account and contract."""

    of: tuple[int, str]
    came_at: int
    explain: Callable[[], VenueEvent | None]
    settle: Callable[[int], VenueEvent]


class Stream:
    """A connection to both hubs, used once."""

    def __init__(self, wire: Wire, records: Records, clock: Clock, name: str) -> None:
        self._user, self._market = Hub(wire, "/hubs/user"), Hub(wire, "/hubs/market")
        self._records = records
        self._books = records.books
        self._clock = clock
        self._name = name
        self._faults: dict[str, None] = {}
        self._facts: asyncio.Queue[VenueEvent | Exception] = asyncio.Queue(WAITING_MAX)
        self._wanted: asyncio.Queue[str] = asyncio.Queue()
        self._early: list[_Early] = []
        self._are_early = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._take: dict[str, Callable[[list[msgspec.Raw]], Awaitable[list[VenueEvent]]]] = {
            "GatewayUserAccount": self._accounts,
            "GatewayUserPosition": self._positions,
            "GatewayUserOrder": self._orders,
            "GatewayUserTrade": self._trades,
            "GatewayQuote": self._quotes,
        }

    async def open(
        self,
        token: str,
        accounts: Iterable[int],
        contracts: Iterable[str],
    ) -> None:
        """Connect and subscribe, so that what is read afterwards misses nothing."""
        await self._user.open(token)
        await self._user.call("SubscribeAccounts")
        await asyncio.gather(*(self._follow(account) for account in accounts))
        await self._market.open(token)
        self._books.when_dealt = self._want
        for contract in dict.fromkeys((*contracts, *self._books.dealt)):
            await self._subscribe(contract)
        self._tasks = [
            asyncio.create_task(self._guarded(partial(self._pump, self._user))),
            asyncio.create_task(self._guarded(partial(self._pump, self._market))),
            asyncio.create_task(self._guarded(self._widen)),
            asyncio.create_task(self._guarded(self._settle)),
        ]

    async def _follow(self, account: int) -> None:
        """Subscribe to an account; one that the hub refuses, a closed one perhaps, harms no other:
        its records are read all the same.
        """
        for target in SUBSCRIPTIONS:
            try:
                await self._user.call(target, account)
            except VenueRefused as error:
                for fact in self._fault(f"account {account} is not streamed: {error}"):
                    await self._facts.put(fact)

    async def events(self) -> AsyncIterator[VenueEvent]:
        """What comes, until the connection ends; then VenueUnreachable says why. A defect of ours
        is raised as it is: a stream that has died must never look like one that is quiet.
        """
        while True:
            fact = await self._facts.get()
            if isinstance(fact, Exception):
                self._facts.put_nowait(fact)
                raise fact
            yield fact

    async def close(self) -> None:
        """End both connections; safe to call twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(self._user.close(), self._market.close())
        self._end(VenueUnreachable("the stream was closed by us", remedy="connect again"))

    # --- what comes ---------------------------------------------------------------------------

    async def _pump(self, hub: Hub) -> None:
        async for event in hub.events():
            for fact in await self._facts_of(event):
                await self._facts.put(fact)

    async def _facts_of(self, event: Invocation) -> list[VenueEvent]:
        """The facts of an event; one that cannot be understood is a fault of the data, and said."""
        if event.target == LOGGED_OUT:
            self._records.gateway.distrust()
            raise VenueUnreachable(
                "the gateway logged us out",
                remedy="another login of the same user may be the cause",
            )
        take = self._take.get(event.target)
        if take is None:
            return []
        try:
            return await take(event.arguments)
        except (msgspec.MsgspecError, ValueError, IndexError, VenueRefused) as error:
            return self._fault(f"{event.target}: {error}")

    def _fault(self, detail: str) -> list[VenueEvent]:
        """A fault of the data, said once: what comes with every price would drown all else."""
        if detail in self._faults or len(self._faults) >= FAULTS_MAX:
            return []
        self._faults[detail] = None
        return [DataFault(self._name, None, detail)]

    async def _accounts(self, arguments: list[msgspec.Raw]) -> list[VenueEvent]:
        books = self._books
        return [
            fact
            for row in rows(AccountRow, arguments[0])
            for fact in self._told(
                (row.id, ""), partial(books.account, row), partial(books.settled_account, row)
            )
        ]

    async def _positions(self, arguments: list[msgspec.Raw]) -> list[VenueEvent]:
        found, books = rows(PositionRow, arguments[0]), self._books
        await self._records.know(*(row.contract_id for row in found))
        return [
            fact
            for row in found
            for fact in self._told(
                (row.account_id, row.contract_id),
                partial(books.position, row),
                partial(books.settled_position, row),
            )
        ]

    def _told(
        self,
        of: tuple[int, str],
        explain: Callable[[], VenueEvent | None],
        settle: Callable[[int], VenueEvent],
    ) -> list[VenueEvent]:
        """A row whose fills are known; one that is ahead of its fill waits a moment for it. The one
        that waited before it has nothing more to say.
        """
        self._early = [early for early in self._early if early.of != of]
        fact = explain()
        if fact is not None:
            return [fact]
        self._early.append(_Early(of, self._clock.monotonic(), explain, settle))
        self._are_early.set()
        return []

    def _explained(self) -> list[VenueEvent]:
        """The rows that a fill which has just come explains."""
        found: list[VenueEvent] = []
        for early in list(self._early):
            fact = early.explain()
            if fact is not None:
                self._early.remove(early)
                found.append(fact)
        return found

    async def _settle(self) -> None:
        """Take rows whose fill does not come as they are: it was lost, and a read will find it."""
        while True:
            await self._are_early.wait()
            while self._early:
                first = self._early[0]
                waited = self._clock.monotonic() - first.came_at
                if waited < EARLY_MAX:
                    await asyncio.sleep((EARLY_MAX - waited) / SECOND)
                if self._early and self._early[0] is first:
                    del self._early[0]
                    ago = self._clock.monotonic() - first.came_at
                    await self._facts.put(first.settle(self._records.now_there() - ago))
            self._are_early.clear()

    async def _orders(self, arguments: list[msgspec.Raw]) -> list[VenueEvent]:
        found = rows(OrderRow, arguments[0])
        await self._records.know(*(row.contract_id for row in found))
        for row in found:
            self._compare_clocks(microseconds(row.update_timestamp or row.creation_timestamp))
        return [self._books.order(row) for row in found]

    async def _trades(self, arguments: list[msgspec.Raw]) -> list[VenueEvent]:
        found = rows(TradeRow, arguments[0])
        await self._records.know(*(row.contract_id for row in found))
        for row in found:
            self._compare_clocks(microseconds(row.creation_timestamp))
        return [*(self._books.trade(row) for row in found), *self._explained()]

    async def _quotes(self, arguments: list[msgspec.Raw]) -> list[VenueEvent]:
        contract = msgspec.json.decode(arguments[0], type=str)
        await self._records.know(contract)
        quote = self._books.quote(contract, rows(QuoteRow, arguments[1]), self._clock.now())
        self._compare_clocks(quote.quoted_at)
        return [quote]

    def _compare_clocks(self, told_at: int) -> None:
        self._books.skew.note(told_at, self._clock.monotonic())

    # --- the connection -----------------------------------------------------------------------

    async def _widen(self) -> None:
        """Subscribe to prices as they become wanted."""
        while True:
            await self._subscribe(await self._wanted.get())

    def _want(self, contract: str) -> None:
        self._wanted.put_nowait(contract)

    async def _subscribe(self, contract: str) -> None:
        """Ask for a contract's prices; of one that has none nothing else comes to harm."""
        try:
            await self._market.call("SubscribeContractQuotes", contract)
        except VenueRefused as error:
            for fact in self._fault(f"no prices of {contract}: {error}"):
                await self._facts.put(fact)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - raised to whoever listens
            self._end(error)

    def _end(self, why: Exception) -> None:
        while self._facts.full():
            self._facts.get_nowait()
        self._facts.put_nowait(why)
