"""Bodies of the gateway's requests; what one has beyond is passed over, as the gateway does."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec


class _Body(msgspec.Struct, frozen=True, rename="camel"):
    """A request's body."""


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
