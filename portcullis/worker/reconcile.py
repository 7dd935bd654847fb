"""Comparing the books with the venue's records: the stream is a hint, the records are the truth.

A read is a picture of the moment it was asked for; whatever the stream brought meanwhile is newer
and is left alone until the next comparison.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from portcullis.domain.events import (
    AccountReported,
    AnyFact,
    InstrumentListed,
    OrderGone,
    OrderReported,
    PositionReported,
    Reconciled,
    TradeReported,
)
from portcullis.domain.model import MINUTE
from portcullis.domain.state import AccountState, Row, State
from portcullis.errors import Retryable, VenueRefused
from portcullis.ports import Venue
from portcullis.worker.core import Core

OVERLAP = 2 * MINUTE


class Picture(NamedTuple):
    """What the books held when a read was asked for."""

    rows: dict[str, tuple[int, int]]
    orders: dict[str, int]


def picture(account: AccountState) -> Picture:
    """Remember how far the books are, to know later what was newer than a read."""
    rows = {name: _mark(row) for name, row in account.rows.items()}
    return Picture(rows, {key: order.version for key, order in account.orders.items()})


def _mark(row: Row) -> tuple[int, int]:
    return row.as_of, row.later[-1].executed_at if row.later else 0


def position_differences(
    account: AccountState, before: Picture, listed: list[PositionReported]
) -> list[AnyFact]:
    """Position rows that the books do not have, and positions the venue does not have."""
    found: list[AnyFact] = []
    names = {row.instrument for row in listed}
    for row in listed:
        known = account.rows.get(row.instrument)
        held = account.positions.get(row.instrument)
        same = held is not None and (held.size, held.average) == (row.size, row.average)
        if not same and (known is None or known.as_of <= row.as_of):
            found.append(row)
    for name, position in account.positions.items():
        if name in names:
            continue
        mark = _mark(account.rows[name])
        if before.rows.get(name) == mark:
            found.append(PositionReported(account.id, name, 0, 0, max(mark), position.opened_at))
    return found


def order_differences(
    account: AccountState, before: Picture, listed: list[OrderReported]
) -> list[AnyFact]:
    """Orders the books do not have or have older, and orders the venue no longer lists."""
    found: list[AnyFact] = []
    ids = {order.order_id for order in listed}
    for order in listed:
        known = account.orders.get(order.order_id)
        if known is None and order.order_id in account.ended_orders:
            continue
        if known is None or known.version < order.version:
            found.append(order)
    for key, order in account.orders.items():
        if key not in ids and before.orders.get(key) == order.version:
            found.append(OrderGone(account.id, key))
    return found


def trade_differences(account: AccountState, listed: list[TradeReported]) -> list[AnyFact]:
    """Fills the books do not have, and voids they have not seen."""
    found: list[AnyFact] = []
    for trade in listed:
        known = account.fills.get(trade.trade_id) or account.early_fills.get(trade.trade_id)
        if known is None and trade.trade_id not in account.past_fills:
            found.append(trade)
        elif known is not None and trade.voided and not known.voided:
            found.append(trade)
    return found


class Reconciler:
    """Compares accounts with the venue and enters what differs."""

    def __init__(self, core: Core, venue: Venue) -> None:
        self._core = core
        self._venue = venue
        self._complete: dict[str, bool] = {}

    @property
    def state(self) -> State:
        return self._core.engine.state

    async def instruments(self) -> None:
        """Enter contract data that are new or changed."""
        for instrument in await self._venue.instruments():
            if self.state.instruments.get(instrument.id) != instrument:
                self._core.enter(InstrumentListed(instrument))

    async def quotes(self) -> None:
        """Enter prices newer than those known."""
        for quote in await self._venue.quotes():
            known = self.state.quotes.get(quote.instrument)
            if known is None or quote.quoted_at > known.quoted_at:
                self._core.enter(quote)

    async def everything(self) -> None:
        """Contract data, prices, then every account that has a plan."""
        await self.instruments()
        await self.quotes()
        await self.accounts()

    async def accounts(self) -> None:
        """Every account; one that fails is entered as not reconciled and does not hold others."""
        reported = {row.account: row for row in await self._venue.accounts()}
        watched = [name for name in self._core.engine.watches]
        await asyncio.gather(*(self._account(name, reported.get(name)) for name in watched))

    async def _account(self, name: str, reported: AccountReported | None) -> None:
        if reported is None:
            self._core.enter(Reconciled(name, 0, False, "the venue does not list this account"))
            return
        try:
            differences = await self.account(name, reported)
        except (Retryable, VenueRefused) as error:
            self._core.enter(Reconciled(name, 0, False, str(error)))
            return
        account = self.state.accounts[name]
        if differences or not account.reconciled_at or account.balance_gap:
            self._core.enter(Reconciled(name, differences, True))

    async def account(self, name: str, reported: AccountReported) -> int:
        """Read the records, enter differences: orders before positions, so that a position is
        never judged without its stop. Returns how many there were."""
        account = self.state.accounts[name]
        since = (
            account.day.start if name not in self._complete else (self._core.time.now() - OVERLAP)
        )
        before = picture(account)
        orders, positions, trades = await asyncio.gather(
            self._venue.orders(name),
            self._venue.positions(name),
            self._venue.trades(name, since),
        )
        found = order_differences(account, before, orders)
        for fact in found:
            self._core.enter(fact)
        missing = trade_differences(account, trades)
        moved = position_differences(account, before, positions)
        for fact in moved + missing:
            self._core.enter(fact)
        self._complete[name] = True
        count = len(found) + len(missing) + len(moved)
        if (account.can_trade, account.balance) != (reported.can_trade, reported.balance) or (
            not account.reported
        ):
            self._core.enter(reported)
        return count
