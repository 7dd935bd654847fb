"""What may be lost and won: realized, open, and from the highest equity."""

from __future__ import annotations

import pytest

from portcullis.domain.commands import (
    Close,
    Flatten,
)
from portcullis.domain.model import HOUR
from portcullis.domain.rules import (
    daily_realized_loss,
    daily_realized_profit,
    daily_unrealized_loss,
    max_unrealized_profit,
    trailing_drawdown,
)
from tests.domain.desk import LISTED, USD, Desk

ES = LISTED["ES"].id


# --- RULE-003 and RULE-013 ---------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "breaches"), [(499_990_000, False), (500 * USD, True)])
def test_daily_realized_loss_breaches_when_the_loss_reaches_the_limit(loss, breaches):
    desk = Desk(daily_realized_loss.Params(limit=500 * USD))
    desk.trade(-loss)
    assert bool(desk.breaches("daily_realized_loss")) is breaches
    if breaches:
        assert desk.commands() == [Flatten("A")]
        assert [lock.ends for lock in desk.locks_set()] == ["next_session"]


def test_losses_are_net_of_fees_of_opening_fills_too():
    desk = Desk(daily_realized_loss.Params(limit=500 * USD))
    desk.trade(None, fees=5 * USD)
    desk.trade(-490 * USD, fees=4 * USD)
    assert not desk.breaches()
    desk.trade(None, fees=1 * USD)
    assert desk.breaches("daily_realized_loss")


@pytest.mark.parametrize(("profit", "breaches"), [(999_990_000, False), (1000 * USD, True)])
def test_daily_realized_profit_breaches_when_the_profit_reaches_the_target(profit, breaches):
    desk = Desk(daily_realized_profit.Params(target=1000 * USD))
    desk.trade(profit)
    assert bool(desk.breaches("daily_realized_profit")) is breaches


# --- RULE-004 and RULE-005 ---------------------------------------------------------------------


@pytest.mark.parametrize(("bid", "command"), [(19_977, None), (19_976, Close("A", ES))])
def test_daily_unrealized_loss_of_a_position_closes_it(bid, command):
    desk = Desk(daily_unrealized_loss.Params(limit=300 * USD))
    desk.quote("ES", 20_000)
    desk.holds("ES", 1)
    desk.quote("ES", bid)
    assert desk.commands() == ([command] if command else [])
    assert desk.locks_set() == []


def test_daily_unrealized_loss_in_total_flattens_and_locks():
    desk = Desk(daily_unrealized_loss.Params(limit=300 * USD, scope="total"))
    for ticker in ("ES", "NQ"):
        desk.quote(ticker, 20_000)
        desk.holds(ticker, 1)
    desk.quote("ES", 19_988)
    assert not desk.breaches()
    desk.quote("NQ", 19_970)
    assert desk.commands() == [Flatten("A")]
    assert [lock.ends for lock in desk.locks_set()] == ["next_session"]


def test_a_short_is_marked_at_the_ask():
    desk = Desk(daily_unrealized_loss.Params(limit=300 * USD))
    desk.quote("ES", 20_000)
    desk.holds("ES", -1)
    desk.quote("ES", 20_000, 20_024)
    assert desk.commands() == [Close("A", ES)]


@pytest.mark.parametrize(("bid", "breaches"), [(20_079, False), (20_080, True)])
def test_max_unrealized_profit_takes_the_profit_at_the_target(bid, breaches):
    desk = Desk(max_unrealized_profit.Params(target=1000 * USD))
    desk.quote("ES", 20_000)
    desk.holds("ES", 1)
    desk.quote("ES", bid)
    assert bool(desk.breaches()) is breaches


def test_break_even_closes_only_after_it_was_armed():
    desk = Desk(max_unrealized_profit.Params(mode="break_even", arm_at=500 * USD))
    desk.quote("ES", 20_000)
    desk.holds("ES", 1)
    desk.quote("ES", 19_999)
    desk.quote("ES", 20_039)
    desk.quote("ES", 20_000)
    assert not desk.breaches()
    desk.quote("ES", 20_040)
    desk.quote("ES", 20_001)
    assert not desk.breaches()
    desk.quote("ES", 20_000)
    assert desk.commands() == [Close("A", ES)]


# --- RULE-014 ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("high", "floor"), [(50_000, 48_000), (50_500, 48_500), (52_500, 50_000), (60_000, 50_000)]
)
def test_the_floor_follows_the_high_and_stops_at_the_start(high, floor):
    rule = trailing_drawdown.Params(start=50_000 * USD, allowance=2_000 * USD)
    desk = Desk(rule)
    desk.account.high = high * USD
    assert trailing_drawdown.floor(desk.account, rule) == floor * USD


@pytest.mark.parametrize(("bid", "breaches"), [(19_841, False), (19_840, True)])
def test_equity_at_the_floor_ends_the_account(bid, breaches):
    desk = Desk(trailing_drawdown.Params(start=50_000 * USD, allowance=2_000 * USD))
    desk.quote("ES", 20_000)
    desk.holds("ES", 1)
    desk.quote("ES", bid)
    assert bool(desk.breaches("trailing_drawdown")) is breaches
    if breaches:
        assert desk.locks_set()[0].ends == "person"
        assert desk.commands() == [Flatten("A")]


def test_the_end_of_day_high_does_not_rise_within_the_day():
    rule = trailing_drawdown.Params(start=50_000 * USD, allowance=2_000 * USD)
    desk = Desk(rule)
    desk.trade(1_000 * USD)
    assert trailing_drawdown.floor(desk.account, rule) == 48_000 * USD
    desk.wait(9 * HOUR)
    assert trailing_drawdown.floor(desk.account, rule) == 49_000 * USD


def test_an_intraday_trail_follows_open_profit():
    rule = trailing_drawdown.Params(50_000 * USD, 2_000 * USD, "intraday", lock_at_start=False)
    desk = Desk(rule)
    desk.quote("ES", 20_000)
    desk.holds("ES", 1)
    desk.quote("ES", 20_100)
    assert trailing_drawdown.floor(desk.account, rule) == 49_250 * USD
    desk.quote("ES", 19_940)
    assert desk.breaches("trailing_drawdown")
