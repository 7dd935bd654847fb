"""Which backups stay: a table of days, and what holds for any history."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from portcullis.backup.keep import Kept, superfluous

HOUR = 3_600_000_000
START = datetime(2026, 1, 1, 0, 7, tzinfo=UTC)


def hourly(hours: int) -> list[tuple[str, int]]:
    """One backup an hour, named by its number."""
    first = int(START.timestamp()) * 1_000_000
    return [(f"b{number:05d}", first + number * HOUR) for number in range(hours)]


def kept_of(made: list[tuple[str, int]], *verified: str) -> list[str]:
    gone = set(superfluous(made, verified))
    return [name for name, _ in made if name not in gone]


def test_a_day_keeps_every_hour():
    assert len(kept_of(hourly(24))) == 24


def test_after_two_years_there_are_hours_days_weeks_and_months():
    made = hourly(24 * 730)
    kept = kept_of(made)
    moments = [START + timedelta(hours=int(name[1:])) for name in kept]
    assert [m for m in moments if m > moments[-1] - timedelta(hours=24)] == moments[-24:]
    days = {(m.year, m.month, m.day) for m in moments}
    months = {(m.year, m.month) for m in moments}
    assert len(months) == 12
    assert 24 + 5 <= len(kept) <= 24 + 7 + 5 + 12
    assert len(days) >= 7 + 4


def test_the_newest_verified_one_stays_however_old_it_is():
    made = hourly(24 * 400)
    assert "b00003" not in kept_of(made)
    assert "b00003" in kept_of(made, "b00003")


@given(st.lists(st.integers(0, 20_000), unique=True), st.data())
def test_whatever_the_history(numbers, data):
    first = int(START.timestamp()) * 1_000_000
    made = [(f"b{number:05d}", first + number * HOUR // 7) for number in sorted(numbers)]
    names = [name for name, _ in made]
    verified = data.draw(st.lists(st.sampled_from(names)) if names else st.just([]))
    gone = superfluous(made, verified)
    kept = [name for name in names if name not in gone]
    assert kept[-1:] == names[-1:]
    assert not verified or max(verified) in kept
    assert superfluous([each for each in made if each[0] in kept], verified) == []
    assert len(kept) <= sum(Kept()) + 1


@given(st.lists(st.integers(0, 20_000), unique=True, min_size=1))
def test_deleting_as_one_goes_keeps_as_much_as_deleting_at_the_end(numbers):
    """Rotation runs after each backup: it must not lose what the schedule promises later."""
    first = int(START.timestamp()) * 1_000_000
    made = [(f"b{number:05d}", first + number * HOUR // 7) for number in sorted(numbers)]
    there: list[tuple[str, int]] = []
    for each in made:
        there.append(each)
        gone = superfluous(there, ())
        there = [one for one in there if one[0] not in gone]
    assert {name for name, _ in there} >= set(kept_of(made))
