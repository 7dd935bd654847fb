"""The endpoints that trade: place, modify, cancel, close."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from portcullis.domain.model import BUY, SELL, Instrument, OrderRequest, OrderType
from portcullis.domain.money import ticks
from portcullis.errors import VenueRefused
from portcullis.venues.simulated.orders import Order, best_price
from portcullis.venues.simulated_gateway import rows
from portcullis.venues.simulated_gateway.bodies import Close, Modify, OfOrder, PartialClose, Place
from portcullis.venues.simulated_gateway.books import Books, Rejected, refused

ORDER_TYPES: dict[int, OrderType] = {number: name for name, number in rows.TYPES.items()}


def place(on: Books, ask: Place) -> dict[str, Any]:
    listed = on.listed(ask.contract_id)
    account = on.account(ask.account_id)
    bracketed = ask.stop_loss_bracket is not None or ask.take_profit_bracket is not None
    request, reference = _request(on, ask, listed)
    known = ask.custom_tag and on.exchange.order_by_key(account, ask.custom_tag)
    if known and on.terms.duplicate_tags == "refused":
        raise refused("OrderRejected", "the custom tag is in use")
    if bracketed and on.terms.brackets == "position":
        order_id = on.exchange.reject_order(request, "brackets conflict with Position Brackets")
        raise Rejected(order_id, "Brackets cannot be used with Position Brackets.")
    try:
        order_id = on.exchange.place_order(request, from_fill=reference if bracketed else None)
    except VenueRefused as error:
        raise _with_id(on, account, error) from error
    return {"orderId": int(order_id)}


def _with_id(on: Books, account: str, error: VenueRefused) -> VenueRefused:
    """A rejected order that was taken down all the same is answered with its id."""
    orders = on.exchange.every_order(account)
    newest = max(orders, key=lambda each: int(each.id), default=None)
    if error.code != "OrderRejected" or newest is None or newest.status != "rejected":
        return error
    return Rejected(newest.id, newest.detail)


def _request(on: Books, ask: Place, listed: Instrument) -> tuple[OrderRequest, int | None]:
    """The order as the exchange takes it, and the price that its brackets are measured from."""
    side = BUY if ask.side == 0 else SELL
    kind = ORDER_TYPES.get(ask.type)
    if kind is None:
        raise refused("OrderRejected", f"order type {ask.type} is not supported")
    quote = next((q for q in on.exchange.quotes() if q.instrument == listed.id), None)
    limit, stop = _ticks(ask.limit_price, listed), _ticks(ask.stop_price, listed)
    reference = limit if limit is not None else stop
    if reference is None and quote is not None:
        reference = best_price(side, quote)
    trail = None
    if kind == "trailing":
        level, last = _ticks(ask.trail_price, listed), quote.last if quote else None
        if level is None or last is None:
            raise refused("OrderRejected", "cannot trail without a distance and a last price")
        trail = abs(last - level)
    loss, profit = ask.stop_loss_bracket, ask.take_profit_bracket
    if (loss or profit) and reference is None:
        raise refused("OrderRejected", "there is no price to measure a bracket from")
    request = OrderRequest(
        on.account(ask.account_id),
        listed.id,
        side,
        ask.size,
        kind,
        limit_price=limit,
        stop_price=stop,
        trail=trail,
        stop_loss=(reference or 0) + loss.ticks if loss else None,
        take_profit=(reference or 0) + profit.ticks if profit else None,
        key=ask.custom_tag or "",
    )
    return request, reference


def modify(on: Books, ask: Modify) -> dict[str, Any]:
    held = _held(on, ask.account_id, ask.order_id)
    listed = on.listed(held.instrument)
    on.exchange.modify_order(
        on.account(ask.account_id),
        str(ask.order_id),
        stop_price=_ticks(ask.stop_price, listed),
        limit_price=_ticks(ask.limit_price, listed),
        size=ask.size,
    )
    return {}


def cancel(on: Books, ask: OfOrder) -> dict[str, Any]:
    """Unlike the venue port, the gateway does not call it a success when the order has ended."""
    held = _held(on, ask.account_id, ask.order_id)
    if not held.live:
        raise refused("OrderNotFound", None)
    on.exchange.cancel_order(on.account(ask.account_id), str(ask.order_id))
    return {}


def close(on: Books, ask: Close) -> dict[str, Any]:
    on.listed(ask.contract_id)
    account = on.account(ask.account_id)
    if not any(p.instrument == ask.contract_id for p in on.exchange.positions(account)):
        raise refused("PositionNotFound", None)
    on.exchange.close_position(account, ask.contract_id)
    return {}


def partial_close(on: Books, ask: PartialClose) -> dict[str, Any]:
    on.listed(ask.contract_id)
    on.exchange.reduce_position(on.account(ask.account_id), ask.contract_id, ask.size)
    return {}


def _held(on: Books, account: int, order_id: int) -> Order:
    for held in on.exchange.every_order(on.account(account)):
        if held.id == str(order_id):
            return held
    raise refused("OrderNotFound", None)


def _ticks(price: Decimal | None, listed: Instrument) -> int | None:
    if price is None:
        return None
    try:
        return ticks(price, listed.tick_size)
    except ValueError as error:
        raise refused("OrderRejected", str(error)) from error
