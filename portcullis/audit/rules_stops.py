"""RULE-008 no_stop_loss_grace: a position longer without a covering stop than the grace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from portcullis.audit.account import Account, Uncovered
from portcullis.audit.book import Position
from portcullis.audit.finding import Finding
from portcullis.audit.market import Market

FRESH = 10_000_000
"""Microseconds for which a price says of a stop that the market has passed it."""

STOPS = frozenset(("stop", "stop_limit", "trailing"))


def is_working_stop(a: Account, order: dict[str, Any], size: int) -> bool:
    """Whether an order protects a position: a stop, opposite, working (a child with its parent)."""
    if order["type"] not in STOPS or order["side"] * size >= 0:
        return False
    if order["status"] == "working":
        return True
    if order["status"] != "suspended" or order.get("parent") is None:
        return False
    parent = a.book.orders.get(order["parent"])
    return bool(parent is not None and parent["status"] == "working")


def covered(a: Account, name: str, size: int, cover: str) -> bool:
    """Whether working stops cover a position, fully or at all."""
    stops = sum(
        order["remaining"] for order in a.book.live(name) if is_working_stop(a, order, size)
    )
    return bool(stops >= abs(size) if cover == "full" else stops > 0)


def passed(a: Account, order: dict[str, Any], market: Market, at: int) -> tuple[bool, bool]:
    """Whether the market has passed a stop: possibly, and certainly.

    The text wants both the price the position could be closed at and the last trade beyond it. By
    which price the first is judged when the newest came too late to judge by, it leaves open.
    """
    name, stop = order["instrument"], order["stop_price"]
    quote, mark = market.quotes.get(name), market.mark(name, -order["side"])
    if stop is None or quote is None:
        return False, False
    told_at = market.told_at(name, -order["side"])
    is_old = at - told_at > FRESH or told_at < a.book.positions[name].opened_at
    beyond = mark is not None and (mark - stop) * order["side"] > 0
    other = quote["bid" if order["side"] > 0 else "ask"]
    beside = other if quote["last"] is None else quote["last"]
    traded = beside is not None and (beside - stop) * order["side"] > 0
    return beyond or is_old, beyond and traded and not is_old


def bare(a: Account, name: str, cover: str, market: Market, at: int) -> tuple[bool, bool]:
    """Whether a position is without cover: possibly, and certainly."""
    size = a.book.positions[name].size
    stops = [order for order in a.book.live(name) if is_working_stop(a, order, size)]
    wanted = abs(size) if cover == "full" else 1
    ways = [(order["remaining"], *passed(a, order, market, at)) for order in stops]
    sound = sum(size for size, maybe, _ in ways if not maybe)
    at_best = sum(size for size, _, surely in ways if not surely)
    return sound < wanted, at_best < wanted


def follow(a: Account, p: dict[str, Any], market: Market, at: int, *, by_price: bool) -> bool:
    """Keep since when each position has been uncovered, after every fact of the account and every
    price; says whether one changed. `by_price`: the fact was a price.
    """
    before = {name: (u.earliest, u.latest) for name, u in a.uncovered.items()}
    for name in [name for name in a.uncovered if name not in a.book.positions]:
        del a.uncovered[name]
    for name, held in a.book.positions.items():
        maybe, surely = bare(a, name, p["cover"], market, at)
        known = a.uncovered.get(name)
        if known is None or known.size * held.size < 0 or held.opened_at > known.opened_at:
            # The time before the position was first seen counts; when exactly, the venue says.
            known = Uncovered(held.size, held.opened_at)
            first, last = min(held.opened_at, at), held.opened_at
        else:
            # The venue's clock may be ahead of ours.
            opened_at = min(held.opened_at, at)
            first = at if by_price else max(opened_at, a.moved.get(name, at))
            last = at
        known.earliest = _since(known.earliest, first) if maybe else None
        known.latest = _since(known.latest, last) if surely else None
        _reopened(known, held, at)
        known.size = held.size
        a.uncovered[name] = known
    return before != {name: (u.earliest, u.latest) for name, u in a.uncovered.items()}


def _since(known: int | None, now: int) -> int:
    return now if known is None else known


def _reopened(known: Uncovered, held: Position, at: int) -> None:
    """What the venue says later of when the position opened."""
    if known.latest is not None and held.opened_at > known.latest:
        known.latest = held.opened_at
        return
    is_news = known.latest is None or known.latest < at
    if is_news and known.earliest is not None and held.opened_at < known.earliest:
        known.earliest = held.opened_at


def due(a: Account, p: dict[str, Any]) -> list[int]:
    """When the grace of each uncovered position ends."""
    return [u.latest + p["grace"] + 1 for u in a.uncovered.values() if u.latest is not None]


def no_stop_loss_grace(a: Account, p: dict[str, Any], at: int) -> Iterator[Finding]:
    """Longer than the grace without a stop. Judged by the time the position is open and uncovered.

    When a stop was lost, the venue's time of that and the time of learning it may differ: demanded
    from the later on, accepted from the earlier.
    """
    for name, since in a.uncovered.items():
        if since.earliest is not None and at - since.earliest >= p["grace"]:
            yield Finding(
                "no_stop_loss_grace",
                name,
                since.latest is not None and at - since.latest > p["grace"],
                (),
                False,
                f"{since.size:+d} without a covering stop since {since.latest or since.earliest}",
                "close",
            )
