"""The table of the gateway's endpoints: what each takes and does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from portcullis.venues.simulated_gateway import bodies, reading, trading
from portcullis.venues.simulated_gateway.books import Books


class Endpoint(NamedTuple):
    body: type[msgspec.Struct]
    act: Callable[[Books, Any], dict[str, Any]]


TABLE: dict[str, Endpoint] = {
    "Account/search": Endpoint(bodies.Accounts, reading.accounts),
    "Contract/available": Endpoint(bodies.Live, reading.available),
    "Contract/search": Endpoint(bodies.Search, reading.search),
    "Contract/searchById": Endpoint(bodies.OfContract, reading.by_id),
    "Order/place": Endpoint(bodies.Place, trading.place),
    "Order/modify": Endpoint(bodies.Modify, trading.modify),
    "Order/cancel": Endpoint(bodies.OfOrder, trading.cancel),
    "Order/search": Endpoint(bodies.Period, reading.orders),
    "Order/searchOpen": Endpoint(bodies.OfAccount, reading.open_orders),
    "Order/searchById": Endpoint(bodies.OfOrder, reading.one_order),
    "Order/v2/query": Endpoint(bodies.Query, reading.query),
    "Position/searchOpen": Endpoint(bodies.OfAccount, reading.positions),
    "Position/closeContract": Endpoint(bodies.Close, trading.close),
    "Position/partialCloseContract": Endpoint(bodies.PartialClose, trading.partial_close),
    "Trade/search": Endpoint(bodies.Period, reading.trades),
}

ENDPOINT_OF = {
    "connect": "Auth/loginKey",
    "instruments": "Contract/available",
    "accounts": "Account/search",
    "positions": "Position/searchOpen",
    "orders": "Order/v2/query",
    "trades": "Trade/search",
    "order_by_key": "Order/search",
    "place_order": "Order/place",
    "modify_order": "Order/modify",
    "cancel_order": "Order/cancel",
    "close_position": "Position/closeContract",
    "reduce_position": "Position/partialCloseContract",
}
"""Which endpoint the adapter asks for a call of the venue port."""
