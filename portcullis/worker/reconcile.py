"""Comparing the books with the venue's records: the stream is a hint, the records are the truth.

A read is a picture of the moment it was asked for; whatever the stream brought meanwhile is newer
and is left alone until the next comparison.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

import msgspec

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
from portcullis.domain.model import FAILED_COMPARES_MAX, MINUTE
from portcullis.domain.state import AccountState, Row, State
from portcullis.errors import (
    OverBudget,
    PortcullisError,
    Retryable,
    VenueRefused,
    VenueUnreachable,
)
from portcullis.ports import VenueRecords
from portcullis.worker.core import Core

OVERLAP = 2 * MINUTE
IDLE_ROUNDS = 12
"""After so many rounds an account that is flat comes before those that are not."""

LATE = 10.0
"""Seconds after which a fill that a comparison found, and the stream did not tell, is lost."""

PUT_OFF_MAX = MINUTE
"""A comparison that the venue's limit of requests leaves no room for is put off this long before it
counts as failed: enforcement goes first.
"""

READS_OF_ACCOUNT = 3
"""Trades, orders and positions."""

UNSEEN = VenueUnreachable(
    "not compared since the connection was made anew",
    remedy="it is its turn soon; a connection that keeps breaking leaves too few reads for all",
)


class Picture(NamedTuple):
    """What the books held when a read was asked for."""

    rows: dict[str, tuple[int, int]]
    orders: dict[str, int]
    venue_at: int


def picture(account: AccountState, state: State) -> Picture:
    """Remember how far the books are, to know later what was newer than a read.

    `venue_at` is the newest time by the venue's own clock: a read asked for now contains every
    fill up to then, whatever our clock says.
    """
    rows = {name: _mark(row) for name, row in account.rows.items()}
    orders = {key: order.version for key, order in account.orders.items()}
    return Picture(rows, orders, max((q.quoted_at for q in state.quotes.values()), default=0))


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
            as_of = max(*mark, before.venue_at)
            found.append(PositionReported(account.id, name, 0, 0, as_of, position.opened_at))
    return found


def order_differences(
    account: AccountState, before: Picture, listed: list[OrderReported]
) -> list[AnyFact]:
    """Orders the books do not have or have older, and orders the venue no longer lists."""
    found: list[AnyFact] = []
    ids = {order.order_id for order in listed}
    for order in listed:
        known = account.orders.get(order.order_id)
        if known is None and account.ended_orders.get(order.order_id, -1) >= order.version:
            continue
        if known is None or known.version < order.version:
            found.append(order)
    for key, order in account.orders.items():
        if key not in ids and before.orders.get(key) == order.version:
            found.append(OrderGone(account.id, key))
    return found


def rows_before_trades(
    account: AccountState, listed: list[PositionReported], missing: list[TradeReported]
) -> list[AnyFact]:
    """Rows that already contain fills which were missed, to be entered before those fills.

    The positions were read after the trades. Without this a fill that is news to the books would
    be added to a position that has it already, and a rule could trip on a position nobody holds.
    """
    rows = {row.instrument: row for row in listed}
    newest: dict[str, int] = {}
    for trade in missing:
        newest[trade.instrument] = max(newest.get(trade.instrument, 0), trade.executed_at)
    found: list[AnyFact] = []
    for name, executed_at in newest.items():
        known = account.rows.get(name)
        if known is not None and known.as_of >= executed_at:
            continue
        row = rows.get(name) or PositionReported(account.id, name, 0, 0, 0)
        found.append(msgspec.structs.replace(row, as_of=max(row.as_of, executed_at)))
    return found


def trade_differences(account: AccountState, listed: list[TradeReported]) -> list[TradeReported]:
    """Fills the books do not have, and voids they have not seen."""
    found: list[TradeReported] = []
    for trade in listed:
        known = account.fills.get(trade.trade_id) or account.early_fills.get(trade.trade_id)
        if (known is None and trade.trade_id not in account.past_fills) or (
            known is not None and trade.voided and not known.voided
        ):
            found.append(trade)
    return found


def _taken_over(account: AccountState, listed: list[PositionReported]) -> None:
    """Raises VenueRefused where the books did not take a row of the venue's, and no fill that is
    newer than it says why.
    """
    for row in listed:
        held, known = account.positions.get(row.instrument), account.rows.get(row.instrument)
        size = held.size if held else 0
        if size != row.size and not (known and known.later):
            raise VenueRefused(
                "RowNotTaken",
                f"the venue holds {row.size:+d} {row.instrument}, the books {size:+d}: its row is "
                "of a time that cannot be",
                remedy="check the machine's clock against the venue's: `portcullis doctor`",
            )


def _gap(account: AccountState, balance: int) -> bool:
    """Whether a balance is not the day's opening one and the day's result."""
    return balance - account.realized != account.opening_balance


class Reconciler:
    """Compares accounts with the venue and enters what differs."""

    def __init__(self, core: Core, venue: VenueRecords) -> None:
        self._core = core
        self._venue = venue
        self._complete: dict[str, bool] = {}
        # A day that ended while nobody ran may have had fills that nobody saw.
        self._left_at = {name: a.day.start for name, a in self.state.accounts.items()}
        self._failed: dict[str, int] = {}
        self._agreed: dict[str, int] = {}
        self._compared: dict[str, int] = {}
        self._round = 0
        self._followed: dict[str, None] = {}
        """Accounts that were compared since the stream was opened: it owes them every fill."""
        self._found: dict[str, tuple[str, float]] = {}
        """Fills that a comparison found, whose they are and when; the stream may tell them yet."""

    @property
    def can_ask_unlinked(self) -> bool:
        """Whether the records can be read while the stream is broken."""
        return self._venue.capabilities.reads_unlinked

    @property
    def state(self) -> State:
        return self._core.engine.world

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

    async def everything(self, within: int | None = None) -> None:
        """Contract data, prices, then accounts that have a plan: all, or as `accounts` says. For
        a stream that was just opened.
        """
        self._followed.clear()
        self._found.clear()
        await self.instruments()
        await self.quotes()
        compared = await self.accounts(within)
        for name in self._core.engine.watches:
            if name not in compared:  # what it missed meanwhile is not known
                self._fail(name, UNSEEN)

    async def accounts(self, within: int | None = None) -> list[str]:
        """Compare every account; one that fails is entered as not reconciled and does not hold
        others. Returns whose turn it was.

        With `within` microseconds for it, no more than the venue's limits of requests leave in
        that time: those that hold something or have orders first, then whoever waited longest.
        """
        self._round += 1
        names = list(self._core.engine.watches)
        if within is not None:
            names = self._in_turn(names, within)
        reported = {row.account: row for row in await self._venue.accounts()}
        self._compared.update(dict.fromkeys(names, self._round))
        await asyncio.gather(*(self._account(name, reported.get(name)) for name in names))
        return names

    def _since(self, name: str) -> int:
        """How far back trades must be read at the first comparison."""
        begun = self.state.accounts[name].day.start
        return min(begun, self._left_at.get(name, begun))

    def _in_turn(self, names: list[str], within: int) -> list[str]:
        allowed = self._venue.capabilities.reads_a_minute
        if allowed is None:
            return names
        # One read is of the accounts themselves.
        places = max(1, (allowed * within // MINUTE - 1) // READS_OF_ACCOUNT)
        return sorted(names, key=self._waited)[:places]

    def _waited(self, name: str) -> tuple[bool, int]:
        """A place in the queue: never compared, then busy or long waited, then idle."""
        account = self.state.accounts[name]
        last = self._compared.get(name, 0)
        if not account.reconciled_at:
            return False, last - IDLE_ROUNDS
        idle = not (account.positions or account.orders)
        return idle and self._round - last < IDLE_ROUNDS, last

    async def _account(self, name: str, reported: AccountReported | None) -> None:
        if reported is None:
            self._fail(
                name,
                PortcullisError(
                    "the venue does not list this account, or its balance changes with every read",
                    remedy="look at the account on the platform; it is compared again by itself",
                ),
            )
            return
        try:
            differences, missed = await self.account(name, reported)
        except (Retryable, VenueRefused) as error:
            self._fail(name, error)
            return
        account = self.state.accounts[name]
        self._failed.pop(name, None)
        self._agreed[name] = self._core.time.now()
        gap = _gap(account, account.balance)
        news = differences or missed or gap
        if news or not account.reconciled_at or account.failed_compares:
            self._core.enter(Reconciled(name, differences, True, missed=missed))

    def heard(self, trade_id: str) -> None:
        """The stream told a fill: late perhaps, but not lost."""
        self._found.pop(trade_id, None)

    def _lost(self, name: str) -> int:
        """How many fills of an account the stream should have told by now; each counts once."""
        before = asyncio.get_running_loop().time() - LATE
        late = [key for key, (whose, at) in self._found.items() if whose == name and at <= before]
        for key in late:
            del self._found[key]
        return len(late)

    def fail_all(self, error: PortcullisError) -> None:
        """Enter that no account could be compared."""
        for name in self._core.engine.watches:
            self._fail(name, error)

    def _fail(self, name: str, error: PortcullisError) -> None:
        """Enter a failed comparison as often as it takes to count, not for as long as it lasts."""
        # Asked again before a whole lap, and not before everybody else each time.
        self._compared[name] = self._round - IDLE_ROUNDS // 2
        age = self._core.time.now() - self._agreed.get(name, 0)
        if isinstance(error, OverBudget) and age < PUT_OFF_MAX:
            return
        self._failed[name] = self._failed.get(name, 0) + 1
        if self._failed[name] <= FAILED_COMPARES_MAX:
            self._core.enter(Reconciled(name, 0, False, str(error)))

    async def account(self, name: str, reported: AccountReported) -> tuple[int, int]:
        """Read the records, enter differences: orders before positions, so that a position is
        never judged without its stop. Returns how many there were, and how many of them were fills
        that the stream lost.
        """
        account = self.state.accounts[name]
        since = self._core.time.now() - OVERLAP
        if name not in self._complete:
            since = self._since(name)
        elif _gap(account, reported.balance):
            since = account.day.start  # a void of an old fill shows in the money first
        before = picture(account, self.state)
        trades = await self._venue.trades(name, since)
        orders, positions = await asyncio.gather(
            self._venue.orders(name), self._venue.positions(name)
        )
        found = order_differences(account, before, orders)
        for fact in found:
            self._core.enter(fact)
        moved = position_differences(account, before, positions)
        for fact in moved:
            self._core.enter(fact)
        missing = trade_differences(account, trades)
        for fact in (*rows_before_trades(account, positions, missing), *missing):
            self._core.enter(fact)
        _taken_over(account, positions)
        missed = self._lost(name)
        if name in self._followed:
            now = asyncio.get_running_loop().time()
            self._found |= {fill.trade_id: (name, now) for fill in missing}
        self._complete[name] = True
        self._followed[name] = None
        count = len(found) + len(missing) + len(moved)
        if (account.can_trade, account.balance) != (reported.can_trade, reported.balance) or (
            not account.reported
        ):
            self._core.enter(reported)
        return count, missed
