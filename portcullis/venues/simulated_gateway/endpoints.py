"""What the gateway's endpoints do: requests in, the payload of the answer out.

A refusal of the exchange becomes the code that its endpoint has for it, which is another number at
another endpoint. The endpoints' lists are those of `portcullis.venues.projectx.codes`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from portcullis.domain.model import BUY, SELL, Instrument, OrderRequest, OrderType
from portcullis.domain.money import ticks
from portcullis.errors import VenueRefused
from portcullis.venues.projectx.codes import ENDPOINTS
from portcullis.venues.projectx.facts import microseconds
from portcullis.venues.simulated.exchange import Exchange
from portcullis.venues.simulated.orders import Order, best_price
from portcullis.venues.simulated_gateway import rows
from portcullis.venues.simulated_gateway.terms import GatewayTerms

FIRST_ACCOUNT = 26_282_486
CONTRACTS_SHOWN = 20
TRAIL_MAX = 1_000
ORDER_TYPES: dict[int, OrderType] = {number: name for name, number in rows.TYPES.items()}


class Books(NamedTuple):
    """The exchange with its terms. Its accounts' names are what the gateway calls them; their
    numbers are given out as they are met.
    """

    exchange: Exchange
    terms: GatewayTerms
    numbers: dict[str, int]

    def number(self, account: str) -> int:
        return self.numbers.setdefault(account, FIRST_ACCOUNT + len(self.numbers))

    def account(self, number: int) -> str:
        """The exchange's name of an account; raises VenueRefused where there is none."""
        for told in self.exchange.accounts():
            if self.number(told.account) == number:
                return told.account
        raise refused("AccountNotFound", None)

    def listed(self, contract: str) -> Instrument:
        for instrument in self.exchange.instruments():
            if instrument.id == contract:
                return instrument
        raise refused("ContractNotFound", None)


class _Body(msgspec.Struct, frozen=True, rename="camel"):
    """A request's body; what it has beyond is passed over, as the gateway does."""


class Nothing(_Body, frozen=True):
    """An empty object."""


class Accounts(_Body, frozen=True):
    only_active_accounts: bool


class Live(_Body, frozen=True):
    live: bool


class Search(_Body, frozen=True):
    live: bool
    search_text: str | None = None


class OfContract(_Body, frozen=True):
    contract_id: str


class OfAccount(_Body, frozen=True):
    account_id: int


class Period(_Body, frozen=True):
    account_id: int
    start_timestamp: datetime
    end_timestamp: datetime | None = None


class OfOrder(_Body, frozen=True):
    account_id: int
    order_id: int


class Filter(_Body, frozen=True):
    account_id: int
    statuses: list[int] | None = None
    contract_id: str | None = None


class Query(_Body, frozen=True):
    filter: Filter
    page_size: int = 50
    page_offset: int = 0
    sort_direction: int = 0
    include_total_count: bool = False


class Bracket(_Body, frozen=True):
    ticks: int
    type: int


class Place(_Body, frozen=True):
    account_id: int
    contract_id: str
    type: int
    side: int
    size: int
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None
    custom_tag: str | None = None
    stop_loss_bracket: Bracket | None = None
    take_profit_bracket: Bracket | None = None


class Modify(_Body, frozen=True):
    account_id: int
    order_id: int
    size: int | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    trail_price: Decimal | None = None


class Close(_Body, frozen=True):
    account_id: int
    contract_id: str


class PartialClose(_Body, frozen=True):
    account_id: int
    contract_id: str
    size: int


class Endpoint(NamedTuple):
    body: type[msgspec.Struct]
    act: Callable[[Books, Any], dict[str, Any]]


class Rejected(VenueRefused):
    """Refused, though the order was taken down and has an id."""

    def __init__(self, order_id: str, message: str | None) -> None:
        super().__init__("OrderRejected", message or "", remedy="see the order's history")
        self.order_id = order_id
        self.text = message


def refused(code: str, message: str | None) -> VenueRefused:
    """A refusal of the gateway in its own word."""
    return VenueRefused(code, message or "", remedy="correct the request")


def code_of(endpoint: str, name: str) -> int:
    """The number that an endpoint has for a refusal, by its name."""
    wanted = _OTHER_NAMES.get((endpoint, name), name)
    for each in ENDPOINTS[endpoint]:
        if each.name == wanted:
            return int(each.value)
    return next((int(e.value) for e in ENDPOINTS[endpoint] if e.name == "UnknownError"), 1)


_OTHER_NAMES = {
    ("Order/modify", "OrderRejected"): "Rejected",
    ("Order/cancel", "OrderRejected"): "Rejected",
    ("Position/closeContract", "AccountViolation"): "AccountRejected",
    ("Position/partialCloseContract", "AccountViolation"): "AccountRejected",
}


# --- reading ------------------------------------------------------------------------------------


def _accounts(on: Books, ask: Accounts) -> dict[str, Any]:
    told = [
        rows.account(each, on.number(each.account), simulated=True)
        for each in on.exchange.accounts()
        if each.can_trade or not ask.only_active_accounts
    ]
    return {"accounts": told}


