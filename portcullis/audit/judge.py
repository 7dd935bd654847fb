"""All rules of one account at one moment."""

from __future__ import annotations

from collections.abc import Iterator

from portcullis.audit import (
    rules_automation,
    rules_habits,
    rules_hours,
    rules_money,
    rules_size,
    rules_stops,
)
from portcullis.audit.account import NEVER, Account
from portcullis.audit.book import Trade
from portcullis.audit.finding import Finding
from portcullis.audit.market import Market
from portcullis.audit.reading import Event

STATIC = {
    "max_contracts": rules_size.max_contracts,
    "max_contracts_per_instrument": rules_size.max_contracts_per_instrument,
    "daily_realized_loss": rules_money.daily_realized_loss,
    "daily_realized_profit": rules_money.daily_realized_profit,
    "symbol_blocks": rules_size.symbol_blocks,
    "session_block_outside": rules_hours.session_block_outside,
}
PRICED = {
    "daily_unrealized_loss": rules_money.daily_unrealized_loss,
    "max_unrealized_profit": rules_money.max_unrealized_profit,
    "trailing_drawdown": rules_money.trailing_drawdown,
}


def follow(a: Account, market: Market, fact: Event) -> bool:
    """Bring what is remembered from moment to moment up to this one; says whether a position began
    or ceased to be without a stop.

    Whether the high of a day is taken at every fact or at prices only, the text leaves open:
    between two rows of the venue the sum of positions and trades may be of no moment at all.
    """
    at = fact.at
    rules_automation.follow(a, market, at)  # rules that come later look back to the opening
    if "trailing_drawdown" in a.rules:
        seen = a.equities(market, at)
        if seen:
            low, high = a.highs or (min(seen), max(seen))
            if fact.kind == "quote" and fact.body["instrument"] in a.book.positions:
                low = max(low, min(seen))
            a.highs = low, max(high, *seen)
    stops = a.rules.get("no_stop_loss_grace")
    by_price = fact.kind == "quote"
    return stops is not None and rules_stops.follow(a, stops, market, at, by_price=by_price)


def priced(a: Account, market: Market, at: int) -> list[Finding]:
    """What the rules on prices say."""
    found: list[Finding] = []
    for name, rule in PRICED.items():
        if name in a.rules:
            found += rule(a, a.rules[name], market, at)
    return found


def everything(a: Account, market: Market, at: int, lost: bool) -> Iterator[Finding]:
    """What every rule says, except those that judge a fill."""
    for name, rule in STATIC.items():
        if name in a.rules:
            yield from rule(a, a.rules[name], market, at)
    if "no_stop_loss_grace" in a.rules:
        yield from rules_stops.no_stop_loss_grace(a, a.rules["no_stop_loss_grace"], at)
    if "auth_loss_guard" in a.rules:
        yield from rules_hours.auth_loss_guard(a, a.rules["auth_loss_guard"], lost)
    yield from priced(a, market, at)


def of_fill(a: Account, fill: Trade, new_order: bool, at: int) -> Iterator[Finding]:
    """What the rules on trades say to a fill."""
    frequency = a.rules.get("trade_frequency_limit")
    if frequency is not None:
        yield from rules_habits.trade_frequency_limit(a, frequency, fill, new_order, at)
    if "cooldown_after_loss" in a.rules:
        yield from rules_habits.cooldown_after_loss(a, a.rules["cooldown_after_loss"], fill, at)


def due(a: Account, market: Market, at: int) -> int:
    """The next instant at which time alone may change an answer."""
    moments = [a.day.end]
    moments += [row.until for row in a.locks.rows.values() if row.until is not None]
    if "no_stop_loss_grace" in a.rules:
        moments += rules_stops.due(a, a.rules["no_stop_loss_grace"])
    if a.hours is not None:
        moments += rules_hours.due(a, market, at)
    if a.block_hours is not None:
        moments.append(a.block_hours.next_change(at))
    return min((moment for moment in moments if moment > at), default=NEVER)
