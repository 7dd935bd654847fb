"""The terms of the simulated venue: what it charges, how it fills, how far it de-duplicates."""

from __future__ import annotations

from typing import Literal

import msgspec

Flavour = Literal["practice", "combine", "live"]

HISTORY_BOUND = 100_000
"""Finished orders, trades and keys kept per account; the oldest go first."""

JOURNAL_BOUND = 500_000
"""Journal entries kept; the oldest go first."""


class Costs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Costs of one contract on one side, in micro-units."""

    fees: int = 360_000
    commission: int = 250_000


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of an exchange; every unknown of real venues is a switch here.

    - `slippage`: market and stop fills are worse by 0 to this many ticks, drawn from the seed;
    - `liquidity`: every quote offers 1 to this many contracts a side; None is without end;
    - `accounting`: which price a closing fill is measured against;
    - `deduplicates`, `window` (microseconds): how far a second request with a key is refused;
    - `live_refuses`: what accounts of flavour live refuse: cancel, close, reduce;
    - `cancel_oco_together`: cancelling one leg of a bracket cancels the other;
    - `cancel_brackets_when_flat`: closing a position cancels its working bracket legs.
    """

    seed: int = 0
    costs: Costs = Costs()
    costs_by_ticker: dict[str, Costs] = {}
    slippage: int = 0
    liquidity: int | None = None
    accounting: Literal["average", "fifo"] = "average"
    deduplicates: Literal["never", "window", "always"] = "never"
    window: int = 0
    live_refuses: tuple[Literal["cancel", "close", "reduce"], ...] = ("cancel", "reduce")
    cancel_oco_together: bool = False
    cancel_brackets_when_flat: bool = False


class JournalEntry(msgspec.Struct, frozen=True):
    """What was asked of the venue, and what it did: for checkers that trust nobody else.

    `what`: requested (a call arrived), refused, repeated (a known key: nothing done), executed
    (a fill), forced (the venue's own act). `call` is the call that caused it.
    """

    at: int
    what: Literal["requested", "refused", "repeated", "executed", "forced"]
    call: str
    account: str
    key: str = ""
    instrument: str = ""
    order_id: str = ""
    side: int = 0
    size: int = 0
    price: int | None = None
    detail: str = ""
