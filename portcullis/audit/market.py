"""Instruments and prices, as the venue told them."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

from portcullis.audit.book import MICRO, Position

AHEAD = 5_000_000


class Market:
    """Contract data and the newest quote of every instrument."""

    def __init__(self) -> None:
        self.instruments: dict[str, dict[str, Any]] = {}
        self.quotes: dict[str, dict[str, Any]] = {}

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
        found = self.quotes.get(name)
        if found is None:
            return None
        price: int | None = found["bid" if size > 0 else "ask"]
        last: int | None = found["last"]
        return last if price is None else price

    def open_pnl(self, name: str, held: Position, at: int, max_age: int) -> int | Fraction | None:
        """Open profit or loss of a position, micro-units; None where it cannot be judged.

        The venue rounds averages to a micro-tick: what differs by less than half a thousandth of
        a tick of the whole position is the same.
        """
        mark, age = self.mark(name, held.size), self.age(name, at)
        if mark is None or age is None or age > max_age or name not in self.instruments:
            return None
        value = self.instruments[name]["tick_value"]
        exact = Fraction((mark * MICRO - held.average) * held.size)
        thousandths = floor(exact / 1000 + Fraction(1, 2))
        profit = Fraction(thousandths * value, 1000)
        return int(profit) if profit.denominator == 1 else profit
