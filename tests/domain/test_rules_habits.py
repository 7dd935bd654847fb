"""How often, and how soon after a loss."""

from __future__ import annotations

import pytest

from portcullis.domain.model import HOUR, MINUTE, SECOND
from portcullis.domain.rules import (
    cooldown_after_loss,
    daily_realized_loss,
    trade_frequency_limit,
)
from tests.domain.desk import START, USD, Desk


def test_trade_frequency_counts_orders_not_fills_and_allows_n():
    desk = Desk(trade_frequency_limit.Params(per_minute=3))
    for order in ("a", "a", "b", "c", "c"):
        desk.trade(None, order)
    assert not desk.breaches()
    desk.trade(None, "d")
    assert desk.commands() == []
    lock = desk.locks_set()[0]
    assert (lock.ends, lock.until) == ("at", desk.now + MINUTE)


def test_trade_frequency_takes_the_longest_cooldown_reached():
    desk = Desk(trade_frequency_limit.Params(per_minute=1, per_hour=2))
    for order in "abc":
        desk.trade(None, order)
    assert max(lock.until for lock in desk.locks_set()) == desk.now + 30 * MINUTE


def test_trades_older_than_the_window_do_not_count():
    desk = Desk(trade_frequency_limit.Params(per_minute=2, per_hour=100))
    for order in "ab":
        desk.trade(None, order)
    desk.wait(MINUTE)
    for order in "cd":
        desk.trade(None, order)
    assert not desk.breaches()


def test_a_session_that_is_full_is_over():
    desk = Desk(trade_frequency_limit.Params(per_minute=99, per_hour=99, per_session=2))
    for order in "abc":
        desk.trade(None, order)
    assert [lock.ends for lock in desk.locks_set()] == ["next_session"]


def test_trades_learnt_more_than_an_hour_late_count_for_the_session():
    """The worker was away; what it reads back is over the session's limit, and in no window."""
    desk = Desk(trade_frequency_limit.Params(per_minute=9, per_hour=9, per_session=2))
    desk.wait(2 * HOUR)
    for minute in (1, 2, 3):
        desk.trade(-1 * USD, at=START + minute * MINUTE)
    assert [lock.ends for lock in desk.locks_set()] == ["next_session"]
    desk.trade(-1 * USD, at=START + 4 * MINUTE)
    assert len(desk.breaches()) == 2


def test_a_window_knows_no_days_not_even_for_a_trade_that_was_learnt_late():
    """A fill just before the day's end, told of after it: it is in the minute that follows."""
    desk = Desk(trade_frequency_limit.Params(per_minute=2))
    ended = desk.account.day.end
    desk.wait(ended + 5 * SECOND - desk.now)
    desk.trade(None, "a", at=ended - SECOND)
    desk.trade(None, "b", at=ended + SECOND)
    assert not desk.breaches()
    desk.trade(None, "c", at=ended + 3 * SECOND)
    assert [b.reason.measured for b in desk.breaches()] == ["3 trades"]


def test_an_order_that_fills_on_both_sides_of_the_reset_is_one_trade_of_the_minute():
    desk = Desk(trade_frequency_limit.Params(per_minute=1))
    ended = desk.account.day.end
    desk.wait(ended - SECOND - desk.now)
    desk.trade(None, "a")
    desk.wait(2 * SECOND)
    desk.trade(None, "a")
    assert not desk.breaches()


def test_an_order_that_fills_for_hours_is_one_trade_of_its_first_minute():
    desk = Desk(trade_frequency_limit.Params(per_minute=1, per_hour=1))
    desk.trade(None, "a")
    desk.wait(2 * HOUR)
    desk.trade(None, "a")
    desk.trade(None, "b")
    assert not desk.breaches()


@pytest.mark.parametrize(
    ("loss", "minutes"), [(99_990_000, None), (100 * USD, 5), (200 * USD, 15), (950 * USD, 30)]
)
def test_cooldown_after_loss_takes_the_worst_tier(loss, minutes):
    desk = Desk(cooldown_after_loss.Params())
    desk.trade(-loss)
    spans = [lock.until - desk.now for lock in desk.locks_set()]
    assert spans == ([] if minutes is None else [minutes * MINUTE])


def test_of_a_loss_nothing_is_left_while_it_pauses_and_all_when_the_pause_is_over():
    params = cooldown_after_loss.Params()
    desk = Desk(params)

    def figures():
        (row,) = cooldown_after_loss.distance(desk.account, params, desk.engine.state)
        return row.measured, row.left, row.used

    assert figures() == ("0.00 USD", "100.00 USD", 0)
    desk.trade(-300 * USD)
    desk.wait(31 * MINUTE)
    desk.trade(-120 * USD)
    assert figures() == ("120.00 USD", "0.00 USD", 120)
    desk.trade(-20 * USD)
    assert figures() == ("120.00 USD", "0.00 USD", 120)
    desk.wait(6 * MINUTE)
    assert figures() == ("0.00 USD", "100.00 USD", 0)
    (row,) = cooldown_after_loss.distance(desk.account, params, desk.engine.state)
    assert "the day's worst lost 300.00 USD" in row.formula


def test_partial_exits_of_one_order_are_one_trade():
    desk = Desk(cooldown_after_loss.Params())
    desk.trade(-60 * USD, "exit")
    assert not desk.breaches()
    desk.trade(-60 * USD, "exit")
    assert len(desk.breaches("cooldown_after_loss")) == 1


def test_a_cooldown_does_not_erase_a_hard_lock():
    desk = Desk(daily_realized_loss.Params(limit=500 * USD), cooldown_after_loss.Params())
    desk.trade(-600 * USD)
    assert {lock.rule for lock in desk.locks_set()} == {
        "daily_realized_loss",
        "cooldown_after_loss",
    }
    desk.wait(31 * MINUTE)
    assert [lock.rule for lock in desk.account.locks.values()] == ["daily_realized_loss"]
