"""How far a row goes, whatever the order in which fills and rows come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from portcullis.venues.projectx.figure import FILLS_MAX, Figure


def figure(*changes: int, start: int = 0) -> Figure:
    """One that was `start` at 0, with fills at 10, 20, ..."""
    made = Figure()
    made.settle(start, 0)
    for number, change in enumerate(changes, 1):
        made.note(f"t{number}", 10 * number, change)
    return made


def test_the_value_tells_the_last_fill_it_contains():
    held = figure(1, 2, -3, 5)
    assert [held.moment(size) for size in (5, 3, 1)] == [40, 20, 10]


def test_of_two_moments_with_one_value_the_newer_counts():
    assert figure(1, -1, 1).moment(1) == 30


def test_the_value_before_every_fill_contains_none():
    assert figure(1, 1, start=4).moment(4) == 9


def test_a_value_that_no_fill_makes_is_not_explained():
    assert figure(1, 1).moment(7) is None
    assert Figure().moment(0) is None
    assert figure().moment(0) is None


def test_the_known_word_stands_until_a_fill_comes():
    held = Figure()
    assert held.unchanged(5) is None
    held.settle(5, 30)
    assert (held.unchanged(5), held.unchanged(6)) == (30, None)
    held.note("t", 40, 1)
    assert held.unchanged(5) is None


def test_a_fill_counts_once_and_a_bust_makes_all_uncertain():
    held = figure(2)
    held.note("t1", 10, 2)
    assert (held.moment(2), held.moment(4), held.newest()) == (10, None, 10)
    held.forget()
    assert (held.moment(2), held.newest()) == (None, 0)


def test_a_row_that_came_before_its_fill_explains_those_after_it():
    held = figure(1)
    assert held.moment(3) is None
    held.settle(3, 25)
    held.note("t2", 20, 2)
    assert held.moment(3) == 25
    held.note("t3", 30, -3)
    assert held.moment(0) == 30


def test_a_word_that_was_dated_too_late_gives_way_to_the_next():
    """A clock ahead of the venue's: the fill that comes is taken as contained, its row is not."""
    held = Figure()
    assert held.settle(1, 1_000) == 1_000
    held.note("t1", 500, 2)
    assert held.moment(3) is None
    assert held.settle(3, 600) == 1_000, "never behind what was told before"
    assert held.moment(3) == 1_000


def test_a_row_of_the_position_before_is_older_than_the_end_of_that_one():
    """Out and in again with one size: its time of opening tells the two apart."""
    held = figure(2, -2, 2)
    assert held.moment(2, opened_at=30) == 30
    assert held.moment(2, opened_at=10) == 10
    assert held.moment(2) == 30
    turned = figure(2, -4)
    assert turned.moment(2, opened_at=10) == 10
    assert turned.moment(-2, opened_at=20) == 20
    assert turned.moment(-2, opened_at=10) is None


def test_what_is_kept_is_bounded_and_still_right():
    held = figure()
    for number in range(1, 3 * FILLS_MAX):
        held.note(f"t{number}", 10 * number, 1)
        assert held.moment(number) == 10 * number


CHANGES = st.lists(st.integers(-3, 3).filter(bool), min_size=1, max_size=12)


@given(CHANGES, st.data())
def test_fills_may_come_in_any_order_and_twice(changes, data):
    """A true row is explained by the newest fill that makes it so, at any time after they came."""
    held = figure(start=7)
    values = [7 + sum(changes[: n + 1]) for n in range(len(changes))]
    order = [*range(len(changes)), *data.draw(st.lists(st.sampled_from(range(len(changes)))))]
    came: set[int] = set()
    for number in data.draw(st.permutations(order)):
        held.note(f"t{number}", 10 * (number + 1), changes[number])
        came.add(number)
        if came == set(range(number + 1)):
            assert held.moment(values[number]) == 10 * (number + 1)
    for value in values:
        newest = max(n for n, each in enumerate(values) if each == value)
        assert held.moment(value) == 10 * (newest + 1)
