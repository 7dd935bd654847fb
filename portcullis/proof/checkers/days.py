"""The trading day: it ends exactly once, at its own reset, whatever restarts came between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from portcullis.domain.events import DayRolled, RulesLoaded
from portcullis.domain.model import SECOND
from portcullis.domain.plan import AccountPlan
from portcullis.ports import StoredEvent
from portcullis.proof.checkers.record import Record

LATE = 5 * SECOND


def days_end_once_and_on_time(record: Record) -> Iterator[str]:
    """Every reset between the first rules and the end rolled its day, once, and not before."""
    loaded = next((row.at for row, _ in record.of(RulesLoaded)), None)
    if loaded is None:
        return
    rolls: dict[str, list[tuple[StoredEvent, str]]] = {}
    for row, event in record.of(DayRolled):
        rolls.setdefault(event.account, []).append((row, event.day))
    last = record.rows[-1].at
    for account in record.story.plan.accounts:
        mine = rolls.get(account.account, [])
        rolled = Counter(day for _, day in mine)
        due = dict(resets(account, loaded, last))
        for row, day in mine:
            if day not in due or row.at < due[day]:
                yield f"event {row.position} ends the day {day} of {account.account} early"
        for day, end in due.items():
            if rolled[day] > 1:
                yield f"the day {day} of {account.account} ended {rolled[day]} times"
            if record.is_settled and not rolled[day] and end + LATE < last:
                yield f"the day {day} of {account.account} never ended"


def resets(account: AccountPlan, start: int, end: int) -> Iterator[tuple[str, int]]:
    """The days whose reset lies between two times, from the calendar of the wall alone."""
    zone = ZoneInfo(account.zone)
    day = datetime.fromtimestamp(start / 1e6, zone).date() - timedelta(days=1)
    hour, minute = divmod(account.reset_minute, 60)
    while True:
        reset = int(
            datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone).timestamp() * SECOND
        )
        if reset > end:
            return
        if reset > start and _trades(account, day):
            yield day.isoformat(), reset
        day += timedelta(days=1)


def _trades(account: AccountPlan, day: date) -> bool:
    holidays = account.calendar.days if account.calendar else ()
    closed = any(each.date == day.isoformat() and each.closes_minute is None for each in holidays)
    return day.weekday() in account.days and not closed
