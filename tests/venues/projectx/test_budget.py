"""Budgets: no stretch of time holds more than the limit, and protection finds its reserve."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.domain.model import SECOND
from portcullis.venues.projectx.budget import SLACK, Budget
from portcullis.venues.projectx.spent import SLOTS, SpentFile

steps = st.lists(st.tuples(st.integers(0, 3 * SECOND), st.booleans()), max_size=120)


@given(steps, st.integers(2, 12), st.integers(0, 5))
def test_no_window_holds_more_than_the_limit(story, limit, reserve):
    budget, now, sent = Budget(limit, 10 * SECOND, min(reserve, limit - 1)), 0, []
    for wait, protective in story:
        now += wait
        if budget.take(now, protective=protective) == 0:
            sent.append(now)
    for first in sent:
        assert sum(first <= at < first + 10 * SECOND + SLACK for at in sent) <= limit


@given(steps, st.integers(2, 12), st.integers(1, 5))
def test_what_it_answers_is_how_long_to_wait(story, limit, reserve):
    budget, now = Budget(limit, 10 * SECOND, min(reserve, limit - 1)), 0
    for wait, protective in story:
        now += wait
        left = budget.left(now)
        due = budget.take(now, protective=protective)
        if due:
            assert budget.left(now) == left, "nothing was counted"
            assert budget.take(now + due - 1, protective=protective) > 0
            now += due
            assert budget.take(now, protective=protective) == 0


def test_the_reserve_is_for_protection_alone():
    budget = Budget(5, 10 * SECOND, reserve=2)
    assert [budget.take(0) == 0 for _ in range(4)] == [True, True, True, False]
    assert [budget.take(0, protective=True) == 0 for _ in range(3)] == [True, True, False]


def test_a_refusal_of_the_gateway_empties_the_budget():
    budget = Budget(5, 10 * SECOND, reserve=2)
    budget.exhaust(7)
    assert budget.take(7) == 10 * SECOND + SLACK
    assert [budget.take(7, protective=True) for _ in range(2)] == [0, 0]
    assert budget.take(7, protective=True) == 10 * SECOND + SLACK


def test_a_reserve_must_leave_something():
    with pytest.raises(ValueError, match="leaves nothing"):
        Budget(5, SECOND, reserve=5)


def test_what_a_killed_process_sent_counts_for_the_next(tmp_path):
    first = Budget(5, 10 * SECOND, spent=SpentFile(tmp_path / "sent"))
    assert [first.take(at) for at in (100, 200, 300)] == [0, 0, 0]
    following = Budget(5, 10 * SECOND, spent=SpentFile(tmp_path / "sent"))
    assert following.left(400) == 2
    following.exhaust(500)
    assert Budget(5, 10 * SECOND, spent=SpentFile(tmp_path / "sent")).left(600) == 0


def test_after_a_reboot_what_is_later_than_now_is_nothing(tmp_path):
    Budget(5, 10 * SECOND, spent=SpentFile(tmp_path / "sent")).take(10**12)
    assert Budget(5, 10 * SECOND, spent=SpentFile(tmp_path / "sent")).left(7 * SECOND) == 5


def test_the_file_keeps_the_newest_and_its_size(tmp_path):
    path = tmp_path / "sent"
    spent = SpentFile(path)
    size = path.stat().st_size
    for at in range(1, 3 * SLOTS):
        spent.note(at)
    assert path.stat().st_size == size
    assert SpentFile(path).times(10**9) == list(range(2 * SLOTS, 3 * SLOTS))
    assert path.stat().st_mode & 0o777 == 0o600
