"""RULE-006 trade_frequency_limit and RULE-007 cooldown_after_loss: judged when a trade is learnt.

A trade is an order that filled. The text does not say whether a window ends at the fill's own time
or when it is learnt, nor which of an order's fills dates it: a breach is demanded when every
reading has it, accepted when one has. It is announced at fills only: a lock that expires while the
count is still above the limit is not set again without another fill.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from portcullis.audit.account import Account
from portcullis.audit.book import Trade
from portcullis.audit.finding import Finding, money
from portcullis.audit.rows import LockWanted

MINUTE = 60_000_000
HOUR = 60 * MINUTE


def _orders(a: Account) -> dict[str, list[int]]:
    """Order -> times of its fills, of the orders that filled today or within the hour."""
    times = {
        order: [t.executed_at for t in fills if not t.voided]
        for order, fills in a.book.of_order.items()
    }
    return {order: each for order, each in times.items() if each}


def _count(orders: dict[str, list[int]], start: int, end: int, pick: Any) -> int:
    return sum(start < pick(times) <= end for times in orders.values())


def trade_frequency_limit(
    a: Account, p: dict[str, Any], fill: Trade, new_order: bool, at: int
) -> Iterator[Finding]:
    """More orders filled in a window than allowed: lock for the longest cooldown reached."""
    orders = _orders(a)
    today = {t.order_id for t in a.book.between(a.day.start, a.day.end)}
    windows = (
        ("per_minute", MINUTE, p["minute_cooldown"]),
        ("per_hour", HOUR, p["hour_cooldown"]),
    )
    surely, perhaps, measured = [], [], []
    newest = max((max(each) for each in orders.values()), default=at)
    ends = (at, min(at, fill.executed_at), max(at, newest))
    for name, span, cooldown in windows:
        counts = [
            _count(orders, end - span, max(end, at), pick) for end in ends for pick in (min, max)
        ]
        if max(counts) > p[name]:
            perhaps.append(cooldown)
            measured += counts
        if min(counts) > p[name]:
            surely.append(cooldown)
    if len(today) > p["per_session"]:
        perhaps.append(p["session_cooldown"])
        surely.append(p["session_cooldown"])
        measured.append(len(today))
    if perhaps:
        longest = surely or perhaps
        yield Finding(
            "trade_frequency_limit",
            None,
            bool(surely) and new_order and fill.executed_at >= a.day.start,
            tuple(measured),
            False,
            f"{max(measured)} orders filled, more than a window allows",
            "none",
            _lock(a, longest, at),
        )


def _lock(a: Account, cooldowns: list[Any], at: int) -> LockWanted:
    if "next_session" in cooldowns:
        return LockWanted("next_session", (a.day.end,), None)
    return LockWanted("at", (at + max(cooldowns),), None)


def cooldown_after_loss(a: Account, p: dict[str, Any], fill: Trade, at: int) -> Iterator[Finding]:
    """The order's net loss reaches a tier: lock for the worst tier reached."""
    fills = [t for t in a.book.of_order.get(fill.order_id, ()) if not t.voided]
    loss = -sum(t.net for t in fills)
    reached = [tier for tier in p["tiers"] if loss >= tier["loss"]]
    if not reached or not any(t.closes for t in fills):
        return
    worst = max(tier["cooldown"] for tier in reached)
    done = [min(t.executed_at, t.learnt_at) for t in fills]
    recent = fill.executed_at >= a.day.start and fill.executed_at + worst > at
    yield Finding(
        "cooldown_after_loss",
        None,
        recent and not fill.voided and fill.net < 0,
        (loss,),
        True,
        f"an order lost {money(loss)}",
        "none",
        LockWanted("at", (at + worst, *(each + worst for each in done)), None),
    )
