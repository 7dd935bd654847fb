"""Stops: the one a position must have, and the one that is managed."""

from __future__ import annotations

import pytest

from portcullis.domain.commands import (
    CancelOrder,
    Close,
    MoveStop,
    PlaceStop,
)
from portcullis.domain.events import Quote
from portcullis.domain.model import HOUR, MINUTE, SECOND
from portcullis.domain.rules import (
    no_stop_loss_grace,
    trade_management,
)
from tests.domain.desk import BUY, LISTED, SELL, Desk

ES = LISTED["ES"].id


# --- RULE-008 ----------------------------------------------------------------------------------


def test_no_stop_loss_grace_closes_after_the_grace_and_not_before():
    desk = Desk(no_stop_loss_grace.Params(grace=30 * SECOND))
    desk.holds("ES", 1)
    desk.wait(30 * SECOND)
    assert not desk.breaches()
    desk.wait(1)
    assert desk.commands() == [Close("A", ES, unless_covered=True)]


@pytest.mark.parametrize(
    ("order", "is_covered"),
    [
        (("ES", SELL, 2, "stop"), True),
        (("ES", SELL, 2, "stop_limit"), True),
        (("ES", SELL, 2, "trailing"), True),
        (("ES", SELL, 1, "stop"), False),
        (("ES", SELL, 2, "limit"), False),
        (("ES", BUY, 2, "stop"), False),
        (("NQ", SELL, 2, "stop"), False),
    ],
)
def test_what_counts_as_a_stop(order, is_covered):
    desk = Desk(no_stop_loss_grace.Params(grace=30 * SECOND))
    desk.holds("ES", 2)
    ticker, side, size, kind = order
    desk.order(ticker, side, size, kind)
    desk.wait(MINUTE)
    assert bool(desk.breaches()) is not is_covered


def test_a_suspended_child_counts_only_while_its_parent_works():
    desk = Desk(no_stop_loss_grace.Params(grace=30 * SECOND))
    desk.order("ES", BUY, 2, order_id="parent", remaining=1)
    desk.order("ES", SELL, 1, "stop", order_id="child", status="suspended", parent="parent")
    desk.holds("ES", 1)
    desk.wait(MINUTE)
    assert not desk.breaches()
    desk.order("ES", BUY, 2, order_id="parent", status="cancelled", version=2, remaining=0)
    desk.wait(MINUTE)
    assert desk.breaches("no_stop_loss_grace")


def stopped(size: int, stop: int) -> Desk:
    """A position entered at 20,000 with a stop that does not fire, whatever the price."""
    desk = Desk(no_stop_loss_grace.Params(grace=30 * SECOND))
    desk.quote("ES", 20_000)
    desk.holds("ES", size)
    desk.order("ES", SELL if size > 0 else BUY, abs(size), "stop", price=stop)
    return desk


@pytest.mark.parametrize(
    ("size", "stop", "quote", "is_passed"),
    [
        (2, 19_990, (19_991, 19_992, 19_991), False),
        (2, 19_990, (19_990, 19_991, 19_990), False),
        (2, 19_990, (19_989, 19_991, 19_989), True),
        (2, 19_990, (19_989, 20_011, 19_990), False),  # nothing was traded beyond it
        (-2, 20_010, (20_009, 20_010, 20_010), False),
        (-2, 20_010, (20_010, 20_011, 20_011), True),
        (-2, 20_010, (19_990, 20_011, 20_010), False),
    ],
)
def test_a_stop_that_the_market_has_passed_covers_nothing(size, stop, quote, is_passed):
    desk = stopped(size, stop)
    desk.wait(MINUTE)
    ticking(desk, 30, *quote)
    assert not desk.breaches()
    ticking(desk, 1, *quote)
    assert desk.commands() == ([Close("A", ES, unless_covered=True)] if is_passed else [])


def ticking(desk: Desk, seconds: int, *quote: int) -> None:
    """The market stays where it is, and says so every second."""
    for _ in range(seconds):
        desk.quote("ES", *quote)
        desk.wait(SECOND)


def test_an_old_price_passes_no_stop():
    desk = stopped(2, 19_990)
    desk.quote("ES", 19_980)
    desk.wait(MINUTE)
    assert not desk.breaches()
    ticking(desk, 1, 19_980)
    assert desk.breaches()


def test_a_price_of_before_the_position_passes_no_stop():
    desk = Desk(no_stop_loss_grace.Params(grace=5 * SECOND))
    desk.quote("ES", 19_900)
    desk.wait(SECOND)
    desk.holds("ES", 2, 20_100)
    desk.order("ES", SELL, 2, "stop", price=20_000)
    desk.wait(8 * SECOND)
    assert not desk.breaches()


@pytest.mark.parametrize(
    ("size", "stop", "bid", "ask", "is_passed"),
    [
        (2, 19_980, 19_900, 20_005, False),
        (2, 19_980, 19_900, 19_901, True),
        (2, 19_980, 19_900, None, False),
        (-2, 20_010, 19_995, 20_200, False),
        (-2, 20_010, 20_199, 20_200, True),
    ],
)
def test_where_no_trade_is_known_both_sides_must_be_beyond(size, stop, bid, ask, is_passed):
    desk = Desk(no_stop_loss_grace.Params(grace=5 * SECOND))
    desk.holds("ES", size)
    desk.order("ES", SELL if size > 0 else BUY, abs(size), "stop", price=stop)
    for _ in range(8):
        desk.do(Quote(ES, bid, ask, None, desk.now))
        desk.wait(SECOND)
    assert bool(desk.breaches()) is is_passed


