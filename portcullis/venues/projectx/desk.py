"""Everything that changes an account: the one module that reaches the gateway's order endpoints."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from portcullis.domain.events import Quote
from portcullis.domain.model import BUY, Instrument, OrderRequest, OrderType
from portcullis.domain.money import price as written
from portcullis.errors import VenueRefused, VenueTimeout
from portcullis.venues.projectx.answers import Placed
from portcullis.venues.projectx.facts import ASK, BID
from portcullis.venues.projectx.records import Records, order_number
from portcullis.venues.projectx.rest import Envelope

ORDER_TYPES: dict[OrderType, int] = {
    "limit": 1,
    "market": 2,
    "stop_limit": 3,
    "stop": 4,
    "trailing": 5,
}
LIMIT, STOP = 1, 4

NOTHING = Quote("", None, None, None, 0)


class Desk(Records):
    """Orders and closes. No key is known to the gateway but an order's tag, and no close answers
    with an order: what came of it is read from the records.
    """

    def for_protection(self) -> Desk:
        """The same desk with a way past the requests that are kept for protection."""
        other = copy.copy(self)
        other.protective = True
        return other

    async def close_position(self, account: str, instrument: str, key: str) -> None:  # noqa: ARG002
        """Close what is there; nothing there is success."""
        body = {"accountId": self.account_number(account), "contractId": instrument}
        await self._change("Position/closeContract", body)

    async def reduce_position(self, account: str, instrument: str, size: int, key: str) -> None:  # noqa: ARG002
        """Close `size` contracts; more than there is, is refused."""
        body = {"accountId": self.account_number(account), "contractId": instrument, "size": size}
        await self._change("Position/partialCloseContract", body)

    async def cancel_order(self, account: str, order_id: str) -> None:
        """Cancel; an order that is no longer live is success."""
        body = {"accountId": self.account_number(account), "orderId": order_number(order_id)}
        await self._change("Order/cancel", body)

    async def modify_order(
        self, account: str, order_id: str, *, stop_price: int | None, size: int | None
    ) -> None:
        """Change a working order's stop price (ticks) or size."""
        body: dict[str, Any] = {
            "accountId": self.account_number(account),
            "orderId": order_number(order_id),
        }
        if stop_price is not None:
            listed = self._listed(self.books.contract_of(order_id))
            body["stopPrice"] = _exact(stop_price, listed)
        if size is not None:
            body["size"] = size
        await self._change("Order/modify", body)

    async def place_order(self, order: OrderRequest) -> str:
        """Send an order. Raises VenueTimeout where it may have been taken."""
        await self.know(order.instrument)
        body = self._body(order)
        placed = await self.gateway.call("Order/place", body, Placed, protective=self.protective)
        if placed.order_id is None:
            raise VenueTimeout(
                "Order/place: taken, but without an order's number",
                remedy="the venue is read before anything else",
            )
        order_id = str(placed.order_id)
        self.books.remember(order_id, order.instrument, order.key)
        return order_id

    # --- under the hood -----------------------------------------------------------------------

    async def _change(self, endpoint: str, body: Mapping[str, object]) -> None:
        await self.gateway.call(endpoint, body, Envelope, protective=self.protective)

    def _listed(self, contract: str | None) -> Instrument:
        listed = self.books.instruments.get(contract or "")
        if listed is None:
            raise VenueRefused(
                "OrderNotFound", "the order is not known here", remedy="read the orders first"
            )
        return listed

    def _body(self, order: OrderRequest) -> dict[str, Any]:
        listed = self._listed(order.instrument)
        body: dict[str, Any] = {
            "accountId": self.account_number(order.account),
            "contractId": order.instrument,
            "type": ORDER_TYPES[order.type],
            "side": BID if order.side == BUY else ASK,
            "size": order.size,
        }
        if order.limit_price is not None:
            body["limitPrice"] = _exact(order.limit_price, listed)
        if order.stop_price is not None:
            body["stopPrice"] = _exact(order.stop_price, listed)
        if order.trail is not None:
            trail = self._reference(order) + order.side * order.trail
            body["trailPrice"] = _exact(trail, listed)
        for name, level, kind in (
            ("stopLossBracket", order.stop_loss, STOP),
            ("takeProfitBracket", order.take_profit, LIMIT),
        ):
            if level is not None:
                # From the fill, in ticks, signed by direction: what a buy loses is negative.
                body[name] = {"ticks": level - self._reference(order), "type": kind}
        if order.key:
            body["customTag"] = order.key
        return body

    def _reference(self, order: OrderRequest) -> int:
        """The price that an order will be filled at, as far as can be told before."""
        asked = order.limit_price if order.limit_price is not None else order.stop_price
        if asked is not None and order.trail is None:
            return asked
        quote = self.books.price(order.instrument) or NOTHING
        taken = quote.ask if order.side == BUY else quote.bid
        known = (taken, quote.last) if order.trail is None else (quote.last, taken)
        for price in known:
            if price is not None:
                return price
        raise VenueRefused(
            "NoPrice",
            f"{order.instrument}: no price is known to measure from",
            remedy="subscribe to its prices, or give absolute ones",
        )


def _exact(ticks: int, listed: Instrument) -> Decimal:
    return Decimal(written(ticks, listed))
