"""Folding the venue's facts: order, repetition and loss of messages change nothing in the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.domain.book import after_fill, nearest
from portcullis.domain.commands import Close, Flatten
from portcullis.domain.events import (
    AccountReported,
    OrderGone,
    PositionReported,
    Reconciled,
    TradeReported,
)
from portcullis.domain.locks import overruns
from portcullis.domain.model import BUY, HOUR, MICRO, SELL
from portcullis.domain.money import micros, money, open_pnl, ticks
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.rules import (
    auth_loss_guard,
    daily_realized_loss,
    max_contracts,
    max_contracts_per_instrument,
    trade_frequency_limit,
    trailing_drawdown,
)
from tests.domain.desk import LISTED, USD, Desk

ES = LISTED["ES"].id


def fill(desk: Desk, number: int, side: int, size: int, price: int, gross=None, voided=False):
    return TradeReported(
        "A",
        f"t{number}",
        f"o{number}",
        ES,
        side,
        size,
        price,
        gross,
        0,
        0,
        desk.now + number,
        voided,
    )


def test_a_repeated_trade_counts_once_and_a_voided_one_not_at_all():
    desk = Desk(daily_realized_loss.Params(limit=500 * USD))
    for _ in range(3):
        desk.trade(-300 * USD, "o", trade_id="t")
    assert desk.account.realized == -300 * USD
    desk.trade(-300 * USD, "o", trade_id="t", voided=True)
    desk.trade(-300 * USD, "o", trade_id="t", voided=True)
    assert desk.account.realized == 0
    assert desk.account.exits == {}


def test_a_void_that_comes_before_its_trade_keeps_it_out():
    desk = Desk()
    desk.trade(-300 * USD, "o", trade_id="t", voided=True)
    desk.trade(-300 * USD, "o", trade_id="t")
    assert desk.account.realized == 0


def test_a_voided_trade_no_longer_counts_as_one():
    desk = Desk(trade_frequency_limit.Params(per_minute=1))
    desk.trade(None, "a", trade_id="a")
    desk.trade(None, "a", trade_id="a", voided=True)
    desk.trade(None, "b")
    assert not desk.breaches()


def test_a_fill_moves_the_position_before_the_venue_reports_it():
    desk = Desk(max_contracts.Params(limit=2))
    desk.do(fill(desk, 1, BUY, 3, 20_000))
    assert desk.account.positions[ES].size == 3
    assert desk.breaches("max_contracts")


def test_a_fill_that_the_row_contains_is_not_counted_twice():
    desk = Desk()
    trade = fill(desk, 5, BUY, 3, 20_000)
    desk.do(PositionReported("A", ES, 3, 20_000 * MICRO, trade.executed_at))
    desk.do(trade)
    assert desk.account.positions[ES].size == 3


def test_later_fills_stand_on_the_row_in_the_order_of_the_venue():
    desk = Desk()
    later = [fill(desk, 2, SELL, 1, 20_010, gross=0), fill(desk, 1, BUY, 2, 20_000)]
    for fact in later:
        desk.do(fact)
    position = desk.account.positions[ES]
    assert (position.size, position.average) == (1, 20_000 * MICRO)


def test_a_closing_fill_that_comes_after_the_read_that_had_it_opens_nothing():
    desk = Desk(max_contracts.Params(limit=2))
    desk.do(PositionReported("A", ES, 3, 20_000 * MICRO, desk.now))
    desk.confirm()
    desk.out.clear()
    desk.do(PositionReported("A", ES, 0, 0, desk.now + 1))
    desk.do(fill(desk, 50, SELL, 3, 20_000, gross=0))
    assert desk.account.positions == {}
    assert not desk.breaches()


def test_an_older_row_or_order_never_overwrites_a_newer_one():
    desk = Desk()
    desk.do(PositionReported("A", ES, 2, 20_000 * MICRO, desk.now + 10))
    desk.do(PositionReported("A", ES, 5, 20_000 * MICRO, desk.now + 9))
    assert desk.account.positions[ES].size == 2
    desk.order("ES", BUY, 1, order_id="x", version=5)
    desk.order("ES", BUY, 9, order_id="x", version=4)
    assert desk.account.orders["x"].size == 1
    desk.order("ES", BUY, 1, order_id="x", version=6, status="cancelled", remaining=0)
    desk.order("ES", BUY, 1, order_id="x", version=5)
    assert desk.account.orders == {}


def test_an_order_the_venue_no_longer_lists_is_gone_until_it_lists_it_again():
    desk = Desk()
    desk.order("ES", BUY, 1, order_id="x", version=3)
    desk.do(OrderGone("A", "x"))
    desk.order("ES", BUY, 1, order_id="x", version=2)
    assert desk.account.orders == {}
    desk.order("ES", BUY, 1, order_id="x", version=3)
    assert list(desk.account.orders) == ["x"]


def test_equity_is_the_opening_balance_the_day_and_what_is_open():
    desk = Desk()
    desk.quote("ES", 20_000)
    desk.holds("ES", 2)
    desk.quote("ES", 20_010)
    desk.trade(-100 * USD, fees=USD)
    assert desk.account.equity() == (50_000 - 101 + 250) * USD


def test_a_balance_that_changed_otherwise_is_taken_over_after_two_looks():
    from portcullis.domain.events import Reconciled

    desk = Desk()
    desk.allows(True, balance=49_000 * USD)
    desk.do(Reconciled("A", 0, True))
    assert desk.account.equity() == 50_000 * USD
    desk.do(Reconciled("A", 0, True))
    assert desk.account.equity() == 49_000 * USD


@pytest.mark.parametrize(("grow_to", "hit"), [(1, False), (2, False), (3, True), (-1, True)])
def test_under_a_lock_that_keeps_positions_only_growth_is_enforced(grow_to, hit):
    desk = Desk()
    desk.holds("ES", 2)
    desk.ask("lock")
    desk.holds("ES", grow_to)
    assert bool(desk.breaches("lockout")) is hit


def test_what_a_lock_lets_stand_never_grows_again():
    desk = Desk()
    desk.holds("ES", 2)
    desk.ask("lock")
    desk.holds("ES", 1)
    assert not overruns(desk.account)
    desk.holds("ES", 2)
    assert desk.breaches("lockout")


def test_a_position_that_appears_under_a_hard_lock_is_closed_at_once():
    desk = Desk(daily_realized_loss.Params(limit=500 * USD))
    desk.trade(-600 * USD)
    desk.confirm()
    desk.out.clear()
    desk.holds("ES", 1)
    assert [type(c).__name__ for c in desk.commands()] == ["Close"]


def test_an_expiry_ends_its_own_row_only():
    desk = Desk()
    desk.ask("lock", for_us=HOUR)
    desk.ask("lock", for_us=2 * HOUR)
    desk.ask("lock")
    desk.wait(HOUR)
    assert len(desk.account.locks) == 2
    desk.ask("release", lock=3)
    assert list(desk.account.locks) == [2]


def test_a_released_loss_lock_does_not_fall_shut_on_the_same_figure_but_on_a_worse_one():
    desk = Desk(daily_realized_loss.Params(limit=500 * USD))
    desk.trade(-600 * USD)
    desk.confirm()
    desk.ask("release")
    desk.trade(None)
    assert not desk.account.locks
    desk.trade(-1 * USD)
    assert desk.account.locks


def test_a_refused_flatten_alerts_and_does_not_loop():
    desk = Desk(auth_loss_guard.Params())
    desk.holds("ES", 1)
    desk.allows(False)
    desk.confirm("refused")
    desk.wait(10 * 60 * MICRO)
    assert len(desk.commands()) == 1
    assert any(getattr(d, "alert", "") == "enforcement_failed" for d in desk.out)
    desk.allows(True)
    desk.holds("ES", 2)
    assert len(desk.commands()) == 2


def test_an_unconfirmed_close_is_taken_up_again():
    desk = Desk(max_contracts.Params(limit=1))
    desk.holds("ES", 2)
    desk.confirm("unconfirmed")
    desk.wait(31 * MICRO)
    assert len(desk.commands()) == 2


def refused_eleven_times() -> Desk:
    """After ten refusals in a row a command is tried every five minutes only."""
    desk = Desk(max_contracts.Params(limit=1, on_breach="lock"))
    desk.holds("ES", 2)
    for _ in range(10):
        desk.confirm("refused")
        desk.wait(31 * MICRO)
    desk.confirm("refused")
    desk.out.clear()
    desk.wait(299 * MICRO)
    assert desk.commands() == []
    return desk


def test_what_was_refused_often_is_tried_now_and_then_without_end():
    desk = refused_eleven_times()
    for _ in range(3):
        desk.wait(MICRO)
        assert desk.commands() == [Close("A", ES)]
        desk.confirm("refused")
        desk.out.clear()
        desk.wait(299 * MICRO)
    assert desk.commands() == []


def test_what_was_refused_often_is_taken_up_again_when_the_venue_acts():
    """A cancel that is confirmed shows life."""
    desk = refused_eleven_times()
    desk.order("ES", BUY, 1)
    desk.out.clear()
    desk.confirm()
    assert desk.commands() == [Close("A", ES)]


def test_a_new_day_begins_the_count_of_failures_anew():
    desk = refused_eleven_times()
    desk.wait(24 * HOUR)
    assert desk.account.failures == 0


def test_silence_of_a_venue_that_forbids_trading_is_no_refusal():
    desk = Desk(auth_loss_guard.Params())
    desk.holds("ES", 1)
    desk.allows(False)
    desk.confirm("unconfirmed")
    desk.confirm("unconfirmed")
    desk.out.clear()
    desk.wait(30 * MICRO)
    assert desk.commands() == [Close("A", ES)], "nobody knows whether it was closed"
    desk.confirm("refused")
    desk.out.clear()
    desk.wait(HOUR)
    assert desk.commands() == []


def test_a_command_of_an_account_that_left_the_plan_ends_once():
    desk = Desk(max_contracts.Params(limit=1, on_breach="flatten"))
    desk.holds("ES", 2)
    desk.load(Plan((AccountPlan("B", ()),)))
    pending = desk.account.pending
    assert pending
    desk.confirm()
    assert not pending


def test_a_failure_in_one_instrument_does_not_put_off_the_next_try_in_another():
    desk = Desk(max_contracts_per_instrument.Params(limits={}, unknown="deny", on_breach="close"))
    desk.holds("ES", 1)
    desk.confirm("unconfirmed")
    desk.wait(20 * MICRO)
    desk.holds("NQ", 1)
    desk.confirm("unconfirmed")
    desk.out.clear()
    desk.wait(11 * MICRO)
    assert Close("A", LISTED["ES"].id) in desk.commands()


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.00 USD"),
        (-512_500_000, "-512.50 USD"),
        (15_625_000, "15.625 USD"),
        (1_234_567_000_000, "1,234,567.00 USD"),
    ],
)
def test_money_is_written_exactly(amount, text):
    assert money(amount) == text


def test_prices_off_their_tick_are_refused_not_rounded():
    assert ticks("5000.25", "0.25") == 20_001
    assert ticks("0.0066785", "0.0000005") == 13_357
    for bad in ("5000.26", "nan", "inf", "x", 5000.1):
        with pytest.raises(ValueError, match="price"):
            ticks(bad, "0.25")
    with pytest.raises(ValueError, match="decimals"):
        micros("0.0000001")


@pytest.mark.parametrize("text", ["1e99999", "1e999999", "-1e999999", "1e99999999999999999999"])
def test_a_number_of_a_million_digits_is_never_written_out(text):
    with pytest.raises(ValueError, match=r"price|decimals|amount"):
        ticks(text, "0.25")
    with pytest.raises(ValueError, match=r"price|decimals|amount"):
        micros(text)


def test_the_examples_of_contract_values():
    assert open_pnl(82_800, 84_000 * MICRO, 2, LISTED["MNQ"].tick_value) == -1_200 * USD
    assert open_pnl(23_168, 23_200 * MICRO, 1, LISTED["ES"].tick_value) == -400 * USD


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(19_990, 20_010)), min_size=1, max_size=60),
    st.sampled_from([1, -1]),
    st.integers(19_980, 20_020),
    st.booleans(),
)
def test_a_rounded_average_takes_nothing_from_a_loss(fills, side, mark, told_by_venue):
    """Money is that of the fills, whoever rounded the average they came to."""
    value = LISTED["ES"].tick_value
    size = cost = 0
    for count, price in fills:
        size, cost = after_fill(size, cost, side * count, price)
    average = nearest(cost, size)
    if told_by_venue:
        average = round(sum(count * price * MICRO for count, price in fills) / abs(size))
    true = sum(side * count * (mark - price) for count, price in fills) * value
    assert open_pnl(mark, average, size, value) == true


def test_an_older_word_on_the_account_never_overwrites_a_newer_one():
    desk = Desk(auth_loss_guard.Params(auto_unlock=True))
    told = desk.now
    desk.now += MICRO
    desk.allows(True)
    desk.do(AccountReported("A", False, 1, "USD", told))
    assert not desk.breaches()
    assert desk.account.balance == 50_000 * USD


def test_a_time_far_ahead_does_not_keep_later_words_out():
    desk = Desk(auth_loss_guard.Params())
    desk.do(AccountReported("A", True, 50_000 * USD, "USD", desk.now + HOUR))
    desk.now += MICRO
    desk.allows(False)
    assert [breach.rule for breach in desk.breaches()] == ["auth_loss_guard"]


def test_what_was_refused_is_asked_for_at_once_when_the_venue_allows_again():
    """The size of a position is no rule about the account's flag, and is judged all the same."""
    desk = Desk(max_contracts.Params(limit=1))
    desk.holds("ES", 2)
    desk.confirm("refused")
    desk.allows(False)
    desk.now += MICRO
    desk.out.clear()
    desk.allows(True)
    assert desk.commands() == [Flatten("A")]


def test_a_balance_read_before_a_fill_does_not_move_the_days_beginning():
    """At a start the balance may be read before the last fill, and compared after it."""
    desk = Desk(trailing_drawdown.Params(50_000 * USD, 300 * USD))
    account = desk.account
    account.opening_balance, account.high = None, None
    told = desk.now
    desk.trade(-200 * USD, at=told + 1)
    desk.do(AccountReported("A", True, 50_000 * USD, "USD", told))
    desk.do(Reconciled("A", 1, True))
    assert account.equity() == 49_800 * USD
    assert not desk.breaches("trailing_drawdown")
