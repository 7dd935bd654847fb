"""RULE-001 max_contracts, RULE-002 max_contracts_per_instrument, RULE-011 symbol_blocks."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any

from portcullis.audit.account import Account
from portcullis.audit.finding import Finding
from portcullis.audit.market import Market
from portcullis.audit.rows import LockWanted


def total(sizes: dict[str, int], market: Market, p: dict[str, Any]) -> Fraction:
    """Contracts as the firm counts: net of a ticker's expiries, or every row; micros by ratio."""
    counted: dict[str, Fraction] = {}
    for name, size in sizes.items():
        listed = market.instruments.get(name, {})
        weight = Fraction(1)
        if p["micro_ratio"] and listed.get("is_micro"):
            weight = Fraction(1, p["micro_ratio"])
        if p["count"] == "gross":
            counted[name] = abs(size) * weight
        else:
            ticker = market.ticker(name)
            counted[ticker] = counted.get(ticker, Fraction(0)) + size * weight
    return sum((abs(each) for each in counted.values()), Fraction(0))


def max_contracts(a: Account, p: dict[str, Any], market: Market, at: int) -> Iterator[Finding]:
    """Total above the limit: flatten; or reduce; or flatten and lock until the next session."""
    sizes = {name: held.size for name, held in a.book.positions.items()}
    held = total(sizes, market, p)
    if held > p["limit"]:
        wants_lock = p["on_breach"] == "lock"
        yield Finding(
            "max_contracts",
            None,
            True,
            (held,),
            False,
            f"{float(held):g} contracts held, allowed are {p['limit']}",
            "reduce" if p["on_breach"] == "reduce" else "flatten",
            LockWanted("next_session", (a.day.end,), None) if wants_lock else None,
        )


def allowed_size(p: dict[str, Any], ticker: str) -> int:
    """How much of an instrument may be held; unknown ones none, or what the rule says."""
    limits = p["limits"]
    if ticker in limits:
        return int(limits[ticker])
    return 0 if p["unknown"] == "deny" else int(p["unknown"])


def max_contracts_per_instrument(
    a: Account, p: dict[str, Any], market: Market, at: int
) -> Iterator[Finding]:
    """Size above the instrument's limit: reduce to it, or close."""
    for name, held in a.book.positions.items():
        limit = allowed_size(p, market.ticker(name))
        if abs(held.size) > limit:
            yield Finding(
                "max_contracts_per_instrument",
                name,
                True,
                (abs(held.size),),
                False,
                f"{abs(held.size)} held, allowed are {limit}",
                "reduce" if p["on_breach"] == "reduce" else "close",
            )


def blocked(a: Account, p: dict[str, Any], ticker: str, at: int) -> bool:
    """Whether a ticker is blocked at a moment."""
    if not any(fnmatchcase(ticker, pattern) for pattern in p["blocked"]):
        return False
    return a.block_hours is None or a.block_hours.is_open(at)


def symbol_blocks(a: Account, p: dict[str, Any], market: Market, at: int) -> Iterator[Finding]:
    """A position or an order in a blocked instrument: close, cancel, lock the instrument."""
    touched = {*a.book.positions, *(order["instrument"] for order in a.book.live())}
    for name in sorted(touched):
        ticker = market.ticker(name)
        if blocked(a, p, ticker, at):
            yield Finding(
                "symbol_blocks",
                name,
                True,
                (),
                False,
                f"{ticker} is blocked and has a position or an order",
                "close",
                LockWanted("config", (), name),
            )
