"""The suite and its grading: good quotes pass, and each expectation catches its own bad ones."""

import json
from pathlib import Path

import msgspec
import pytest

from checks import market_suite
from checks.market_data import grade, is_open, judge
from checks.quotes import Batch, QuoteRow, batch, z_score
from checks.suites.outcomes import Outcome, raised
from checks.suites.running import plain
from checks.verdicts import Grade
from portcullis.domain.model import MINUTE, SECOND
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.session import Calendar, CalendarDay, instant

NOW = 1_800_000_000_000_000
GOLDEN = Path(__file__).parent / "market_suite.json"
pytestmark = pytest.mark.filterwarnings("ignore")


def rows(count=120, *, names=("ES", "NQ")):
    made = []
    for n in range(count):
        at = NOW - (count - n) * SECOND // 2
        made.append(
            QuoteRow(n + 1, names[n % 2], at, at - 1000, 400 + n % 5, 401 + n % 5, 400 + n % 5)
        )
    return made


def found_in(changed, due=()):
    return judge(batch(changed, NOW, due))


def failing(found):
    return {row["check"].removeprefix("market.quotes.") for row in found.rows if not row["passed"]}


def test_good_quotes_pass_every_expectation():
    found = found_in(rows())
    assert found.grade is Grade.PASS
    assert failing(found) == set()
    assert len(found.rows) == 18


def no_price(made):
    made[60].bid = made[60].ask = made[60].last = None


def negative(side):
    def change(made):
        setattr(made[60], side, 0 if side != "bid" else -5)

    return change


def stays_crossed(made):
    for row in [each for each in made if each.instrument == "ES"][20:25]:
        row.bid, row.ask = row.ask, row.bid


def backwards(made):
    made[60].quoted_at -= 5 * SECOND


def twice(made):
    made[61].position = made[60].position


def from_the_future(made):
    made[-1].quoted_at = made[-1].at + 3 * SECOND


def no_instrument(made):
    made[60].instrument = None


def silent(made):
    for row in made:
        if row.instrument == "NQ":
            row.at -= 4 * MINUTE
            row.quoted_at -= 4 * MINUTE


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (no_price, "price.present"),
        (negative("bid"), "bid.positive"),
        (negative("ask"), "ask.positive"),
        (negative("last"), "last.positive"),
        (stays_crossed, "crossed.not_lasting"),
        (backwards, "time.in_order"),
        (twice, "position.unique"),
        (from_the_future, "time.not_ahead"),
        (no_instrument, "instrument.present"),
        (silent, "fresh"),
    ],
)
def test_each_critical_fault_fails_by_its_own_expectation(change, check):
    made = rows()
    change(made)
    found = found_in(made)
    assert found.grade is Grade.FAIL
    assert check in failing(found)
    assert check in found.summary
    assert json.loads(msgspec.json.encode(found.rows))  # the page and the artifact are made of it


def one_crossed(made):
    made[60].bid, made[60].ask = made[60].ask, made[60].bid


def repeated(made):
    made[62].quoted_at = made[60].quoted_at
    made[62].bid, made[62].ask, made[62].last = made[60].bid, made[60].ask, made[60].last


def jumps(made):
    for row in [each for each in made if each.instrument == "ES"][50:]:
        row.bid, row.ask, row.last = row.bid + 100, row.ask + 100, row.last + 100


def silence(made):
    for row in made[:100]:
        row.at -= 90 * SECOND
        row.quoted_at -= 90 * SECOND


def no_bids(made):
    for row in made[:30]:
        row.bid = None


def no_asks(made):
    for row in made[:30]:
        row.ask = None


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (one_crossed, "crossed.none"),
        (repeated, "quote.unique"),
        (jumps, "step.usual"),
        (silence, "gap.none"),
        (no_bids, "bid.mostly_present"),
        (no_asks, "ask.mostly_present"),
    ],
)
def test_what_real_markets_do_warns_and_holds_the_gate(change, check):
    made = rows()
    change(made)
    found = found_in(made)
    assert failing(found) == {check}
    assert json.loads(msgspec.json.encode(found.rows))
    assert found.grade is Grade.WARN
    assert found.grade.holds


def test_a_closed_market_owes_no_quotes():
    made = rows()
    silence(made)
    closed = batch(made, NOW + 10 * MINUTE, (), lambda _name, _start, _end: 0)
    found = judge(closed)
    assert found.grade is Grade.PASS, found.summary


def test_nothing_at_all_is_not_a_pass():
    assert judge(Batch([], [])).grade is Grade.EMPTY
    assert not Grade.EMPTY.holds


def test_an_instrument_that_vanished_from_the_window_fails():
    found = found_in(rows(), due=("ES", "NQ", "GC"))
    assert found.grade is Grade.FAIL
    assert "nothing from GC" in found.summary


def test_a_check_that_raised_is_an_error_and_not_a_failure():
    broken = Outcome("x", "critical", False, False, 0, "could not run: boom", [])
    assert grade(batch(rows(), NOW), [broken]).grade is Grade.ERROR
    assert grade(batch(rows(), NOW), []).grade is Grade.ERROR


def test_exceptions_are_read_in_both_of_their_shapes():
    flat = {"raised_exception": True, "exception_message": "a"}
    assert raised(flat) == "a"
    assert raised({"('id',)": {**flat, "exception_message": "b"}}) == "b"
    assert raised({"raised_exception": False}) is None


def test_the_suite_is_the_one_that_was_agreed():
    assert plain(market_suite.suite()) == json.loads(GOLDEN.read_text())


def test_an_outlier_is_measured_against_the_steps_before_it():
    assert z_score(30.0, [1.0, -1.0] * 10) == 30.0
    assert z_score(3.0, [0.0] * 20) == 3.0
    assert z_score(3.0, [0.0] * 5) is None


CME = Calendar("America/Chicago", (CalendarDay("2026-12-25"),))


def plan_with(calendar, days=(0, 1, 2, 3, 4)):
    return Plan((AccountPlan("A", (), days=days, calendar=calendar),))


def chicago(text, minute):
    from datetime import date

    return instant(date.fromisoformat(text), minute, "America/Chicago")


def test_the_exchange_is_closed_at_its_break_on_weekends_and_holidays():
    plan = plan_with(CME)
    assert is_open(plan, chicago("2026-11-18", 10 * 60))
    assert not is_open(plan, chicago("2026-11-18", 16 * 60 + 30))
    assert not is_open(plan, chicago("2026-11-21", 10 * 60))
    assert not is_open(plan, chicago("2026-12-25", 10 * 60))
    assert is_open(plan_with(None, tuple(range(7))), chicago("2026-11-21", 10 * 60))
