"""What the simulated venue speaks over its socket: the calls, their arguments and answers.

A call is `POST /calls/<name>` with a JSON object, a control act `POST /control/<name>`; both
carry `Authorization: Bearer <token>`. Answers: 200 with JSON, 409 `Refused`, 400 and 401 and 404
a `Refused` too, 503 when nothing was carried out. `GET /stream` is a WebSocket: one JSON event per
message, the first message being `SUBSCRIBED`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from portcullis.domain.model import OrderRequest
from portcullis.ports import VenueCapabilities, VenueEvent
from portcullis.venues.simulated.exchange import Exchange

SUBSCRIBED = "subscribed"

event_decoder: msgspec.json.Decoder[VenueEvent] = msgspec.json.Decoder(VenueEvent)


class Refused(msgspec.Struct, frozen=True):
    """The body of every answer that is not 200."""

    code: str
    message: str
    remedy: str


class _Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments of a call; unknown ones are refused."""


class Nothing(_Arguments, frozen=True):
    """No arguments."""


class OfAccount(_Arguments, frozen=True):
    account: str


class Trades(_Arguments, frozen=True):
    account: str
    since: int


class ByKey(_Arguments, frozen=True):
    account: str
    key: str


class Close(_Arguments, frozen=True):
    account: str
    instrument: str
    key: str


class Reduce(_Arguments, frozen=True):
    account: str
    instrument: str
    size: int
    key: str


class Cancel(_Arguments, frozen=True):
    account: str
    order_id: str


class Modify(_Arguments, frozen=True):
    account: str
    order_id: str
    stop_price: int | None
    size: int | None


class Call(NamedTuple):
    """A call's arguments, and what it does with them on the exchange (or the control)."""

    arguments: type[msgspec.Struct]
    act: Callable[[Any, Any], Any]


def _capabilities(exchange: Exchange, _: Nothing) -> VenueCapabilities:
    terms = exchange.terms
    return VenueCapabilities(deduplicates=terms.deduplicates, window=terms.window)


CALLS: dict[str, Call] = {
    "connect": Call(Nothing, _capabilities),
    "instruments": Call(Nothing, lambda x, _: x.instruments()),
    "accounts": Call(Nothing, lambda x, _: x.accounts()),
    "positions": Call(OfAccount, lambda x, a: x.positions(a.account)),
    "orders": Call(OfAccount, lambda x, a: x.orders(a.account)),
    "trades": Call(Trades, lambda x, a: x.trades(a.account, a.since)),
    "quotes": Call(Nothing, lambda x, _: x.quotes()),
    "order_by_key": Call(ByKey, lambda x, a: x.order_by_key(a.account, a.key)),
    "close_position": Call(Close, lambda x, a: x.close_position(a.account, a.instrument, a.key)),
    "reduce_position": Call(
        Reduce, lambda x, a: x.reduce_position(a.account, a.instrument, a.size, a.key)
    ),
    "cancel_order": Call(Cancel, lambda x, a: x.cancel_order(a.account, a.order_id)),
    "place_order": Call(OrderRequest, lambda x, order: x.place_order(order)),
    "modify_order": Call(
        Modify,
        lambda x, a: x.modify_order(a.account, a.order_id, stop_price=a.stop_price, size=a.size),
    ),
}
