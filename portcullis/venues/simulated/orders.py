"""Orders inside the simulated venue, and when a quote fills them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from portcullis.domain.events import OrderReported, Quote
from portcullis.domain.model import (
    BUY,
    LIVE_STATUSES,
    SELL,
    STOP_TYPES,
    OrderRequest,
    OrderStatus,
    OrderType,
)

TRAIL_BOUND = 1_000
"""Longest trailing distance a new order may ask for, in ticks."""


@dataclass(slots=True)
class Order:
    """An order of the book. Prices in ticks; `call` is the request that made it.

    `closes_only` orders never fill more than the position there is. A bracket leg `follows` its
    parent's filled size until somebody resizes it; with `from_fill` its price is that many ticks
    from the price its parent was first filled at. `spent` is the sum of price times size filled.
    """

    id: str
    account: str
    instrument: str
    side: int
    type: OrderType
    size: int
    key: str = ""
    call: str = "place_order"
    limit_price: int | None = None
    stop_price: int | None = None
    trail: int | None = None
    parent: Order | None = None
    legs: list[Order] = field(default_factory=list)
    filled: int = 0
    status: OrderStatus = "working"
    version: int = 0
    reported_at: int = 0
    triggered: bool = False
    closes_only: bool = False
    follows: bool = True
    from_fill: int | None = None
    created_at: int = 0
    spent: int = 0
    detail: str = ""

    @property
    def remaining(self) -> int:
        return self.size - self.filled

    @property
    def live(self) -> bool:
        return self.status in LIVE_STATUSES

    def report(self) -> OrderReported:
        return OrderReported(
            account=self.account,
            order_id=self.id,
            instrument=self.instrument,
            side=self.side,
            type=self.type,
            size=self.size,
            remaining=self.remaining if self.live else 0,
            status=self.status,
            version=self.version,
            reported_at=self.reported_at,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            trail=self.trail,
            parent=self.parent.id if self.parent else None,
            key=self.key,
        )


def best_price(side: int, quote: Quote) -> int | None:
    """The price at which `side` trades on the quote: the ask to buy, the bid to sell."""
    return quote.ask if side == BUY else quote.bid


def execution_price(order: Order, quote: Quote) -> int | None:
    """The price at which the order trades on this quote, before slippage, or None.

    A buy stop wakes when the ask reaches it, a sell stop when the bid does; once awake it stays.
    """
    best = best_price(order.side, quote)
    if best is None:
        return None
    if order.type in STOP_TYPES and not order.triggered:
        assert order.stop_price is not None
        if (best - order.stop_price) * order.side < 0:
            return None
        order.triggered = True
    if order.type in ("limit", "stop_limit"):
        assert order.limit_price is not None
        if (best - order.limit_price) * order.side > 0:
            return None
    return best


def slips(order: Order) -> bool:
    """Whether the order takes whatever price there is."""
    return order.type in ("market", "stop", "trailing")


def trailed_stop(order: Order, quote: Quote) -> int | None:
    """The tighter stop price a trailing order earns on this quote, or None."""
    best = best_price(order.side, quote)
    if order.type != "trailing" or order.triggered or best is None or order.trail is None:
        return None
    candidate = best + order.side * order.trail
    if order.stop_price is None or (order.stop_price - candidate) * order.side > 0:
        return candidate
    return None


def fault_of(request: OrderRequest) -> str | None:
    """What is wrong with the form of an order, in words, or None."""
    if request.side not in (BUY, SELL):
        return f"side {request.side} is neither 1 (buy) nor -1 (sell)"
    if request.size < 1:
        return f"size {request.size} is not at least 1"
    if request.type in ("limit", "stop_limit") and request.limit_price is None:
        return f"a {request.type} order needs a limit price"
    if request.type in ("stop", "stop_limit") and request.stop_price is None:
        return f"a {request.type} order needs a stop price"
    if request.type == "trailing" and not 1 <= (request.trail or 0) <= TRAIL_BOUND:
        return f"a trailing order needs a distance of 1 to {TRAIL_BOUND} ticks"
    low, high = request.stop_loss, request.take_profit
    if low is not None and high is not None and (high - low) * request.side <= 0:
        return "the take-profit must lie beyond the stop-loss in the order's direction"
    return None


def bracket_legs(parent: Order, request: OrderRequest, ids: tuple[str, str]) -> list[Order]:
    """The suspended children of an order: stop-loss first, then take-profit."""
    legs: list[Order] = []
    if request.stop_loss is not None:
        stop = _leg(parent, ids[0], "stop", "SL")
        stop.stop_price = request.stop_loss
        legs.append(stop)
    if request.take_profit is not None:
        target = _leg(parent, ids[1], "limit", "TP")
        target.limit_price = request.take_profit
        legs.append(target)
    return legs


def _leg(parent: Order, order_id: str, order_type: OrderType, suffix: str) -> Order:
    return Order(
        id=order_id,
        account=parent.account,
        instrument=parent.instrument,
        side=-parent.side,
        type=order_type,
        size=parent.size,
        key=f"{parent.key}-{suffix}" if parent.key else "",
        parent=parent,
        status="suspended",
    )
