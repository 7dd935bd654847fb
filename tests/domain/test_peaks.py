"""How well a position ever stood: by prices fresh enough to judge by, and of that position only."""

from __future__ import annotations

import pytest

from portcullis.domain.commands import Close, Flatten, MoveStop, PlaceStop
from portcullis.domain.events import Quote
from portcullis.domain.model import MINUTE, SECOND
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.rules import (
    daily_unrealized_loss,
    max_unrealized_profit,
    no_stop_loss_grace,
    trade_management,
)
from tests.domain.desk import BUY, LISTED, SELL, USD, Desk

ES, NQ = LISTED["ES"].id, LISTED["NQ"].id


def armed(scope: str = "position") -> Desk:
    """Back at zero after 500 USD: 40 ticks of one ES."""
    return Desk(max_unrealized_profit.Params(mode="break_even", arm_at=500 * USD, scope=scope))  # type: ignore[arg-type]


@pytest.mark.parametrize(("age", "hit"), [(10 * SECOND, True), (10 * SECOND + 1, False)])
@pytest.mark.parametrize("scope", ["position", "total"])
def test_a_price_too_old_to_judge_by_arms_nothing(scope, age, hit):
    desk = armed(scope)
    desk.quote("ES", 20_100)
    desk.now += age - 1  # the row below comes one microsecond later
    desk.holds("ES", 1)
    desk.quote("ES", 20_000)
    assert bool(desk.commands()) is hit


def test_new_rules_judge_by_no_price_that_was_too_old_for_the_ones_before():
    desk = Desk(daily_unrealized_loss.Params(500 * USD))
    desk.quote("ES", 20_000)
    desk.holds("ES", 1)
    desk.quote("ES", 19_980)
    desk.wait(MINUTE)
    tighter = daily_unrealized_loss.Params(100 * USD)
    desk.load(Plan((AccountPlan("A", (tighter,)),)))
    assert desk.commands() == []
    assert ES in desk.account.unjudged
    desk.quote("ES", 19_980)
    assert desk.commands() == [Close("A", ES)]


def test_what_cannot_be_judged_adds_nothing_to_the_best_of_all_positions():
    """NQ has had no price for a minute when ES gains: the sum is no figure of any moment."""
    desk = armed("total")
    desk.quote("NQ", 20_000)
    desk.quote("ES", 20_000)
    desk.holds("NQ", 1)
    desk.holds("ES", 1)
    desk.wait(MINUTE)
    desk.quote("ES", 20_050)
    desk.quote("ES", 20_000)
    desk.quote("NQ", 20_000)
    assert desk.commands() == []
    desk.quote("ES", 20_050)
    desk.quote("ES", 20_000)
    assert desk.commands() == [Flatten("A")]


def test_a_position_that_was_reopened_is_another_one():
    desk = armed()
    desk.quote("ES", 20_000)
    desk.holds("ES", 1)
    desk.quote("ES", 20_040)
    desk.now += SECOND
    desk.holds("ES", 1, 20_060)  # closed and opened anew while nobody listened
    desk.quote("ES", 20_060)
    assert desk.commands() == []
    desk.quote("ES", 20_100)
    desk.quote("ES", 20_060)
    assert desk.commands() == [Close("A", ES)]


def test_the_same_position_in_a_later_row_stays_the_same():
    desk = armed()
    desk.quote("ES", 20_000)
    opened = desk.now
    desk.holds("ES", 1, opened_at=opened)
    desk.quote("ES", 20_040)
    desk.holds("ES", 2, opened_at=opened)
    desk.quote("ES", 20_000)
    assert desk.commands() == [Close("A", ES)]


def test_a_reopened_position_has_its_own_grace():
    desk = Desk(no_stop_loss_grace.Params(grace=30 * SECOND))
    desk.holds("ES", 1)
    desk.wait(29 * SECOND)
    desk.holds("ES", 1)
    assert desk.wait(29 * SECOND) == []
    desk.wait(2 * SECOND)
    assert [breach.rule for breach in desk.breaches()] == ["no_stop_loss_grace"]


@pytest.mark.parametrize(("age", "hit"), [(10 * SECOND, True), (10 * SECOND + 1, False)])
def test_a_price_that_was_too_old_when_it_came_finds_no_breach(age, hit):
    desk = Desk(daily_unrealized_loss.Params(limit=300 * USD))
    desk.quote("ES", 20_000)
    desk.holds("ES", 1)
    desk.wait(MINUTE)
    desk.do(Quote(ES, 19_900, 19_900, 19_900, desk.now - age))
    assert bool(desk.breaches()) is hit
    assert bool(desk.account.unjudged) is not hit


def test_a_trailing_stop_follows_no_price_too_old_to_judge_by():
    trailing = trade_management.Trailing(30, 15)
    desk = Desk(trade_management.Params(auto_stop=20, trailing=trailing))
    desk.quote("ES", 20_100)
    desk.wait(MINUTE)
    desk.holds("ES", 1)
    assert desk.commands() == [PlaceStop("A", ES, SELL, 1, 19_980)]


def test_a_stop_of_a_bracket_follows_the_size_too():
    """Two contracts came with a stop of their own; a third stands bare beside them."""
    desk = Desk(trade_management.Params(auto_stop=20))
    desk.quote("ES", 20_000)
    desk.order("ES", BUY, 2, "market", order_id="parent", status="filled", remaining=0)
    desk.order("ES", SELL, 2, "stop", price=19_990, order_id="child", parent="parent")
    desk.holds("ES", 2)
    assert desk.commands() == []
    desk.holds("ES", 3)
    assert desk.commands() == [MoveStop("A", ES, "child", 19_990, 3)]
