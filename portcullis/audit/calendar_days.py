"""The account's own time: trading days, sessions, holidays, early closes, daylight saving.

Everything is computed from wall time and a zone, date by date; nothing is added up in hours.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ONE_DAY = timedelta(days=1)
LOOK_AHEAD = 40
"""Days in which the next trading day or the next opening must be found."""


@lru_cache(maxsize=200_000)
def instant(day: date, minute: int, zone: str) -> int:
    """The instant of a wall time, microseconds UTC; minute 1440 is midnight after the day."""
    day, minute = day + ONE_DAY * (minute // 1440), minute % 1440
    wall = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=ZoneInfo(zone))
    return (wall.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)


def local_date(at: int, zone: str) -> date:
    """The date on the wall calendar of a zone."""
    return (EPOCH + timedelta(microseconds=at)).astimezone(ZoneInfo(zone)).date()


class TradingDay(NamedTuple):
    """One trading day: its date, its first instant and the first instant after it."""

    label: str
    start: int
    end: int


def holidays(calendar: dict[str, Any] | None) -> dict[str, int | None]:
    """Date -> the minute it closes at, None for a full holiday."""
    return {} if not calendar else {d["date"]: d.get("closes_minute") for d in calendar["days"]}


def trading_day(at: int, plan: dict[str, Any]) -> TradingDay:
    """The trading day an instant belongs to.

    A day ends at the reset on its own date; dates that do not trade (weekends, full holidays)
    have no reset, so what happens on them belongs to the next day that has one.
    """
    zone, minute = plan["zone"], plan["reset_minute"]
    full = {day for day, closes in holidays(plan["calendar"]).items() if closes is None}
    today = local_date(at, zone)
    ends = [
        (each, instant(each, minute, zone))
        for each in (today + ONE_DAY * n for n in range(-LOOK_AHEAD, LOOK_AHEAD))
        if each.weekday() in plan["days"] and each.isoformat() not in full
    ]
    for before, after in pairwise(ends):
        if before[1] <= at < after[1]:
            return TradingDay(after[0].isoformat(), before[1], after[1])
    raise ValueError("no trading day within weeks")


class Hours:
    """Opening hours of an account or an instrument: windows of wall time, clipped by calendars.

    The spec leaves open whether an overnight session over a holiday belongs to the date on which
    it starts or ends. It belongs to its end here; `doubtful` names instants where that matters,
    so that nothing is demanded there.
    """

    def __init__(self, sessions: list[dict[str, Any]], rule: dict[str, Any]) -> None:
        self._sessions = sessions
        self._zone = rule["zone"]
        self._flat_by = rule["flat_by"]
        calendar = rule["calendar"] if rule["holidays"] else None
        self._days = holidays(calendar)
        self._calendar_zone = calendar["zone"] if calendar else "UTC"
        self._known: dict[tuple[date, bool], list[tuple[int, int]]] = {}

    def is_open(self, at: int) -> bool:
        """Whether an instant lies in a session; the end of a session does not."""
        return any(start <= at < end for start, end in self._around(at, by_start=False))

    def doubtful(self, at: int) -> bool:
        """Whether another reading of the calendar would answer otherwise."""
        other = any(start <= at < end for start, end in self._around(at, by_start=True))
        return other != self.is_open(at)

    def next_opening(self, at: int) -> int | None:
        """The first instant after `at` at which a session is open, itself excluded."""
        first = local_date(at, "UTC")
        starts = []
        for n in range(-2, LOOK_AHEAD):
            starts += [s for s, _ in self._of(first + ONE_DAY * n, by_start=False) if s > at]
            if starts:
                return min(starts)
        return None

    def next_change(self, at: int) -> int:
        """The first instant after `at` at which a session starts or ends."""
        first = local_date(at, "UTC")
        found = [
            moment
            for n in range(-2, 9)
            for window in self._of(first + ONE_DAY * n, by_start=False)
            for moment in window
            if moment > at
        ]
        return min(found, default=at + 86_400_000_000)

    def _around(self, at: int, *, by_start: bool) -> Iterator[tuple[int, int]]:
        first = local_date(at, "UTC")
        for n in range(-3, 3):
            yield from self._of(first + ONE_DAY * n, by_start=by_start)

    def _of(self, day: date, *, by_start: bool) -> list[tuple[int, int]]:
        """The sessions that start on a date."""
        if (day, by_start) not in self._known:
            found = [self._window(each, day, by_start) for each in self._sessions]
            self._known[(day, by_start)] = [w for w in found if w is not None and w[0] < w[1]]
        return self._known[(day, by_start)]

    def _window(self, hours: dict[str, Any], day: date, by_start: bool) -> tuple[int, int] | None:
        if day.weekday() not in hours["days"]:
            return None
        last = day + ONE_DAY if hours["end"] <= hours["start"] else day
        start = instant(day, hours["start"], hours["zone"])
        end = instant(last, hours["end"], hours["zone"])
        owner = day if by_start else last
        if owner.isoformat() in self._days:
            closes = self._days[owner.isoformat()]
            if closes is None:
                return None
            end = min(end, instant(owner, closes, self._calendar_zone))
        if self._flat_by is not None:
            cuts = [instant(d, self._flat_by, self._zone) for d in (day - ONE_DAY, day, last)]
            end = min([cut for cut in cuts if start < cut < end], default=end)
        return start, end
