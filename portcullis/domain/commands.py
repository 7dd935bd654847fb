"""Commands: what must be made true at the venue. Each describes an end state, not a button.

A command is convergent: carrying it out again finds nothing left to do. `Submit` is the exception
(an opening order) and is therefore never sent again without looking.
"""

from __future__ import annotations

import msgspec

from portcullis.domain.model import OrderRequest


class Flatten(msgspec.Struct, frozen=True, tag="flatten"):
    """No position and no working order is left on the account."""

    account: str


class Close(msgspec.Struct, frozen=True, tag="close"):
    """No position and no working order is left in the instrument.

    With `unless_covered` the venue's own orders are read first, and a working stop that covers
    the position makes the command needless.
    """

    account: str
    instrument: str
    unless_covered: bool = False


class Reduce(msgspec.Struct, frozen=True, tag="reduce"):
    """The position in the instrument is no larger than `to` contracts, on the side it has."""

    account: str
    instrument: str
    to: int


class CancelOrders(msgspec.Struct, frozen=True, tag="cancel_orders"):
    """No working order that could open risk is left, in the instrument or (None) anywhere."""

    account: str
    instrument: str | None


class CancelOrder(msgspec.Struct, frozen=True, tag="cancel_order"):
    """One order no longer works."""

    account: str
    instrument: str
    order_id: str


class PlaceStop(msgspec.Struct, frozen=True, tag="place_stop"):
    """A protective stop of this side, size and price (ticks) works at the venue."""

    account: str
    instrument: str
    side: int
    size: int
    stop_price: int


class MoveStop(msgspec.Struct, frozen=True, tag="move_stop"):
    """The stop order has this price (ticks) and size. Never widens."""

    account: str
    instrument: str
    order_id: str
    stop_price: int
    size: int


class Submit(msgspec.Struct, frozen=True, tag="submit"):
    """An approved order is sent, once; one of the exit lane only while it is still an exit."""

    account: str
    order: OrderRequest
    is_exit: bool = False


Command = Flatten | Close | Reduce | CancelOrders | CancelOrder | PlaceStop | MoveStop | Submit
