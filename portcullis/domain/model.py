"""The nouns of the domain: exact, slotted, serialisable values.

Units, everywhere in the domain and the ledger:

- time: whole microseconds since 1970-01-01 UTC (`*_at`, `at`, `until`), durations in microseconds;
- price: whole ticks of the instrument; an average price: micro-ticks (10^-6 of a tick);
- money: whole micro-units (10^-6) of the account's currency;
- size: whole contracts (lots); a position's size is signed, positive when long.
"""

from __future__ import annotations

from typing import Literal

import msgspec

BUY = 1
SELL = -1
MICRO = 1_000_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

OrderType = Literal["market", "limit", "stop", "stop_limit", "trailing"]
OrderStatus = Literal[
    "working", "suspended", "pending", "filled", "cancelled", "expired", "rejected"
]
StrategyState = Literal["DRAFT", "PROBATION", "ACTIVE", "PAUSED", "RETIRED"]
LIVE_STATUSES: frozenset[str] = frozenset(("working", "suspended", "pending"))
FAILED_COMPARES_MAX = 3
"""So many failed comparisons in a row, and the account counts as not compared."""

STOP_KEY = "/stop"
"""How the key of every protective stop of ours ends."""

STOP_TYPES: frozenset[str] = frozenset(("stop", "stop_limit", "trailing"))


class Instrument(msgspec.Struct, frozen=True):
    """What can be traded, as the venue's contract data say it.

    `id` is the venue's contract id, `ticker` the name people use (ES), `root` the venue's own
    root (EP). `tick_size` is an exact decimal string, `tick_value` the money of one tick of one
    contract in micro-units. `minis` is how many of this contract make one mini (10 for MES).
    """

    id: str
    ticker: str
    root: str
    tick_size: str
    tick_value: int
    currency: str = "USD"
    asset_class: Literal["futures", "crypto", "equity"] = "futures"
    is_micro: bool = False


class OrderRequest(msgspec.Struct, frozen=True):
    """An order as it is asked of a venue. Prices in ticks; `trail` is the distance in ticks.

    `key` is the idempotency key (the same on every retry). `stop_loss` and `take_profit` are
    prices in ticks of bracket children, suspended until the parent fills.
    """

    account: str
    instrument: str
    side: int
    size: int
    type: OrderType
    limit_price: int | None = None
    stop_price: int | None = None
    trail: int | None = None
    stop_loss: int | None = None
    take_profit: int | None = None
    key: str = ""


class Reason(msgspec.Struct, frozen=True):
    """Why something was denied or breached, with its numbers.

    `code` is stable and machine-readable; `measured`, `limit` and `allowed` are printable with
    unit; `formula` shows how the measured value came about.
    """

    code: str
    message: str
    measured: str = ""
    limit: str = ""
    allowed: str = ""
    formula: str = ""


class Lock(msgspec.Struct, frozen=True):
    """One lockout row. `until` is a time, or None where `ends` names what ends it.

    `instrument` is None for a lock of the whole account. An expiry or a release ends its own row
    and no other. `position` is the ledger position of the event that caused it.
    """

    id: int
    rule: str
    instrument: str | None
    ends: Literal["at", "next_session", "person", "config", "venue"]
    until: int | None
    cause: str
    set_at: int
    position: int


class Verdict(msgspec.Struct, frozen=True):
    """What one check found, and how long that holds."""

    name: str
    passed: bool
    checked_at: int
    expires_at: int
    summary: str
    run_id: str = ""
    link: str = ""