def test_a_stop_that_the_market_came_back_over_covers_again():
    desk = stopped(2, 19_990)
    for price in (19_980, 19_995) * 3:
        ticking(desk, 20, price)
    assert not desk.breaches()


def test_of_two_stops_the_one_that_was_not_passed_still_covers_its_part():
    desk = stopped(1, 19_990)
    desk.order("ES", SELL, 1, "stop", order_id="far", price=19_900)
    ticking(desk, 60, 19_980)
    assert not desk.breaches()
    desk.holds("ES", 2)
    ticking(desk, 60, 19_980)
    assert "the market has passed those of 1, unfilled" in desk.breaches()[0].reason.formula


def test_a_grace_of_more_than_a_day_does_not_wrap():
    desk = Desk(no_stop_loss_grace.Params(grace=25 * HOUR))
    desk.holds("ES", 1)
    desk.wait(24 * HOUR + 30 * SECOND)
    assert not desk.breaches()
    desk.wait(HOUR)
    assert desk.breaches()


def test_a_position_opened_while_nobody_watched_has_used_its_grace():
    desk = Desk(no_stop_loss_grace.Params(grace=30 * SECOND))
    desk.holds("ES", 1, opened_at=desk.now - 5 * MINUTE)
    desk.wait(0)
    assert desk.breaches()


# --- RULE-012 ----------------------------------------------------------------------------------


def managed(**settings) -> Desk:
    desk = Desk(trade_management.Params(**settings))
    desk.quote("ES", 20_000)
    return desk


def test_an_automatic_stop_is_placed_at_its_distance():
    desk = managed(auto_stop=20)
    desk.holds("ES", 2)
    assert desk.commands() == [PlaceStop("A", ES, SELL, 2, 19_980)]


def test_break_even_and_trailing_ratchet_and_never_widen():
    desk = managed(
        auto_stop=20,
        break_even=trade_management.BreakEven(10, 2),
        trailing=trade_management.Trailing(30, 15),
    )
    desk.holds("ES", 1)
    desk.order("ES", SELL, 1, "stop", price=19_980, order_id="s")
    desk.confirm()
    prices = []
    for bid in (20_009, 20_010, 20_005, 20_030, 20_020, 20_040):
        desk.wait(2 * SECOND)
        desk.out.clear()
        desk.quote("ES", bid)
        moved = [c for c in desk.commands() if isinstance(c, MoveStop)]
        for command in moved:
            prices.append(command.stop_price)
            desk.order(
                "ES",
                SELL,
                1,
                "stop",
                price=command.stop_price,
                order_id="s",
                version=len(prices) + 1,
            )
            desk.confirm()
    assert prices == [20_002, 20_015, 20_025]


def test_a_stop_that_is_refused_is_tried_again_soon_and_then_now_and_then():
    desk = managed(auto_stop=20)
    desk.holds("ES", 1)
    for pause in (*[30 * SECOND] * 10, 5 * MINUTE, 5 * MINUTE):
        assert desk.commands() == [PlaceStop("A", ES, SELL, 1, 19_980)]
        desk.confirm("refused")
        desk.out.clear()
        desk.wait(pause - 1)
        assert desk.commands() == []
        desk.wait(1)


def test_one_stop_that_was_placed_begins_the_count_of_refusals_anew():
    desk = managed(auto_stop=20)
    desk.holds("ES", 1)
    for outcome in ("refused", "refused", "confirmed"):
        desk.confirm(outcome)
        desk.wait(30 * SECOND)
    assert desk.account.stop_failures == 0
    assert desk.account.failures == 0


def test_what_a_price_led_to_is_waited_for():
    """The next move of the stop is due in a second, though no other fact of the account comes."""
    desk = managed(trailing=trade_management.Trailing(5, 5))
    desk.holds("ES", 1)
    desk.order("ES", SELL, 1, "stop", price=19_980, order_id="s")
    desk.wait(2 * SECOND)
    desk.out.clear()
    desk.quote("ES", 20_010)
    assert desk.commands() == [MoveStop("A", ES, "s", 20_005, 1)]
    assert desk.engine.next_deadline() == desk.now + SECOND


def test_a_tighter_stop_of_a_person_is_respected():
    desk = managed(auto_stop=20)
    desk.holds("ES", 1)
    desk.out.clear()
    desk.order("ES", SELL, 1, "stop", price=19_990, order_id="mine")
    desk.confirm()
    desk.wait(5 * SECOND)
    desk.quote("ES", 20_001)
    assert not [c for c in desk.commands() if isinstance(c, MoveStop)]


def test_the_stop_follows_the_size():
    desk = managed(auto_stop=20)
    desk.holds("ES", 1)
    desk.order("ES", SELL, 1, "stop", price=19_980, order_id="s")
    desk.confirm()
    desk.out.clear()
    desk.holds("ES", 3)
    assert desk.commands() == [MoveStop("A", ES, "s", 19_980, 3)]


def test_a_stop_that_outlived_its_position_is_withdrawn():
    desk = managed(auto_stop=20)
    desk.holds("ES", 1)
    key = next(iter(desk.account.pending))
    from portcullis.domain.events import OrderReported

    desk.do(
        OrderReported(
            "A",
            "s",
            ES,
            SELL,
            "stop",
            1,
            1,
            "working",
            1,
            desk.now,
            stop_price=19_980,
            key=key + "/stop",
        )
    )
    desk.confirm()
    desk.out.clear()
    desk.holds("ES", 0)
    desk.order("ES", BUY, 1, price=100)
    assert CancelOrder("A", ES, "s") in desk.commands()
