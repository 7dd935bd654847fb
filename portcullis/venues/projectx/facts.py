"""The gateway's rows as facts of the domain: whole ticks, micro-units, our words.

Accounts and positions carry no time of their change: they are as of the moment they were asked for
(`as_of`), or came, by the gateway's clock as far as we know it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import cast

from portcullis.domain.events import (
    AccountReported,
    OrderReported,
    PositionReported,
    Quote,
    TradeReported,
)
from portcullis.domain.model import (
    BUY,
    LIVE_STATUSES,
    MICRO,
    SELL,
    Instrument,
    OrderStatus,
    OrderType,
)
from portcullis.domain.money import ticks
from portcullis.venues.projectx.payloads import (
    AccountRow,
    ContractRow,
    OrderRow,
    PositionRow,
    QuoteRow,
    TradeRow,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURRENCY = "USD"
NOISE = Decimal("0.001")
"""Of a tick or a micro-unit: what a number loses that was a binary fraction on its way."""
BID, ASK = 0, 1

TYPES: dict[int, OrderType] = {
    1: "limit",
    2: "market",
    3: "stop_limit",
    4: "stop",
    5: "trailing",
    6: "limit",  # joins the bid
    7: "limit",  # joins the ask
}
STATUSES: dict[int, OrderStatus] = {
    1: "working",
    2: "filled",
    3: "cancelled",
    4: "expired",
    5: "rejected",
    6: "pending",
    7: "working",  # its cancellation is on the way: until then it may fill
    8: "suspended",
}
_LATER = ("pending", "suspended", "working", "filled", "cancelled", "expired", "rejected")

_MICROS = "MES MNQ M2K MYM MCL MNG MGC SIL MHG M6A M6B M6E MCD MET MBT"
MICROS = frozenset(_MICROS.split())
"""Tickers that count as micro contracts."""

_MONTH = re.compile(r"^(?P<ticker>.+?)[FGHJKMNQUVXZ]\d{1,2}$")


def instrument(row: ContractRow) -> Instrument:
    """A contract; raises ValueError where its tick value is finer than a micro-unit."""
    found = _MONTH.match(row.name)
    ticker = found["ticker"] if found else row.name
    root = row.symbol_id.rpartition(".")[2] or row.id.split(".")[-2]
    return Instrument(
        row.id,
        ticker,
        root,
        format(row.tick_size, "f"),
        exact(row.tick_value),
        CURRENCY,
        is_micro=ticker in MICROS,
    )


def account(row: AccountRow, name: str, as_of: int) -> AccountReported:
    """An account's word on itself; it goes by its name here, which is what people see of it."""
    return AccountReported(name, row.can_trade, exact(row.balance), CURRENCY, as_of)


def position(row: PositionRow, listed: Instrument, account: str, as_of: int) -> PositionReported:
    """A position, closed ones with a size of 0."""
    sign = {1: BUY, 2: SELL}.get(row.type, 0)
    average = row.average_price / Decimal(listed.tick_size) * MICRO
    opened_at = microseconds(row.creation_timestamp)
    return PositionReported(
        account, row.contract_id, sign * row.size, round(average), as_of, opened_at
    )


def order(row: OrderRow, listed: Instrument, account: str) -> OrderReported:
    """An order; of an unknown type it counts as a market order, the worst it can be."""
    status = STATUSES.get(row.status, "pending")
    changed = microseconds(row.update_timestamp or row.creation_timestamp)
    return OrderReported(
        account,
        str(row.id),
        row.contract_id,
        BUY if row.side == BID else SELL,
        TYPES.get(row.type, "market"),
        row.size,
        max(0, row.size - row.fill_volume) if status in LIVE_STATUSES else 0,
        status,
        # Two changes in one microsecond: the later one in an order's life.
        changed * len(_LATER) + _LATER.index(status),
        changed,
        _ticks(row.limit_price, listed),
        _ticks(row.stop_price, listed),
        abs(row.trail_distance) if row.trail_distance is not None else None,
        str(row.parent_order_id) if row.parent_order_id is not None else None,
        row.custom_tag or "",
    )


def trade(row: TradeRow, listed: Instrument, account: str, key: str = "") -> TradeReported:
    """A fill; `key` is its order's, which trades do not carry."""
    gross = None if row.profit_and_loss is None else exact(row.profit_and_loss)
    return TradeReported(
        account,
        str(row.id),
        str(row.order_id),
        row.contract_id,
        BUY if row.side == BID else SELL,
        row.size,
        cast("int", _ticks(row.price, listed)),
        gross,
        exact(row.fees),
        exact(row.commissions or Decimal(0)),
        microseconds(row.creation_timestamp),
        row.voided,
        key,
    )


def quote(row: QuoteRow, listed: Instrument, came_at: int) -> Quote:
    """A quote that was put together from its parts."""
    told = row.timestamp or row.last_updated
    return Quote(
        listed.id,
        _ticks(row.best_bid, listed),
        _ticks(row.best_ask, listed),
        _ticks(row.last_price, listed),
        microseconds(told) if told is not None else came_at,
    )


def exact(amount: Decimal) -> int:
    """Micro-units of an amount, which may carry the noise of binary fractions; raises ValueError
    where it is really finer than a micro-unit.
    """
    whole = round(amount * MICRO)
    if abs(amount * MICRO - whole) > NOISE:
        raise ValueError(f"{amount} is finer than a micro-unit")
    return whole


def microseconds(moment: datetime) -> int:
    """Microseconds since 1970 UTC; a time without an offset is UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)


def _ticks(price: Decimal | None, listed: Instrument) -> int | None:
    """Whole ticks, with the same allowance."""
    if price is None:
        return None
    count = price / Decimal(listed.tick_size)
    whole = round(count)
    return whole if abs(count - whole) <= NOISE else ticks(price, listed.tick_size)
