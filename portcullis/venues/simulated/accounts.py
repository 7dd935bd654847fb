"""Accounts and holdings of the simulated venue: exact books. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from portcullis.domain.events import AccountReported, PositionReported, TradeReported
from portcullis.domain.model import MICRO, Instrument
from portcullis.venues.simulated.orders import Order
from portcullis.venues.simulated.terms import HISTORY_BOUND, Flavour


@dataclass(slots=True)
class Lot:
    """Contracts bought or sold together. `cost` = price x tick value x size, in micro-units."""

    size: int
    cost: int


@dataclass(slots=True)
class Holding:
    """What an account holds of one instrument. Realized and open profit add up exactly:

    a closing fill takes its whole share of the cost, and what rounding leaves stays in the rest.
    """

    instrument: Instrument
    merges: bool
    size: int = 0
    lots: deque[Lot] = field(default_factory=deque)
    opened_at: int = 0
    average: int = 0

    def book(self, side: int, size: int, price: int, at: int) -> int | None:
        """Book a fill that does not pass through zero; the gross profit when it closes."""
        if self.size * side >= 0:
            self._open(side, size, price, at)
            return None
        return self._close(side, size, price)

    def _open(self, side: int, size: int, price: int, at: int) -> None:
        if self.size == 0:
            self.opened_at = at
        self.size += side * size
        cost = price * self.instrument.tick_value * size
        if self.merges and self.lots:
            self.lots[0].size += size
            self.lots[0].cost += cost
        else:
            self.lots.append(Lot(size, cost))
        self._weigh()

    def _close(self, side: int, size: int, price: int) -> int:
        left, cost = size, 0
        while left:
            lot = self.lots[0]
            taken = min(left, lot.size)
            share = lot.cost * taken // lot.size
            lot.size -= taken
            lot.cost -= share
            left -= taken
            cost += share
            if lot.size == 0:
                self.lots.popleft()
        self.size += side * size
        if self.size:
            self._weigh()
        return -side * (price * self.instrument.tick_value * size - cost)

    def _weigh(self) -> None:
        cost = sum(lot.cost for lot in self.lots)
        unit = self.instrument.tick_value * abs(self.size)
        self.average = (2 * cost * MICRO + unit) // (2 * unit)

    def open_profit(self, price: int) -> int:
        """Gross profit in micro-units if everything were closed at `price`."""
        if self.size == 0:
            return 0
        cost = sum(lot.cost for lot in self.lots)
        worth = price * self.instrument.tick_value * abs(self.size)
        return worth - cost if self.size > 0 else cost - worth

    def report(self, account: str, at: int) -> PositionReported:
        """The position row; a closed one keeps its last average, as real venues do."""
        return PositionReported(
            account=account,
            instrument=self.instrument.id,
            size=self.size,
            average=self.average,
            as_of=at,
            opened_at=self.opened_at,
        )


@dataclass(slots=True)
class Account:
    """An account of the venue. `can_trade` is None when the venue does not say."""

    id: str
    balance: int
    flavour: Flavour = "practice"
    currency: str = "USD"
    can_trade: bool | None = True
    refuses_close: bool = False
    holdings: dict[str, Holding] = field(default_factory=dict)
    live: dict[str, Order] = field(default_factory=dict)
    finished: dict[str, Order] = field(default_factory=dict)
    by_key: dict[str, Order] = field(default_factory=dict)
    seen: dict[str, tuple[int, Order | None]] = field(default_factory=dict)
    trades: deque[TradeReported] = field(default_factory=lambda: deque(maxlen=HISTORY_BOUND))

    def size_of(self, instrument: str) -> int:
        """Signed size of the position."""
        holding = self.holdings.get(instrument)
        return holding.size if holding else 0

    def order(self, order_id: str) -> Order | None:
        return self.live.get(order_id) or self.finished.get(order_id)

    def finish(self, order: Order) -> None:
        """Move an order to the history, whose oldest entry goes when the bound is reached."""
        self.live.pop(order.id, None)
        self.finished[order.id] = order
        if len(self.finished) > HISTORY_BOUND:
            oldest = self.finished.pop(next(iter(self.finished)))
            if self.by_key.get(oldest.key) is oldest:
                del self.by_key[oldest.key]

    def remember(self, key: str, at: int, order: Order | None) -> None:
        """Note that a request with `key` was carried out."""
        if not key:
            return
        self.seen[key] = (at, order)
        if len(self.seen) > HISTORY_BOUND:
            del self.seen[next(iter(self.seen))]

    def report(self, at: int) -> AccountReported:
        return AccountReported(
            account=self.id,
            can_trade=self.can_trade,
            balance=self.balance,
            currency=self.currency,
            reported_at=at,
        )
