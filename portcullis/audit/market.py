"""Instruments and prices, as the venue told them."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

from portcullis.audit.book import MICRO, Position

AHEAD = 5_000_000


class Market:
    """Contract data and the newest quote of every instrument.

    A quote without one of its sides, and without a last trade, says nothing of that side: what was
    told of it before stands, as old as it is.
    """

    def __init__(self) -> None:
        self.instruments: dict[str, dict[str, Any]] = {}
        self.quotes: dict[str, dict[str, Any]] = {}
        self._sides: dict[tuple[str, str], tuple[int, int]] = {}

    def listed(self, body: dict[str, Any]) -> None:
        """Contract data of an instrument."""
        self.instruments[body["instrument"]["id"]] = body["instrument"]

    def quote(self, body: dict[str, Any], at: int) -> None:
        """A quote; one with an older time of the venue does not overwrite a newer one.

        One from far in the future is no price of now: whose clock is wrong, nobody can say.
        """
        if body["quoted_at"] > at + AHEAD:
            return
        body["quoted_at"] = min(body["quoted_at"], at)
        known = self.quotes.get(body["instrument"])
        if known is None or body["quoted_at"] >= known["quoted_at"]:
            self.quotes[body["instrument"]] = body
            for side in ("bid", "ask"):
                price = body["last"] if body[side] is None else body[side]
                if price is not None:
                    self._sides[body["instrument"], side] = price, body["quoted_at"]

    def ticker(self, name: str) -> str:
        """What people call an instrument; its id where it was never listed."""
        found = self.instruments.get(name)
        return str(found["ticker"]) if found else name

    def age(self, name: str, at: int) -> int | None:
        """How old the newest quote is, microseconds; None where there is none."""
        found = self.quotes.get(name)
        return None if found is None else at - found["quoted_at"]

    def mark(self, name: str, size: int) -> int | None:
        """The price at which a position could be closed: bid for a long one, ask for a short; the
        last trade's where that side is not known.
        """
        found = self._sides.get((name, "bid" if size > 0 else "ask"))
        return found[0] if found else None

    def is_stale(self, name: str, size: int, at: int, max_age: int) -> bool:
        """Whether that price is too old to judge a position by, or not known."""
        return at - self.told_at(name, size) > max_age

    def told_at(self, name: str, size: int) -> int:
        """When that price was told, microseconds; 0 where it never was."""
        found = self._sides.get((name, "bid" if size > 0 else "ask"))
        return found[1] if found else 0

    def open_pnl(self, name: str, held: Position, at: int, max_age: int) -> int | Fraction | None:
        """Open profit or loss of a position, micro-units; None where it cannot be judged.

        The venue rounds averages to a micro-tick: what differs by less than half a thousandth of
        a tick of the whole position is the same.
        """
        mark = self.mark(name, held.size)
        if mark is None or self.is_stale(name, held.size, at, max_age):
            return None
        if name not in self.instruments:
            return None
        value = self.instruments[name]["tick_value"]
        exact = Fraction((mark * MICRO - held.average) * held.size)
        thousandths = floor(exact / 1000 + Fraction(1, 2))
        profit = Fraction(thousandths * value, 1000)
        return int(profit) if profit.denominator == 1 else profit
