"""The matching engine of the simulated venue: quotes in, fills and reports out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from portcullis.clock import Clock
from portcullis.domain.events import InstrumentListed, Quote, TradeReported
from portcullis.domain.model import BUY, SELL, Instrument, OrderStatus
from portcullis.ports import VenueEvent
from portcullis.venues.simulated.accounts import Account, Holding
from portcullis.venues.simulated.chance import chance
from portcullis.venues.simulated.orders import Order, execution_price, slips, trailed_stop
from portcullis.venues.simulated.terms import JOURNAL_BOUND, JournalEntry, Terms

Listener = Callable[[VenueEvent], None]


class MatchingEngine:
    """Accounts, books and quotes of a venue. Deterministic for a seed and a clock.

    Every change is told to the listeners at once, in the order in which it happened; a listener
    must not call back. Times are strictly increasing: a fill, its trade, its order, its position
    and its account row share one time, and no two fills share any.
    """

    def __init__(
        self, clock: Clock, *, terms: Terms | None = None, instruments: Iterable[Instrument] = ()
    ) -> None:
        self.clock = clock
        self.terms = terms or Terms()
        self.journal: deque[JournalEntry] = deque(maxlen=JOURNAL_BOUND)
        self._random = chance(self.terms.seed, "exchange")
        self._instruments: dict[str, Instrument] = {}
        self._accounts: dict[str, Account] = {}
        self._quotes: dict[str, Quote] = {}
        self._books: dict[str, dict[str, Order]] = {}
        self._offered: dict[tuple[str, int], int] = {}
        self._halted: dict[str, str] = {}
        self._listeners: dict[int, Listener] = {}
        self._last_at = 0
        self._last_id = 0
        for instrument in instruments:
            self.list_instrument(instrument)

    # --- what the market does -----------------------------------------------------------------

    def list_instrument(self, instrument: Instrument) -> None:
        """Admit an instrument to trading."""
        self._instruments[instrument.id] = instrument
        self._books.setdefault(instrument.id, {})
        self._emit(InstrumentListed(instrument=instrument))

    def on_quote(self, quote: Quote) -> None:
        """Take a quote from the market: tell everybody, ratchet trailing stops, match."""
        self._quotes[quote.instrument] = quote
        for side in (BUY, SELL):
            self._offered.pop((quote.instrument, side), None)
        self._emit(quote)
        self._match(quote.instrument)
        self._trail(quote)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Be told of every event from now on; the answer ends it."""
        number = self._next_id()
        self._listeners[number] = listener

        def unsubscribe() -> None:
            self._listeners.pop(number, None)

        return unsubscribe

    # --- time, numbers, reports ---------------------------------------------------------------

    def _stamp(self) -> int:
        self._last_at = max(self.clock.now(), self._last_at + 1)
        return self._last_at

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _emit(self, event: VenueEvent) -> None:
        for listener in list(self._listeners.values()):
            listener(event)

    def _report(self, order: Order, at: int | None = None) -> None:
        order.version += 1
        order.reported_at = self._stamp() if at is None else at
        order.created_at = order.created_at or order.reported_at
        self._emit(order.report())

    def _enter(self, account: Account, order: Order) -> None:
        """Put a new order on the books and report it."""
        account.live[order.id] = order
        self._books[order.instrument][order.id] = order
        if order.key:
            account.by_key[order.key] = order
        self._report(order)

    def _end(self, order: Order, status: OrderStatus) -> None:
        """Take an order off the books; its legs follow."""
        self._finish(order, status, self._stamp())
        if order.legs:
            self._follow(order)

    def _finish(self, order: Order, status: OrderStatus, at: int) -> None:
        order.status = status
        self._books[order.instrument].pop(order.id, None)
        self._accounts[order.account].finish(order)
        self._report(order, at)

    # --- matching -----------------------------------------------------------------------------

    def _match(self, instrument: str) -> None:
        if instrument in self._halted:
            return
        for order in list(self._books[instrument].values()):
            if order.live:
                self._try(order)

    def _trail(self, quote: Quote) -> None:
        for order in list(self._books[quote.instrument].values()):
            if order.status != "working":
                continue
            stop = trailed_stop(order, quote)
            if stop is not None:
                order.stop_price = stop
                self._report(order)

    def _try(self, order: Order) -> None:
        """Fill the order as far as the current quote reaches."""
        quote = self._quotes.get(order.instrument)
        if quote is None or order.instrument in self._halted or order.status == "suspended":
            return
        if order.closes_only and not self._closable(order):
            self._end(order, "cancelled")
            return
        price = execution_price(order, quote)
        if price is None:
            return
        size = min(order.remaining, self._liquidity(order.instrument, order.side))
        if order.closes_only:
            size = min(size, self._closable(order))
        if size <= 0:
            return
        if self.terms.liquidity is not None:
            self._offered[order.instrument, order.side] -= size
        if slips(order) and self.terms.slippage:
            price += order.side * self._random.randint(0, self.terms.slippage)
        self._fill(order, size, price)

    def _closable(self, order: Order) -> int:
        return max(0, -self._accounts[order.account].size_of(order.instrument) * order.side)

    def _liquidity(self, instrument: str, side: int) -> int:
        if self.terms.liquidity is None:
            return 1 << 31
        left = self._offered.get((instrument, side))
        if left is None:
            left = self._random.randint(1, self.terms.liquidity)
            self._offered[instrument, side] = left
        return left

    def _fill(self, order: Order, size: int, price: int) -> None:
        """Book a fill; one that passes through zero becomes a closing and an opening trade."""
        closing = min(size, self._closable(order))
        for part in (closing, size - closing):
            if part:
                self._execute(order, part, price)
        if order.parent or order.legs:
            self._follow(order.parent or order)

    def _execute(self, order: Order, size: int, price: int) -> None:
        at = self._stamp()
        account = self._accounts[order.account]
        holding = self._holding(account, order.instrument)
        gross = holding.book(order.side, size, price, at)
        trade = self._trade(order, size, price, gross, at)
        account.balance += (gross or 0) - trade.fees - trade.commission
        account.trades.append(trade)
        order.filled += size
        order.spent += price * size
        self._note_fill(at, order, size, price)
        grows = order.parent is not None and order.parent.live and order.follows
        if order.remaining == 0 and not grows:
            self._finish(order, "filled", at)
        else:
            order.status = "working"
            self._report(order, at)
        self._emit(trade)
        self._emit(holding.report(account.id, at))
        self._emit(account.report(at))

    def _holding(self, account: Account, instrument: str) -> Holding:
        if instrument not in account.holdings:
            merges = self.terms.accounting == "average"
            account.holdings[instrument] = Holding(self._instruments[instrument], merges)
        return account.holdings[instrument]

    def _trade(
        self, order: Order, size: int, price: int, gross: int | None, at: int
    ) -> TradeReported:
        ticker = self._instruments[order.instrument].ticker
        costs = self.terms.costs_by_ticker.get(ticker, self.terms.costs)
        return TradeReported(
            account=order.account,
            trade_id=str(self._next_id()),
            order_id=order.id,
            instrument=order.instrument,
            side=order.side,
            size=size,
            price=price,
            gross=gross,
            fees=costs.fees * size,
            commission=costs.commission * size,
            executed_at=at,
            key=order.key,
        )

    def _note_fill(self, at: int, order: Order, size: int, price: int) -> None:
        self.journal.append(
            JournalEntry(
                at=at,
                what="executed",
                call=order.call,
                account=order.account,
                key=order.key,
                instrument=order.instrument,
                order_id=order.id,
                side=order.side,
                size=size,
                price=price,
            )
        )

    # --- brackets -----------------------------------------------------------------------------

    def _follow(self, parent: Order) -> None:
        """Bring the legs of a bracket in line with what the parent opened and they closed."""
        open_size = parent.filled - sum(leg.filled for leg in parent.legs)
        for leg in parent.legs:
            if not leg.live:
                continue
            if open_size > 0:
                self._wake(leg, open_size)
            elif parent.live:
                self._resize(leg, "suspended", parent.remaining)
            else:
                done = leg.filled > 0 and leg.remaining == 0
                self._end(leg, "filled" if done else "cancelled")

    def _wake(self, leg: Order, open_size: int) -> None:
        self._price(leg)
        self._resize(leg, "working", open_size)
        if leg.live:
            self._try(leg)

    def _price(self, leg: Order) -> None:
        """Give a leg that is measured from its parent's fill its price, when it wakes."""
        if leg.from_fill is None or leg.status != "suspended" or leg.parent is None:
            return
        price = leg.parent.spent // leg.parent.filled + leg.from_fill
        if leg.type == "limit":
            leg.limit_price = price
        else:
            leg.stop_price = price

    def _resize(self, leg: Order, status: OrderStatus, remaining: int) -> None:
        size = leg.filled + remaining if leg.follows else leg.size
        if (leg.status, leg.size) == (status, size):
            return
        leg.status, leg.size = status, size
        self._report(leg)
