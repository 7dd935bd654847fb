"""Rows as the gateway writes them: its own names, numbers, prices and times."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from portcullis.domain.events import AccountReported, PositionReported, Quote, TradeReported
from portcullis.domain.model import BUY, MICRO, SECOND, Instrument, OrderStatus, OrderType
from portcullis.domain.money import price
from portcullis.venues.simulated.orders import Order

Row = dict[str, Any]

STATUSES: dict[OrderStatus, int] = {
    "working": 1,
    "filled": 2,
    "cancelled": 3,
    "expired": 4,
    "rejected": 5,
    "pending": 6,
    "suspended": 8,
}
TYPES: dict[OrderType, int] = {
    "limit": 1,
    "market": 2,
    "stop_limit": 3,
    "stop": 4,
    "trailing": 5,
}


def moment(at: int, digits: int = 6) -> str:
    """A time with its offset; the hubs write seven digits."""
    whole = datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{at % SECOND:06d}{'0' * (digits - 6)}+00:00"


def money(micros: int) -> Decimal:
    return Decimal(micros) / MICRO


def contract(listed: Instrument) -> Row:
    """A contract; `name` is the exchange's with a one-digit year."""
    month = listed.id.rpartition(".")[2]
    name = f"{listed.ticker}{month[0]}{month[-1]}"
    return {
        "id": listed.id,
        "name": name,
        "description": f"{listed.ticker} futures",
        "tickSize": Decimal(listed.tick_size),
        "tickValue": money(listed.tick_value),
        "activeContract": True,
        "symbolId": f"F.US.{listed.root}",
    }


def account(told: AccountReported, number: int, *, simulated: bool) -> Row:
    return {
        "id": number,
        "name": told.account,
        "balance": money(told.balance),
        "canTrade": told.can_trade,
        "isVisible": True,
        "simulated": simulated,
    }


def position(told: PositionReported, account: int, listed: Instrument, digits: int = 6) -> Row:
    """A position; a closed one has type and size 0 and keeps its average price."""
    average = Decimal(told.average) / MICRO * Decimal(listed.tick_size)
    return {
        "id": zlib.crc32(f"{told.account}/{told.instrument}".encode()) & 0x7FFFFFFF,
        "accountId": account,
        "contractId": told.instrument,
        "contractDisplayName": contract(listed)["name"],
        "creationTimestamp": moment(told.opened_at, digits),
        "type": 0 if not told.size else 1 if told.size > 0 else 2,
        "size": abs(told.size),
        "averagePrice": average,
    }


def order(held: Order, account: int, listed: Instrument, digits: int = 6) -> Row:
    """An order as it is now; the distance of a trailing one is told in ticks and in price."""
    row: Row = {
        "id": int(held.id),
        "accountId": account,
        "contractId": held.instrument,
        "symbolId": f"F.US.{listed.root}",
        "creationTimestamp": moment(held.created_at, digits),
        "updateTimestamp": moment(held.reported_at, digits),
        "status": STATUSES[held.status],
        "type": TYPES[held.type],
        "side": 0 if held.side == BUY else 1,
        "size": held.size,
        "limitPrice": _price(held.limit_price, listed),
        "stopPrice": _price(held.stop_price, listed),
        "fillVolume": held.filled,
        "filledPrice": None,
        "customTag": held.key or None,
        "parentOrderId": int(held.parent.id) if held.parent else None,
        "linkedOrderId": _linked(held),
        "trailDistance": held.trail,
        "trailPrice": _price(held.trail, listed),
    }
    if held.filled:
        row["filledPrice"] = Decimal(held.spent) / held.filled * Decimal(listed.tick_size)
    if held.status == "suspended":
        row["limitPrice"] = row["stopPrice"] = None
    return row


def trade(told: TradeReported, account: int, listed: Instrument, digits: int = 6) -> Row:
    """A half-turn; what it made is gross, and absent of an opening one."""
    return {
        "id": int(told.trade_id),
        "accountId": account,
        "contractId": told.instrument,
        "creationTimestamp": moment(told.executed_at, digits),
        "price": _price(told.price, listed),
        "profitAndLoss": None if told.gross is None else money(told.gross),
        "fees": money(told.fees),
        "commissions": money(told.commission),
        "side": 0 if told.side == BUY else 1,
        "size": told.size,
        "voided": told.voided,
        "orderId": int(told.order_id),
    }


def quote(told: Quote, before: Quote | None, listed: Instrument, digits: int) -> Row:
    """What changed of a quote since `before`, or all of it."""
    row: Row = {
        "symbol": f"F.US.{listed.root}",
        "lastUpdated": moment(told.quoted_at, digits),
        "timestamp": moment(told.quoted_at, digits),
    }
    for name, field in (("lastPrice", "last"), ("bestBid", "bid"), ("bestAsk", "ask")):
        value = getattr(told, field)
        if before is None or value != getattr(before, field):
            row[name] = _price(value, listed)
    return row


def market_trade(told: Quote, listed: Instrument, digits: int) -> Row:
    """The trade of the market behind a new last price."""
    return {
        "symbolId": f"F.US.{listed.root}",
        "price": _price(told.last, listed),
        "timestamp": moment(told.quoted_at, digits),
        "type": 0,
        "volume": 1,
    }


def without_nulls(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}


def _linked(held: Order) -> int | None:
    """A take-profit names the stop-loss beside it; not the other way round."""
    if held.parent is None or held.type != "limit":
        return None
    return next((int(leg.id) for leg in held.parent.legs if leg.type == "stop"), None)


def _price(count: int | None, listed: Instrument) -> Decimal | None:
    return None if count is None else Decimal(price(count, listed))
