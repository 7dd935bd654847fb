"""RULE-012 trade_management: the stop it must place, and where; it never widens."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from portcullis.audit.account import Account, Best
from portcullis.audit.book import MICRO
from portcullis.audit.market import Market
from portcullis.audit.rules_stops import STOPS, covered


def follow(a: Account, market: Market, at: int) -> None:
    """Keep the best price and the best open profit each position has seen."""
    for name in [name for name in a.best if name not in a.book.positions]:
        del a.best[name]
    for name, held in a.book.positions.items():
        mark = market.mark(name, held.size)
        pnl = market.open_pnl(name, held, at, a.max_age)
        best = a.best.get(name)
        if best is not None and (best.size * held.size < 0 or held.opened_at > best.opened_at):
            best = None
        if mark is None or pnl is None:
            a.best.pop(name, None)
            if best is not None:
                a.best[name] = best
            continue
        side = 1 if held.size > 0 else -1
        if best is None:
            best = Best(held.size, mark, pnl, held.opened_at)
        better = side * max(side * best.mark, side * mark)
        a.best[name] = Best(held.size, better, max(best.profit, pnl), held.opened_at)
    total = a.open_total(market, at) if a.book.positions else 0
    a.best_total = 0 if not a.book.positions else max(a.best_total, total or 0)


def stop_price(a: Account, p: dict[str, Any], name: str, best: Best | None) -> Fraction | None:
    """Where the text wants the stop, in ticks: the tightest of what is switched on and reached."""
    held = a.book.positions.get(name)
    if held is None:
        return None
    side = 1 if held.size > 0 else -1
    entry = Fraction(held.average) / MICRO
    wanted = []
    if p["auto_stop"] not in ("off", None):
        wanted.append(entry - side * p["auto_stop"])
    gain = side * (best.mark - entry) if best is not None else Fraction(-1)
    even, trailing = p.get("break_even"), p.get("trailing")
    if even and gain >= even["trigger"]:
        wanted.append(entry + side * even["offset"])
    if trailing and best is not None and gain >= trailing["activate"]:
        wanted.append(Fraction(best.mark - side * trailing["distance"]))
    return side * max(side * each for each in wanted) if wanted else None


PATIENCE = 5_000_000
"""Microseconds a stop may take: a change per second and order, and the way to the venue."""


def bare(a: Account, p: dict[str, Any], at: int) -> list[str]:
    """Positions that `auto_stop` has left without a covering stop, and nothing is on its way."""
    found = []
    for name, held in a.book.positions.items():
        sent = [c for c in a.outbox.answering(at) if c.instrument in (None, name)]
        wanted = p["auto_stop"] not in ("off", None) and a.book.can_trade is not False
        wanted = wanted and not a.outbox.given_up() and not a.outbox.gave_up_stops()
        if not wanted or sent or covered(a, name, held.size, "full"):
            a.bare_since.pop(name, None)
        elif at - a.bare_since.setdefault(name, at) > PATIENCE:
            found.append(name)
            a.bare_since[name] = at
    for name in [name for name in a.bare_since if name not in a.book.positions]:
        del a.bare_since[name]
    return found


def stops_beside(a: Account, name: str, order_id: str | None, side: int) -> int:
    """Contracts that other stops of the position cover.

    Whether a person's wider stop may stand in for a part of the rule's own, the text leaves open.
    """
    return sum(
        order["remaining"]
        for order in a.book.live(name)
        if order["type"] in STOPS and order["side"] == -side and order["order_id"] != order_id
    )


def faults(a: Account, p: dict[str, Any], command: dict[str, Any]) -> list[str]:
    """What is wrong with a stop that is placed or moved; a tick of rounding is allowed."""
    held = a.book.positions.get(command["instrument"])
    name = command["instrument"]
    # What was due by time is done before the price that came at the same moment is looked at.
    bests = (a.best_before.get(name), a.best.get(name))
    wanted = [w for w in (stop_price(a, p, name, best) for best in bests) if w is not None]
    if held is None or not wanted:
        return ["no stop is wanted there"]
    side, price = (1 if held.size > 0 else -1), command["stop_price"]
    found = []
    others = stops_beside(a, command["instrument"], command.get("order_id"), side)
    if command["size"] > abs(held.size) or command["size"] + others < abs(held.size):
        found.append(f"it covers {command['size']} of {abs(held.size)}, others {others}")
    if command["type"] == "place_stop" and command["side"] != -side:
        found.append("it is on the side of the position")
    if all(side * (each - price) >= 1 for each in wanted):
        found.append(f"it stands at {price}, the rule wants {float(wanted[-1]):g}")
    old = a.book.orders.get(command.get("order_id", ""))
    if old is not None and old["stop_price"] is not None and side * (price - old["stop_price"]) < 0:
        found.append(f"it widens from {old['stop_price']} to {price}")
    return found