def _available(on: Books, _: Live) -> dict[str, Any]:
    return {"contracts": [rows.contract(each) for each in on.exchange.instruments()]}


def _search(on: Books, ask: Search) -> dict[str, Any]:
    text = (ask.search_text or "").upper()
    found = [rows.contract(each) for each in on.exchange.instruments()]
    matching = [row for row in found if text in row["name"] or text in row["id"]]
    return {"contracts": matching[:CONTRACTS_SHOWN]}


def _by_id(on: Books, ask: OfContract) -> dict[str, Any]:
    return {"contract": rows.contract(on.listed(ask.contract_id))}


def _positions(on: Books, ask: OfAccount) -> dict[str, Any]:
    held = on.exchange.positions(on.account(ask.account_id))
    return {
        "positions": [
            rows.position(each, ask.account_id, on.listed(each.instrument)) for each in held
        ]
    }


def _trades(on: Books, ask: Period) -> dict[str, Any]:
    told = on.exchange.trades(on.account(ask.account_id), microseconds(ask.start_timestamp))
    end = microseconds(ask.end_timestamp) if ask.end_timestamp else None
    kept = [each for each in told if end is None or each.executed_at <= end]
    return {
        "trades": [
            rows.trade(each, ask.account_id, on.listed(each.instrument)) for each in reversed(kept)
        ]
    }


def _order_rows(on: Books, account: int, keep: Callable[[Order], bool]) -> list[rows.Row]:
    held = sorted(on.exchange.every_order(on.account(account)), key=lambda order: int(order.id))
    return [rows.order(each, account, on.listed(each.instrument)) for each in held if keep(each)]


def _orders(on: Books, ask: Period) -> dict[str, Any]:
    start = microseconds(ask.start_timestamp)
    end = microseconds(ask.end_timestamp) if ask.end_timestamp else None
    return {
        "orders": _order_rows(
            on,
            ask.account_id,
            lambda each: each.created_at >= start and (end is None or each.created_at <= end),
        )
    }


def _open(on: Books, ask: OfAccount) -> dict[str, Any]:
    """Suspended legs are not among them."""
    return {"orders": _order_rows(on, ask.account_id, lambda each: each.status == "working")}


def _one_order(on: Books, ask: OfOrder) -> dict[str, Any]:
    found = _order_rows(on, ask.account_id, lambda each: each.id == str(ask.order_id))
    if not found:
        raise refused("OrderNotFound", None)
    return {"order": found[0]}


def _query(on: Books, ask: Query) -> dict[str, Any]:
    wanted = ask.filter
    found = _order_rows(
        on,
        wanted.account_id,
        lambda each: (
            (wanted.statuses is None or rows.STATUSES[each.status] in wanted.statuses)
            and wanted.contract_id in (None, each.instrument)
        ),
    )
    if ask.sort_direction:
        found.reverse()
    page: dict[str, Any] = {"orders": found[ask.page_offset : ask.page_offset + ask.page_size]}
    if ask.include_total_count:
        page["totalCount"] = len(found)
    return page


# --- trading ------------------------------------------------------------------------------------


def _place(on: Books, ask: Place) -> dict[str, Any]:
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


def _modify(on: Books, ask: Modify) -> dict[str, Any]:
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


def _cancel(on: Books, ask: OfOrder) -> dict[str, Any]:
    """Unlike the venue port, the gateway does not call it a success when the order has ended."""
    held = _held(on, ask.account_id, ask.order_id)
    if not held.live:
        raise refused("OrderNotFound", None)
    on.exchange.cancel_order(on.account(ask.account_id), str(ask.order_id))
    return {}


def _close(on: Books, ask: Close) -> dict[str, Any]:
    on.listed(ask.contract_id)
    account = on.account(ask.account_id)
    if not any(p.instrument == ask.contract_id for p in on.exchange.positions(account)):
        raise refused("PositionNotFound", None)
    on.exchange.close_position(account, ask.contract_id)
    return {}


def _partial_close(on: Books, ask: PartialClose) -> dict[str, Any]:
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


TABLE: dict[str, Endpoint] = {
    "Account/search": Endpoint(Accounts, _accounts),
    "Contract/available": Endpoint(Live, _available),
    "Contract/search": Endpoint(Search, _search),
    "Contract/searchById": Endpoint(OfContract, _by_id),
    "Order/place": Endpoint(Place, _place),
    "Order/modify": Endpoint(Modify, _modify),
    "Order/cancel": Endpoint(OfOrder, _cancel),
    "Order/search": Endpoint(Period, _orders),
    "Order/searchOpen": Endpoint(OfAccount, _open),
    "Order/searchById": Endpoint(OfOrder, _one_order),
    "Order/v2/query": Endpoint(Query, _query),
    "Position/searchOpen": Endpoint(OfAccount, _positions),
    "Position/closeContract": Endpoint(Close, _close),
    "Position/partialCloseContract": Endpoint(PartialClose, _partial_close),
    "Trade/search": Endpoint(Period, _trades),
}
