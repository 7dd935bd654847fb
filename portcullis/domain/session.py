"""Calendar arithmetic: the trading day of an account and the windows in which it may trade.

All local times are wall times of a named zone, so that both daylight-saving changes come out
right: a day of 23 or 25 hours is one day, and its reset happens once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from portcullis.domain.model import MICRO

LOOKAHEAD_DAYS = 14
DAY_MINUTES = 24 * 60
DAY = DAY_MINUTES * 60 * MICRO


class CalendarDay(msgspec.Struct, frozen=True, cache_hash=True):
    """A day that differs: closed, or closing early at a minute of the exchange's local day."""

    date: str
    name: str = ""
    closes_minute: int | None = None


class Calendar(msgspec.Struct, frozen=True, cache_hash=True):
    """Holidays and early closes of an exchange, in its zone."""

    zone: str
    days: tuple[CalendarDay, ...] = ()

    def find(self, day: date) -> CalendarDay | None:
        """The entry of a date, if that day differs."""
        return _by_date(self).get(day.isoformat())


@lru_cache(maxsize=64)
def _by_date(calendar: Calendar) -> dict[str, CalendarDay]:
    return {day.date: day for day in calendar.days}


class Window(msgspec.Struct, frozen=True, cache_hash=True):
    """A daily opening in a zone's wall time. `end` at or before `start` runs past midnight.

    `days` are the weekdays (0 = Monday) on which the window *starts*.
    """

    zone: str
    start: int
    end: int
    days: tuple[int, ...] = (0, 1, 2, 3, 4)


class TradingDay(msgspec.Struct, frozen=True):
    """A trading day, named by the date on which it ends; start included, end excluded."""

    label: str
    start: int
    end: int


def instant(day: date, minute: int, zone: str) -> int:
    """UTC microseconds of a wall time; a time that a change skips is the moment of the change."""
    extra, minute = divmod(minute, DAY_MINUTES)
    day += timedelta(days=extra)
    local = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=_zone(zone))
    return int(local.astimezone(UTC).timestamp()) * MICRO


def local_date(at: int, zone: str) -> date:
    """The date on the wall of `zone` at a moment."""
    return datetime.fromtimestamp(at // MICRO, tz=_zone(zone)).date()


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def trading_day(
    at: int, zone: str, reset_minute: int, days: Sequence[int], calendar: Calendar | None
) -> TradingDay:
    """The trading day that holds a moment.

    Days without trading (weekends, full holidays) belong to the next day that trades, so what
    happens on a Saturday counts for Monday.
    """
    day = local_date(at, zone) - timedelta(days=1)
    previous_end = instant(_last_trading_date(day, days, calendar), reset_minute, zone)
    for _ in range(LOOKAHEAD_DAYS + 2):
        if _trades_on(day, days, calendar):
            end = instant(day, reset_minute, zone)
            if at < end:
                return TradingDay(day.isoformat(), previous_end, end)
            previous_end = end
        day += timedelta(days=1)
    raise ValueError(f"no trading day within {LOOKAHEAD_DAYS} days in {zone}")


def _last_trading_date(day: date, days: Sequence[int], calendar: Calendar | None) -> date:
    for _ in range(LOOKAHEAD_DAYS):
        day -= timedelta(days=1)
        if _trades_on(day, days, calendar):
            return day
    return day


def _trades_on(day: date, days: Sequence[int], calendar: Calendar | None) -> bool:
    special = calendar.find(day) if calendar else None
    closed = special is not None and special.closes_minute is None
    return day.weekday() in days and not closed


def opening(
    at: int, windows: tuple[Window, ...], calendar: Calendar | None
) -> tuple[bool, int | None]:
    """Whether any window is open at a moment, and when that next changes (None: never)."""
    for start, end in _intervals(at // DAY, windows, calendar):
        if at < end:
            return (True, end) if start <= at else (False, start)
    return False, None


@lru_cache(maxsize=4096)
def _intervals(
    utc_day: int, windows: tuple[Window, ...], calendar: Calendar | None
) -> tuple[tuple[int, int], ...]:
    """Openings that end after the start of a UTC day, in order; a pure function, so cached."""
    at = utc_day * DAY
    found: list[tuple[int, int]] = []
    for window in windows:
        first = local_date(at, window.zone) - timedelta(days=2)
        for offset in range(LOOKAHEAD_DAYS):
            interval = _interval(first + timedelta(days=offset), window, calendar)
            if interval and interval[1] > at:
                found.append(interval)
    return _merged(sorted(found))


def _interval(day: date, window: Window, calendar: Calendar | None) -> tuple[int, int] | None:
    if day.weekday() not in window.days:
        return None
    runs_over = window.end <= window.start
    end_minute = window.end + DAY_MINUTES if runs_over else window.end
    start, end = instant(day, window.start, window.zone), instant(day, end_minute, window.zone)
    # An overnight window belongs to the date on which it ends, as a futures session does.
    special = calendar.find(day + timedelta(days=1) if runs_over else day) if calendar else None
    if special is not None and calendar is not None:
        if special.closes_minute is None:
            return None
        closes_on = date.fromisoformat(special.date)
        end = min(end, instant(closes_on, special.closes_minute, calendar.zone))
    return (start, end) if start < end else None


def _merged(intervals: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for start, end in intervals:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)
