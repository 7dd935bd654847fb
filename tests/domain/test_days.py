"""The trading day: its boundary, its reset, once a day, over daylight saving and holidays."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from portcullis.domain.events import DayRolled, WorkerStarted
from portcullis.domain.model import HOUR, MICRO, MINUTE
from portcullis.domain.rules import daily_realized_loss
from portcullis.domain.session import Calendar, CalendarDay, Window, opening, trading_day
from portcullis.domain.state import freeze, thaw
from tests.domain.desk import START, USD, Desk

CHICAGO = "America/Chicago"
WEEK = (0, 1, 2, 3, 4)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * MICRO


@pytest.mark.parametrize(
    ("moment", "label"),
    [
        ("2026-03-03T22:59:59", "2026-03-03"),  # 16:59:59 in Chicago, standard time
        ("2026-03-03T23:00:00", "2026-03-04"),
        ("2026-03-04T05:30:00", "2026-03-04"),  # half past eleven in the evening: not midnight
        ("2026-03-06T23:30:00", "2026-03-09"),  # Friday evening counts for Monday
        ("2026-03-08T20:00:00", "2026-03-09"),  # Sunday, after the clocks went forward
        ("2026-03-09T21:59:59", "2026-03-09"),  # summer time: the reset is an hour earlier in UTC
        ("2026-03-09T22:00:00", "2026-03-10"),
        ("2026-11-02T22:59:59", "2026-11-02"),  # standard time again
        ("2026-11-02T23:00:00", "2026-11-03"),
    ],
)
def test_the_day_ends_at_the_reset_of_its_zone(moment, label):
    assert trading_day(at(moment), CHICAGO, 17 * 60, WEEK, None).label == label


@pytest.mark.parametrize(("start", "hours"), [("2026-03-07", 23), ("2026-10-31", 25)])
def test_days_of_a_change_are_shorter_and_longer(start, hours):
    every = tuple(range(7))
    day = trading_day(at(f"{start}T23:30:00"), CHICAGO, 17 * 60, every, None)
    assert (day.end - day.start) // HOUR == hours


def test_a_full_holiday_belongs_to_the_next_day():
    calendar = Calendar(CHICAGO, (CalendarDay("2026-12-25"),))
    day = trading_day(at("2026-12-25T12:00:00"), CHICAGO, 17 * 60, WEEK, calendar)
    assert day.label == "2026-12-28"


def test_days_join_without_gap_or_overlap_over_two_years():
    moment, joined = at("2026-01-01T00:00:00"), 0
    day = trading_day(moment, CHICAGO, 17 * 60, WEEK, None)
    while joined < 520:
        following = trading_day(day.end, CHICAGO, 17 * 60, WEEK, None)
        assert following.start == day.end
        assert trading_day(day.end - 1, CHICAGO, 17 * 60, WEEK, None) == day
        day, joined = following, joined + 1


def test_an_early_close_ends_an_overnight_window_on_its_date():
    calendar = Calendar(CHICAGO, (CalendarDay("2026-11-27", "Thanksgiving Friday", 12 * 60 + 15),))
    night = (Window(CHICAGO, 17 * 60, 16 * 60, (6, 0, 1, 2, 3)),)
    is_open, ends = opening(at("2026-11-27T15:00:00"), night, calendar)
    assert (is_open, ends) == (True, at("2026-11-27T18:15:00"))
    assert opening(at("2026-11-27T19:00:00"), night, calendar) == (False, at("2026-11-29T23:00:00"))


def test_a_closed_day_has_no_window():
    calendar = Calendar(CHICAGO, (CalendarDay("2026-12-25"),))
    night = (Window(CHICAGO, 17 * 60, 16 * 60, (6, 0, 1, 2, 3)),)
    assert opening(at("2026-12-25T15:00:00"), night, calendar)[0] is False


def test_the_reset_ends_next_session_locks_and_no_others_and_happens_once():
    desk = Desk(daily_realized_loss.Params(limit=500 * USD))
    desk.trade(-600 * USD)
    desk.confirm()
    desk.ask("lock")
    desk.wait(8 * HOUR)
    assert [ended.rule for ended in desk.locks_ended()] == ["daily_realized_loss"]
    assert [lock.rule for lock in desk.account.locks.values()] == ["manual"]
    assert desk.account.realized == 0
    desk.do(WorkerStarted("test", 0, True))
    desk.wait(HOUR)
    assert len([d for d in desk.out if isinstance(d, DayRolled)]) == 1


def test_a_lock_set_after_the_reset_is_not_ended_by_a_second_one():
    desk = Desk(daily_realized_loss.Params(limit=500 * USD), at=START + 8 * HOUR + MINUTE)
    desk.trade(-600 * USD)
    desk.confirm()
    desk.do(WorkerStarted("test", 0, True))
    desk.wait(5 * HOUR)
    assert desk.account.locks


def test_days_that_passed_while_nobody_ran_are_rolled_in_order():
    desk = Desk()
    desk.trade(100 * USD)
    desk.now += 72 * HOUR
    desk.wait(0)
    labels = [d.day for d in desk.out if isinstance(d, DayRolled)]
    assert labels == ["2026-03-03", "2026-03-04", "2026-03-05"]


def test_a_trade_of_yesterday_that_comes_late_does_not_count_for_today():
    desk = Desk(daily_realized_loss.Params(limit=500 * USD))
    yesterday = desk.account.day.start - MINUTE
    desk.trade(-600 * USD, at=yesterday)
    assert desk.account.realized == 0
    assert not desk.breaches()


def test_a_fill_the_venue_dates_after_the_reset_counts_for_the_next_day():
    desk = Desk()
    desk.trade(-70 * USD, at=desk.account.day.end + 1)
    assert desk.account.realized == 0
    desk.wait(8 * HOUR)
    assert desk.account.realized == -70 * USD


def test_a_frozen_state_thaws_to_the_same_bytes():
    desk = Desk(daily_realized_loss.Params(limit=500 * USD))
    desk.quote("ES", 20_000)
    desk.holds("ES", 1)
    desk.order("ES", 1, 1)
    desk.trade(-600 * USD)
    data = freeze(desk.engine.state)
    assert freeze(thaw(data)) == data
