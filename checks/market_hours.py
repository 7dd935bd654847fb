"""When each product trades: by its own calendar, from a library that is kept up to date.

The library is imported when a product's calendar is first asked for; where an account trades every
day at all hours, as the demonstration's do, it never is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import lru_cache

from portcullis.domain.model import HOUR, MICRO
from portcullis.domain.plan import Plan
from portcullis.domain.session import Calendar, Window, opening

PRODUCTS: dict[str, str] = {
    "CME Globex Equity": "ES MES NQ MNQ RTY M2K YM MYM EMD NKD",
    "CMEGlobex_GC": "GC MGC QO",
    "CMEGlobex_SI": "SI SIL QI",
    "CMEGlobex_PL": "PL",
    "CMEGlobex_HG": "HG MHG QC",
    "CMEGlobex_Crude": "CL MCL QM BZ",
    "CMEGlobex_NG": "NG MNG QG",
    "CMEGlobex_RB": "RB",
    "CMEGlobex_HO": "HO",
    "CMEGlobex_FX": "6A 6B 6C 6E 6J 6M 6N 6S E7 J7 M6A M6B M6E MCD",
    "CME Globex Interest Rate Products": "ZT ZF ZN TN ZB UB SR3",
    "CMEGlobex_Grains": "ZC ZW",
    "CMEGlobex_Oilseeds": "ZS ZM ZL",
    "CMEGlobex_Livestock": "HE LE GF",
    "CME Globex Crypto": "BTC MBT ETH MET",
    "24/7": "BTCUSD ETHUSD BTCUSDT ETHUSDT",
}
"""The library's name of each calendar, and the tickers that trade by it."""

DEFAULT = (Window("America/Chicago", 17 * 60, 16 * 60, (6, 0, 1, 2, 3)),)
"""Of a product that is not in the table: 17:00 to 16:00 Chicago time, Sunday to Friday."""

EVERY_DAY = 7
DAY = 24 * HOUR
BLOCK = 28 * DAY  # sessions are looked up, and kept, by so many days
AROUND = 4 * DAY  # a session may begin so long before the date it is named by, or last so long

Span = tuple[int, int]

_CALENDAR_OF = {ticker: name for name, listed in PRODUCTS.items() for ticker in listed.split()}


class MarketHours:
    """The hours of instruments. Times in microseconds; start included, end excluded."""

    def __init__(self, plan: Plan, tickers: Mapping[str, str]) -> None:
        """`tickers` names the product of each instrument by the name that people use."""
        self._tickers = tickers
        self._always = any(
            each.calendar is None and len(each.days) == EVERY_DAY for each in plan.accounts
        )
        self._holidays = next((each.calendar for each in plan.accounts if each.calendar), None)

    def is_open(self, instrument: str, at: int) -> bool:
        """Whether an instrument's market is open at a moment."""
        return any(start <= at < end for start, end in self._spans(instrument, at, at + 1))

    def open_time(self, instrument: str, start: int, end: int) -> int:
        """For how long the market was open between two moments."""
        spans = self._spans(instrument, start, end)
        return sum(max(0, min(end, last) - max(start, first)) for first, last in spans)

    def unknown(self, instruments: Iterable[str]) -> list[str]:
        """Those whose product is not in the table: they are judged by the default hours."""
        if self._always:
            return []
        return sorted(each for each in instruments if self._calendar(each) is None)

    def _calendar(self, instrument: str) -> str | None:
        return _CALENDAR_OF.get(self._tickers.get(instrument, instrument))

    def _spans(self, instrument: str, start: int, end: int) -> Iterator[Span]:
        name = self._calendar(instrument)
        if self._always or name == "24/7":
            yield start, end
        elif name is None:
            yield from default_spans(start, end, self._holidays)
        else:
            first = (start - AROUND) // BLOCK
            for block in range(first, end // BLOCK + 1):
                yield from _sessions(name, block)


def default_spans(start: int, end: int, holidays: Calendar | None) -> Iterator[Span]:
    """The default hours between two moments, without an exchange's holidays."""
    at = start
    while at < end:
        is_open, changes = opening(at, DEFAULT, holidays)
        until = end if changes is None else min(changes, end)
        if is_open:
            yield at, until
        at = until


@lru_cache(maxsize=256)
def _sessions(name: str, block: int) -> tuple[Span, ...]:
    """Openings of a calendar that begin in a block of days, without its daily breaks."""
    import pandas_market_calendars

    begin, end = block * BLOCK, (block + 1) * BLOCK
    table = pandas_market_calendars.get_calendar(name).schedule(
        _date(begin - AROUND), _date(end + AROUND)
    )
    found: list[Span] = []
    for row in table.to_dict("records"):
        opens, closes = _us(row["market_open"]), _us(row["market_close"])
        if not begin <= opens < end:
            continue
        if "break_start" in row and row["break_start"] == row["break_start"]:  # NaT is not itself
            found += [(opens, _us(row["break_start"])), (_us(row["break_end"]), closes)]
        else:
            found.append((opens, closes))
    return tuple(each for each in found if each[0] < each[1])


def _date(at: int) -> date:
    return datetime.fromtimestamp(at // MICRO, tz=UTC).date()


def _us(moment: datetime) -> int:
    return int(moment.timestamp()) * MICRO
