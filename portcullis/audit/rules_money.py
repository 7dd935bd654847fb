"""RULE-003 daily_realized_loss, RULE-013 daily_realized_profit, RULE-004 daily_unrealized_loss,
RULE-005 max_unrealized_profit, RULE-014 trailing_drawdown.

Where the text leaves the reading open, a breach is demanded only when every reading has it, and
accepted when one has: the equity (newest balance, or the day's first balance and the day's trades)
and the high of `end_of_day` (closing balance, or closing equity).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from portcullis.audit.account import Account
from portcullis.audit.finding import Finding, Number, money
from portcullis.audit.market import Market
from portcullis.audit.rows import LockWanted


def _worse(a: Account, rule: str, measured: Number) -> bool:
    """A lock that a person released does not fall shut again on the same figure.

    A profit is never worse: after a release it may breach again, and need not.
    """
    if rule == "daily_realized_profit":
        return rule not in a.forgiven
    return rule not in a.forgiven or measured > a.forgiven[rule]


def daily_realized_loss(
    a: Account, p: dict[str, Any], market: Market, at: int
) -> Iterator[Finding]:
    """The day's net realized loss reaches the limit."""
    loss = -a.realized
    if loss >= p["limit"]:
        yield _of_the_day(a, "daily_realized_loss", loss, p["limit"])


def daily_realized_profit(
    a: Account, p: dict[str, Any], market: Market, at: int
) -> Iterator[Finding]:
    """The day's net realized profit reaches the target."""
    if a.realized >= p["target"]:
        yield _of_the_day(a, "daily_realized_profit", a.realized, p["target"])


def _of_the_day(a: Account, rule: str, measured: Number, limit: int) -> Finding:
    return Finding(
        rule,
        None,
        _worse(a, rule, measured),
        (measured,),
        True,
        f"{money(measured)} of the day, limit {money(limit)}",
        "flatten",
        LockWanted("next_session", (a.day.end,), None),
    )


def daily_unrealized_loss(
    a: Account, p: dict[str, Any], market: Market, at: int
) -> Iterator[Finding]:
    """Open loss reaches the limit: close the position, or flatten and lock."""
    if p["scope"] == "position":
        for name, held in a.book.positions.items():
            pnl = market.open_pnl(name, held, at, a.max_age)
            loss = None if pnl is None else -pnl - (a.realized if p["include_realized"] else 0)
            if loss is not None and loss >= p["limit"]:
                told = f"open loss {money(loss)}, limit {money(p['limit'])}"
                yield Finding("daily_unrealized_loss", name, True, (loss,), True, told, "close")
        return
    pnl = a.open_total(market, at) if a.book.positions else None
    loss = None if pnl is None else -pnl - (a.realized if p["include_realized"] else 0)
    if loss is not None and loss >= p["limit"]:
        yield Finding(
            "daily_unrealized_loss",
            None,
            _worse(a, "daily_unrealized_loss", loss),
            (loss,),
            True,
            f"open loss {money(loss)}, limit {money(p['limit'])}",
            "flatten",
            LockWanted("next_session", (a.day.end,), None),
        )


def max_unrealized_profit(
    a: Account, p: dict[str, Any], market: Market, at: int
) -> Iterator[Finding]:
    """Open profit reaches the target, or is back at zero after having been `arm_at`."""
    if p["scope"] == "total":
        pnl = a.open_total(market, at) if a.book.positions else None
        if pnl is not None and _is_taken(p, pnl, a.best_total):
            yield _taken(p, None, pnl, "flatten")
        return
    for name, held in a.book.positions.items():
        each = market.open_pnl(name, held, at, a.max_age)
        best = a.best[name].profit if name in a.best else 0
        if each is not None and _is_taken(p, each, best):
            yield _taken(p, name, each, "close")


def _is_taken(p: dict[str, Any], pnl: Number, best: Number) -> bool:
    if p["mode"] == "take_profit":
        return bool(pnl >= p["target"])
    return bool(pnl <= 0 and best >= p["arm_at"])


def _taken(p: dict[str, Any], name: str | None, pnl: Number, act: Any) -> Finding:
    told = f"open profit {money(pnl)}, target {money(p['target'])}, mode {p['mode']}"
    return Finding("max_unrealized_profit", name, True, (pnl,), True, told, act)


def floors(a: Account, p: dict[str, Any]) -> tuple[Number, ...]:
    """Every floor the text allows: by the highs that were seen."""
    seen = a.highs if p["trail"] == "intraday" else a.closes
    highs = sorted({max(p["start"], high) for high in seen or (p["start"],)})
    found = [p["start"] - p["allowance"] + max(0, high - p["start"]) for high in highs]
    return tuple(min(p["start"], f) if p["lock_at_start"] else f for f in found)


def trailing_drawdown(a: Account, p: dict[str, Any], market: Market, at: int) -> Iterator[Finding]:
    """Equity reaches the floor: flatten and lock until a person."""
    equities = a.equities(market, at)
    if not equities:
        return
    lines = floors(a, p)
    if min(equities) <= max(lines):
        # At a start, balance, trades and positions are read one after the other.
        surely = (
            a.is_compared
            and max(equities) <= min(lines)
            and _worse(a, "trailing_drawdown", -min(equities))
        )
        yield Finding(
            "trailing_drawdown",
            None,
            surely,
            equities,
            True,
            f"equity {money(equities[0])}, floor {money(lines[0])}",
            "flatten",
            LockWanted("person", (), None),
        )
