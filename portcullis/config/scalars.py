"""Reading single values as people write them: `500`, `30 s`, `17:00`, `mon`, `America/Chicago`."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import available_timezones

from portcullis.config.tickers import TICKERS
from portcullis.domain.model import HOUR, MICRO, MINUTE
from portcullis.domain.money import micros, money

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPANS = {"us": 1, "ms": 1000, "s": MICRO, "min": MINUTE, "h": HOUR, "d": 24 * HOUR}
MONEY_MAX = 10**12 * MICRO  # so that sums over every account stay within the numbers stored
_SPAN = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)\s*(us|ms|s|min|h|d)?")
_URL = re.compile(r"https?://[^\s/?#]+(/[^\s?#]*)?")
_CURRENCY = re.compile(r"[A-Z]{3,5}")
_WALL = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)|(24):(00)")


class Unreadable(ValueError):
    """A value that is not one of its kind. `known`: the words it could have been."""

    def __init__(self, problem: str, allowed: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(problem)
        self.allowed = allowed
        self.known = known


class Unit(NamedTuple):
    """How a unit is read, and what to tell a person about it."""

    read: Callable[[str], Any]
    hint: str


def _money(text: str) -> int:
    hint = "a positive amount such as 500 or 1250.50"
    try:
        amount = micros(text.replace(",", ""))
    except ValueError as error:
        raise Unreadable(str(error), hint) from error
    if amount <= 0:
        raise Unreadable("limits are positive amounts", hint)
    if amount > MONEY_MAX:
        raise Unreadable("more money than is counted here", f"at most {money(MONEY_MAX, '')}")
    return amount


def _currency(text: str) -> str:
    if not _CURRENCY.fullmatch(text.strip()):
        raise Unreadable("no currency", "its letters, as USD or USDT")
    return text.strip()


def _span(text: str) -> int:
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise Unreadable("not a duration", "a number and us, ms, s, min, h or d, such as 30 s")
    return int(float(match[1]) * _SPANS[match[2] or "s"])


def span(us: int) -> str:
    """A duration in microseconds as a person would write it, in the largest unit that fits."""
    fitting = [f"{us // each} {name}" for name, each in _SPANS.items() if us % each == 0]
    return fitting[-1] if us else "0 s"


def _wall(text: str) -> int:
    match = _WALL.fullmatch(text.strip())
    if match is None:
        raise Unreadable("not a time of day", "HH:MM from 00:00 to 24:00")
    return int(match[1] or match[3]) * 60 + int(match[2] or match[4])


@cache
def _zones() -> tuple[str, ...]:
    return tuple(sorted(available_timezones()))


def _zone(text: str) -> str:
    if text not in _zones():
        raise Unreadable("no such time zone", "an IANA zone such as America/Chicago", _zones())
    return text


def _ticker(text: str) -> str:
    if text not in TICKERS:
        raise Unreadable("unknown instrument", f"one of {', '.join(TICKERS[:12])}, ...", TICKERS)
    return text


def _pattern(text: str) -> str:
    if any(sign in text for sign in "*?["):
        return text
    return _ticker(text)


def _url(text: str) -> str:
    if not _URL.fullmatch(text.strip()):
        raise Unreadable("no address", "http:// or https:// and a host, such as https://host:8080")
    return text.strip().rstrip("/")


def _weekday(text: str) -> int:
    word = text.strip().lower()[:3]
    if word not in WEEKDAYS:
        raise Unreadable("not a weekday", ", ".join(WEEKDAYS), WEEKDAYS)
    return WEEKDAYS.index(word)


UNITS: dict[str, Unit] = {
    "money": Unit(_money, "a positive amount of money"),
    "currency": Unit(_currency, "a currency such as USD"),
    "span": Unit(_span, "a duration such as 30 s, 5 min or 1 h"),
    "wall": Unit(_wall, "a time of day, HH:MM"),
    "zone": Unit(_zone, "an IANA time zone"),
    "ticker": Unit(_ticker, "a ticker such as ES"),
    "pattern": Unit(_pattern, "a ticker, or a pattern with * and ?"),
    "url": Unit(_url, "an address with http:// or https://"),
    "weekday": Unit(_weekday, "mon ... sun"),
}


def whole(text: str) -> int:
    """A whole number; raises Unreadable."""
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text.strip()):
        raise Unreadable("not a whole number", "a whole number")
    return int(text)


def boolean(text: str) -> bool:
    """Read true or false; raises Unreadable."""
    if text.lower() not in ("true", "false"):
        raise Unreadable("neither true nor false", "true or false", ("true", "false"))
    return text.lower() == "true"
