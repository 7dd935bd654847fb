"""The list of orders every engine is asked about, as data: what is given, and what is right.

One ES future (tick 0.25, 50 USD a point) near 5,000. Unless given otherwise: flat, 10 million USD,
5 contracts allowed, a fresh price, an open market, everything connected, nothing locked.
"""

from __future__ import annotations

from typing import Any


def _case(
    name: str, right: str, *, side: str = "buy", size: int = 1, **given: Any
) -> dict[str, Any]:
    price = given.pop("price", None)
    return {
        "name": name,
        "right": right,
        "side": side,
        "size": size,
        "price": price,
        "given": given,
    }


CASES = [
    _case("market order within limits", "approve"),
    _case("limit order within limits", "approve", price="5000.00"),
    _case("over the contract limit", "deny", size=6, contracts=5),
    _case("over it with the position held", "deny", size=2, position=4, contracts=5),
    _case("over it with orders resting", "deny", size=2, resting=4, contracts=5),
    _case("over the instrument's own limit", "deny", size=4, per_instrument=3),
    _case("day's realized loss limit reached", "deny", loss=600),
    _case("open loss limit reached", "deny", open_loss=625),
    _case("in a cooldown after a loss", "deny", cooldown=150),
    _case("account locked, flat", "deny", locked=True),
    _case("account locked, adds to the position", "deny", locked=True, position=1),
    _case("account locked, exit", "approve", side="sell", locked=True, position=1),
    _case("account locked, reduces by half", "approve", side="sell", locked=True, position=2),
    _case(
        "account locked, turns the position", "deny", side="sell", size=4, locked=True, position=1
    ),
    _case("gate shut, entry", "deny", shut=True),
    _case("gate shut, exit", "approve", side="sell", shut=True, position=1),
    _case("gate shut, turns the position", "deny", side="sell", size=3, shut=True, position=1),
    _case("no price known", "deny", quote="none"),
    _case("price an hour old", "deny", quote="stale"),
    _case("market closed (Saturday)", "deny", closed=True),
    _case("market closed (holiday)", "deny", holiday=True),
    _case("blocked symbol", "deny", blocked=True),
    _case("price off its tick", "deny", price="5000.10"),
    _case("size zero", "deny", size=0),
    _case("size negative", "deny", size=-1),
    _case("unknown instrument", "deny", unknown_instrument=True),
    _case("unknown account", "deny", unknown_account=True),
    _case("venue says: may not trade", "deny", forbidden=True),
    _case("order id used before", "deny", repeated=True),
    _case("larger than the balance", "deny", size=5, balance=1_000),
    _case("venue not connected", "deny", disconnected=True),
    _case("more trades in a minute than allowed", "deny", trades=4),
    _case("101st order within a second", "deny", burst=100),
]
