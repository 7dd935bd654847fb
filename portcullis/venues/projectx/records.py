"""Reading the gateway's records. Nothing here can reach an order: observers use this alone."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from portcullis.clock import Clock
from portcullis.domain.events import (
    AccountReported,
    OrderReported,
    PositionReported,
    Quote,
    TradeReported,
)
from portcullis.domain.model import HOUR, MICRO, MINUTE, Instrument
from portcullis.errors import VenueRefused, VenueUnreachable
from portcullis.ports import VenueCapabilities
from portcullis.venues.projectx import answers
from portcullis.venues.projectx.books import Books
from portcullis.venues.projectx.payloads import AccountRow, ContractRow, OrderRow, PositionRow
from portcullis.venues.projectx.rest import B, Gateway

CONTRACTS_LAST, CONTRACTS_PAUSE = HOUR, MINUTE
"""Contract data change when a month rolls; after the pause a failed list is asked for again."""

HISTORY = 7 * 24 * HOUR
"""How far back an order may have been sent that still works or is asked for by its key."""

READS_A_MINUTE = 100
"""Of the 140 a minute that are not kept for protection, what comparisons may use: the rest is for
reads that a fill without its row or a program's order brings along.
"""

RECENT = 2 * MINUTE
READS_MAX = 3
QUERY_PAUSE = 10 * MINUTE
"""Until the query endpoint is tried again after it was not there."""

PAGE = 200
MAY_FILL = (1, 6, 7, 8)
"""Open, pending, pending cancellation, suspended."""


class Records:
    """The records of the accounts that the key may see. Calls raise as the Venue port says."""

    name = "projectx"
    capabilities = VenueCapabilities(
        deduplicates="never", reads_a_minute=READS_A_MINUTE, reads_unlinked=True
    )
    protective = False

    def __init__(self, gateway: Gateway, books: Books, clock: Clock, *, live_data: bool) -> None:
        """`live_data`: whether contracts are those of the live feed, which funded accounts in
        simulation do not have.
        """
        self.gateway = gateway
        self.books = books
        self._clock = clock
        self._live_data = live_data
        self._contracts_at: int | None = None
        self._query_after: int | None = None

    async def instruments(self) -> list[Instrument]:
        """Every contract that is known; asked for anew once an hour."""
        now = self._clock.monotonic()
        if self._contracts_at is None or now - self._contracts_at >= CONTRACTS_LAST:
            try:
                await self._list_contracts()
                self._contracts_at = now
            except (VenueRefused, VenueUnreachable):
                if not self.books.instruments:
                    raise
                # What is known serves on: contract data change when a month rolls.
                self._contracts_at = now - CONTRACTS_LAST + CONTRACTS_PAUSE
        return list(self.books.instruments.values())

    async def _list_contracts(self) -> None:
        body = {"live": self._live_data}
        found = await self._call("Contract/available", body, answers.Contracts)
        for raw in found.contracts:
            # One that cannot be told exactly is not known: who deals in it is told so.
            with contextlib.suppress(ValueError, msgspec.MsgspecError):
                self.books.list_contract(msgspec.json.decode(raw, type=ContractRow))

    async def know(self, *contracts: str) -> None:
        """Look up contracts that no list named: expired ones, and those of other feeds."""
        for contract in dict.fromkeys(contracts):
            if not self.books.knows(contract):
                body = {"contractId": contract}
                found = await self._call("Contract/searchById", body, answers.OneContract)
                if found.contract is None:
                    raise VenueRefused(
                        "ContractNotFound", contract, remedy="look the contract up on the platform"
                    )
                with _told_exactly(contract):
                    self.books.list_contract(found.contract)

    async def accounts(self) -> list[AccountReported]:
        """Every account, those that may not trade too."""
        asked_at = self.now_there()
        rows = await self.meet()
        settled: dict[int, AccountReported] = {}
        for _ in range(READS_MAX):
            new = [row for row in rows if row.id not in settled and self._explained(row) is None]
            if not new:
                break
            # As positions: what a balance without a time contains, the trades around it say.
            await asyncio.gather(*(self._recent(row, asked_at) for row in new))
            before, contained = {row.id: row.balance for row in new}, asked_at
            asked_at = self.now_there()
            rows = await self.meet()
            for row in rows:
                if before.get(row.id) == row.balance:
                    with _told_exactly(row.name):
                        settled[row.id] = self.books.settled_account(row, contained)
        told = (settled.get(row.id) or self._explained(row) for row in rows)
        return [each for each in told if each is not None]

    def _explained(self, row: AccountRow) -> AccountReported | None:
        with _told_exactly(row.name):
            return self.books.account(row)

    async def _recent(self, row: AccountRow, asked_at: int) -> None:
        """Read an account's newest trades; one that may not trade has none."""
        if row.can_trade is not False:
            await self.trades(self.books.name(row.id), asked_at - RECENT)

    async def meet(self) -> Sequence[AccountRow]:
        """List the accounts, and learn what they are called."""
        found = await self._call("Account/search", {"onlyActiveAccounts": False}, answers.Accounts)
        for row in found.accounts:
            self.books.meet(row)
        return found.accounts

    async def positions(self, account: str) -> list[PositionReported]:
        """Open positions, each as of the last fill it contains. Where a fill is not known yet the
        trades are read too, until two reads of the positions around them agree.
        """
        asked_at, rows = await self._positions(account)
        for _ in range(READS_MAX):
            told = [self.books.position(row) for row in rows]
            known = [each for each in told if each is not None]
            if len(known) == len(rows):
                return self._listed_alone(account, asked_at, known)
            await self.trades(account, asked_at - RECENT)
            before = rows
            asked_at, rows = await self._positions(account)
            if before == rows:
                books = self.books
                known = [books.position(r) or books.settled_position(r, asked_at) for r in rows]
                return self._listed_alone(account, asked_at, known)
        raise VenueUnreachable(
            f"the positions of {account} changed with every read",
            remedy="they are read again by themselves",
        )

    async def orders(self, account: str) -> list[OrderReported]:
        """Orders that may still fill, with the suspended legs of brackets."""
        rows = await self._live_orders(account)
        await self.know(*(row.contract_id for row in rows))
        with _told_exactly(account):
            return [self.books.order(row) for row in rows]

    async def trades(self, account: str, since: int) -> list[TradeReported]:
        """Half-turns from `since` on, oldest first."""
        body = {"accountId": self.account_number(account), "startTimestamp": _written(since)}
        found = (await self._call("Trade/search", body, answers.Trades)).trades
        await self.know(*(row.contract_id for row in found))
        with _told_exactly(account):
            in_order = sorted(found, key=lambda row: (row.creation_timestamp, row.id))
            told = [self.books.trade(row) for row in in_order]
        return [trade for trade in told if trade.executed_at >= since]

    async def quotes(self) -> list[Quote]:
        """The newest prices that came; the gateway keeps none to be asked for."""
        return self.books.quotes()

    async def order_by_key(self, account: str, key: str) -> OrderReported | None:
        """The newest order with a tag, among those of the last days."""
        rows = [row for row in await self._history(account) if row.custom_tag == key]
        if not rows:
            return None
        row = max(rows, key=lambda each: each.id)
        await self.know(row.contract_id)
        return self.books.order(row)

    def now_there(self) -> int:
        """The gateway's time, as far as it can be told, and no later than the machine's: what is
        dated too late hides what follows, and what is ahead of our clock is not believed.
        """
        here, told = self._clock.now(), self.books.skew.there(self._clock.monotonic())
        return here if told is None else min(here, told)

    def account_number(self, account: str) -> int:
        """The gateway's number of an account; raises VenueRefused where it listed no such."""
        if not self.books.accounts:
            raise VenueUnreachable(
                "the accounts have not been listed yet", remedy="it is tried again by itself"
            )
        number = self.books.accounts.get(account)
        if number is None:
            raise VenueRefused(
                "AccountNotFound",
                f"the user has no account {account!r}",
                remedy="name it as the platform does: "
                + (", ".join(self.books.accounts) or "none"),
            )
        return number

    # --- under the hood -----------------------------------------------------------------------

    def _listed_alone(
        self, account: str, asked_at: int, known: list[PositionReported]
    ) -> list[PositionReported]:
        """A read's positions; in everything that is not among them the account was flat."""
        held = {each.instrument for each in known}
        self.books.flat(self.account_number(account), held, asked_at)
        return known

    async def _positions(self, account: str) -> tuple[int, list[PositionRow]]:
        """When they were asked for, by the gateway's clock, and the rows."""
        body = {"accountId": self.account_number(account)}
        asked_at = self.now_there()
        found = (await self._call("Position/searchOpen", body, answers.Positions)).positions
        rows = [row for row in found if row.size]
        await self.know(*(row.contract_id for row in rows))
        return asked_at, rows

    async def _live_orders(self, account: str) -> Sequence[OrderRow]:
        """By query where the gateway has it: its list of open orders leaves suspended ones out."""
        now = self._clock.monotonic()
        if self._query_after is None or now >= self._query_after:
            try:
                return await self._queried(account)
            except VenueRefused as error:
                if error.code not in ("NotFound", "BadRequest"):
                    raise
                self._query_after = now + QUERY_PAUSE
        return [row for row in await self._history(account) if row.status in MAY_FILL]

    async def _queried(self, account: str) -> list[OrderRow]:
        rows: dict[int, OrderRow] = {}
        while True:
            body = {
                "filter": {"accountId": self.account_number(account), "statuses": MAY_FILL},
                "pageSize": PAGE,
                "pageOffset": len(rows),
                "sortBy": 1,
                "sortDirection": 0,
            }
            page = (await self._call("Order/v2/query", body, answers.Orders)).orders
            before = len(rows)
            rows.update({row.id: row for row in page})
            if len(page) < PAGE or len(rows) == before:
                return list(rows.values())

    async def _history(self, account: str) -> Sequence[OrderRow]:
        start = self.now_there() - HISTORY
        body = {"accountId": self.account_number(account), "startTimestamp": _written(start)}
        return (await self._call("Order/search", body, answers.Orders)).orders

    async def _call(self, endpoint: str, body: Mapping[str, object], answer: type[B]) -> B:
        return await self.gateway.call(endpoint, body, answer, protective=self.protective)


@contextlib.contextmanager
def _told_exactly(whose: str) -> Iterator[None]:
    """A number that no tick or micro-unit makes is a fault of what was read, and of no more."""
    try:
        yield
    except ValueError as error:
        raise VenueRefused(
            "DataFault",
            f"{whose}: {error}",
            remedy="look at the platform; the account is read again by itself",
        ) from error


def order_number(order: str) -> int:
    """The gateway's number of an order; raises VenueRefused where it is none."""
    if not order.isdecimal():
        raise VenueRefused(
            "OrderNotFound", f"{order!r} is no order here", remedy="orders have numbers here"
        )
    return int(order)


def _written(moment: int) -> str:
    """A time as the gateway reads it."""
    return (
        datetime.fromtimestamp(moment // MICRO, UTC).replace(microsecond=moment % MICRO).isoformat()
    )
