"""RULE-012 trade_management: the stop it must place, and where; it never widens."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from portcullis.audit.account import Account, Best
from portcullis.audit.book import MICRO
from portcullis.audit.market import Market


def follow(a: Account, market: Market, at: int) -> None:
    """Keep the best price and the best open profit each position has seen."""
    for name in [name for name in a.best if name not in a.book.positions]:
        del a.best[name]
    for name, held in a.book.positions.items():
        mark = market.mark(name, held.size)
        pnl = market.open_pnl(name, held, at, a.max_age)
        best = a.best.get(name)
        if best is not None and best.size * held.size < 0:
            best = None
        if mark is None or pnl is None:
            if best is not None:
                a.best[name] = best
            continue
        side = 1 if held.size > 0 else -1
        if best is None:
            best = Best(held.size, mark, pnl)
        better = side * max(side * best.mark, side * mark)
        a.best[name] = Best(held.size, better, max(best.profit, pnl))
    total = a.open_total(market, at) if a.book.positions else 0
    a.best_total = 0 if not a.book.positions else max(a.best_total, total or 0)


def stop_price(a: Account, p: dict[str, Any], name: str) -> Fraction | None:
    """Where the text wants the stop, in ticks: the tightest of what is switched on and reached."""
    held, best = a.book.positions.get(name), a.best.get(name)
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


def faults(a: Account, p: dict[str, Any], command: dict[str, Any]) -> list[str]:
    """What is wrong with a stop that is placed or moved; a tick of rounding is allowed."""
    held = a.book.positions.get(command["instrument"])
    wanted = stop_price(a, p, command["instrument"])
    if held is None or wanted is None:
        return ["no stop is wanted there"]
    side, price = (1 if held.size > 0 else -1), command["stop_price"]
    found = []
    if command["size"] != abs(held.size):
        found.append(f"it covers {command['size']} of {abs(held.size)}")
    if command["type"] == "place_stop" and command["side"] != -side:
        found.append("it is on the side of the position")
    if side * (wanted - price) >= 1:
        found.append(f"it stands at {price}, the rule wants {float(wanted):g}")
    old = a.book.orders.get(command.get("order_id", ""))
    if old is not None and old["stop_price"] is not None and side * (price - old["stop_price"]) < 0:
        found.append(f"it widens from {old['stop_price']} to {price}")
    return found
