"""Answers of the gateway's endpoints: the envelope and their one payload."""

from __future__ import annotations

import msgspec

from portcullis.venues.projectx.payloads import (
    AccountRow,
    ContractRow,
    OrderRow,
    PositionRow,
    TradeRow,
)
from portcullis.venues.projectx.rest import Envelope


class Accounts(Envelope, frozen=True):
    accounts: tuple[AccountRow, ...] = ()


class Contracts(Envelope, frozen=True):
    """Each contract as it came: one that is none must not hide the others."""

    contracts: tuple[msgspec.Raw, ...] = ()


class OneContract(Envelope, frozen=True):
    contract: ContractRow | None = None


class Orders(Envelope, frozen=True):
    """`total_count` only of a query that asked for it."""

    orders: tuple[OrderRow, ...] = ()
    total_count: int | None = None


class Positions(Envelope, frozen=True):
    positions: tuple[PositionRow, ...] = ()


class Trades(Envelope, frozen=True):
    trades: tuple[TradeRow, ...] = ()


class Placed(Envelope, frozen=True):
    """A rejected order may have an id too: `success` decides."""

    order_id: int | None = None
