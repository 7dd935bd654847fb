"""Bracket children: suspended, woken by the parent's fill, one cancels the other."""

from __future__ import annotations

import pytest

from portcullis.domain.events import OrderReported
from portcullis.domain.model import BUY, SELL
from portcullis.venues.simulated import Terms
from tests.venues.bench import ES, FREE, Bench


def bracket(bench: Bench, size: int = 3, order_type="market", **prices) -> tuple[str, str, str]:
    parent = bench.send(BUY, size, order_type, stop_loss=90, take_profit=120, key="entry", **prices)
    legs: list[str] = []
    for event in bench.events:
        if isinstance(event, OrderReported) and event.parent == parent:
            legs += [] if event.order_id in legs else [event.order_id]
    return parent, legs[0], legs[1]


def test_children_sleep_until_the_parent_fills():
    bench = Bench()
    bench.price(100)
    parent, stop, target = bracket(bench, order_type="limit", limit_price=95)
    statuses = {o.order_id: o.status for o in bench.exchange.orders("A")}
    assert statuses == {parent: "working", stop: "suspended", target: "suspended"}
    assert bench.order(stop).parent == bench.order(target).parent == parent
    assert (bench.order(stop).key, bench.order(target).key) == ("entry-SL", "entry-TP")
    bench.price(94)
    assert [bench.order(o).status for o in (parent, stop, target)] == [
        "filled",
        "working",
        "working",
    ]


@pytest.mark.parametrize(("bid", "filled", "price"), [(89, 0, 89), (121, 1, 121)])
def test_one_leg_cancels_the_other(bid, filled, price):
    bench = Bench()
    bench.price(100)
    _, *legs = bracket(bench)
    bench.price(bid)
    assert bench.trades()[-1].price == price
    assert bench.order(legs[filled]).status == "filled"
    assert bench.order(legs[1 - filled]).status == "cancelled"
    assert bench.held() == 0
    assert bench.exchange.orders("A") == []


def test_cancelling_the_sleeping_parent_cancels_the_children():
    bench = Bench()
    bench.price(100)
    parent, *_ = bracket(bench, order_type="limit", limit_price=95)
    bench.exchange.cancel_order("A", parent)
    assert bench.exchange.orders("A") == []


def test_children_follow_the_filled_size_through_partial_fills():
    bench = Bench(Terms(costs=FREE, liquidity=1))
    bench.price(100)
    parent, stop, target = bracket(bench)
    assert (bench.held(), bench.order(stop).size, bench.order(target).size) == (1, 1, 1)
    bench.price(100)
    assert (bench.order(stop).remaining, bench.order(target).remaining) == (2, 2)
    bench.exchange.cancel_order("A", parent)
    bench.price(85)
    assert bench.order(target).remaining == 1, "the sibling shrinks with each part"
    bench.price(85)
    assert bench.held() == 0
    assert (bench.order(stop).status, bench.order(target).status) == ("filled", "cancelled")


def test_a_leg_filled_while_the_parent_still_fills_sleeps_and_wakes_again():
    bench = Bench(Terms(costs=FREE, liquidity=1))
    bench.price(100)
    parent, stop, target = bracket(bench, size=2, order_type="limit", limit_price=101)
    assert bench.held() == 1
    bench.price(121)
    assert bench.held() == 0
    assert bench.order(target).status == "suspended"
    bench.price(100)
    assert (bench.held(), bench.order(parent).status) == (1, "filled")
    assert (bench.order(stop).status, bench.order(target).status) == ("working", "working")
    bench.price(121)
    assert bench.held() == 0
    assert bench.exchange.orders("A") == []


@pytest.mark.parametrize("together", [False, True])
def test_cancelling_one_leg_is_a_switch(together):
    bench = Bench(Terms(costs=FREE, cancel_oco_together=together))
    bench.price(100)
    _, stop, target = bracket(bench)
    bench.exchange.cancel_order("A", stop)
    assert bench.order(target).status == ("cancelled" if together else "working")


@pytest.mark.parametrize("cleans", [False, True])
def test_closing_leaves_working_legs_unless_the_venue_cleans_up(cleans):
    bench = Bench(Terms(costs=FREE, cancel_brackets_when_flat=cleans))
    bench.price(100)
    bracket(bench)
    bench.exchange.close_position("A", ES)
    assert bench.held() == 0
    assert len(bench.exchange.orders("A")) == (0 if cleans else 2)
    bench.price(85)
    assert bench.held() == (0 if cleans else -3), "an orphaned stop opens a position"


def test_moving_one_leg_leaves_its_sibling_and_a_resized_leg_stays_resized():
    bench = Bench()
    bench.price(100)
    _, stop, target = bracket(bench)
    bench.exchange.modify_order("A", stop, stop_price=97, size=2)
    assert (bench.order(stop).stop_price, bench.order(stop).size) == (97, 2)
    assert bench.order(target).size == 3
    bench.price(96)
    assert bench.held() == 1
    assert bench.order(stop).status == "filled"
    assert (bench.order(target).status, bench.order(target).remaining) == ("working", 1)


def test_a_bracket_on_a_short_entry_mirrors():
    bench = Bench()
    bench.price(100)
    bench.send(SELL, 1, stop_loss=110, take_profit=80)
    bench.price(110)
    assert [(t.side, t.price) for t in bench.trades()] == [(SELL, 100), (BUY, 111)]
