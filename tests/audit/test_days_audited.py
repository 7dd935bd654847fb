"""Weeks with a change of the clocks, a holiday, an early close: both judges count the same days."""

from __future__ import annotations

from datetime import datetime

import pytest

from portcullis.domain.hours import Hours
from portcullis.domain.model import HOUR, MICRO
from portcullis.domain.rules import daily_realized_loss, session_block_outside
from portcullis.domain.session import Calendar, CalendarDay
from tests.audit.doctor import audited, parsed
from tests.audit.stage import Stage

CHICAGO = "America/Chicago"
NIGHT = (Hours(17 * 60, 16 * 60, days=(6, 0, 1, 2, 3), overnight=True),)


@pytest.mark.parametrize(
    ("start", "days", "calendar"),
    [
        ("2026-03-05T15:00:00+00:00", 5, None),  # clocks go forward on Sunday the 8th
        ("2026-10-29T15:00:00+00:00", 5, None),  # and back on Sunday, November 1st
        (
            "2026-11-24T15:00:00+00:00",
            4,
            Calendar(CHICAGO, (CalendarDay("2026-11-26"), CalendarDay("2026-11-27", "", 735))),
        ),
    ],
)
def test_a_week_of_resets(start, days, calendar):
    stage = Stage(
        1,
        daily_realized_loss.Params(limit=50 * MICRO),
        session_block_outside.Params(sessions=NIGHT, flat_by=15 * 60 + 8, calendar=calendar),
        at=int(datetime.fromisoformat(start).timestamp()) * MICRO,
        calendar=calendar,
    )
    for _ in range(24):
        stage.quote("ES", 0)
        stage.fill("ES", 1, 1)
        stage.wait(HOUR)
        stage.quote("ES", -5)
        stage.fill("ES", -1, 1)
        stage.wait(6 * HOUR)
    report = audited(parsed(stage.lines()))
    assert report.differences == []
    assert report.days == days
    assert report.breaches > days
