"""When orders fill, and at what price."""

from __future__ import annotations

import pytest

from portcullis.domain.events import (
    AccountReported,
    OrderReported,
    PositionReported,
    Quote,
    TradeReported,
)
from portcullis.domain.model import BUY, MICRO, SELL
from portcullis.errors import VenueRefused
from portcullis.venues.simulated import Terms
from tests.venues.bench import ES, FREE, Bench

# order type, side, prices, then (bid, expected fill price or None) quote by quote; ask = bid + 1
FILLS = [
    ("market", BUY, {}, [(100, 101)]),
    ("market", SELL, {}, [(100, 100)]),
    ("limit", BUY, {"limit_price": 98}, [(100, None), (98, None), (97, 98)]),
    ("limit", BUY, {"limit_price": 98}, [(100, None), (90, 91)]),
    ("limit", SELL, {"limit_price": 103}, [(100, None), (102, None), (103, 103)]),
    ("limit", BUY, {"limit_price": 105}, [(100, 101)]),
    ("stop", BUY, {"stop_price": 104}, [(100, None), (102, None), (103, 104)]),
    ("stop", BUY, {"stop_price": 104}, [(100, None), (110, 111)]),
    ("stop", SELL, {"stop_price": 98}, [(100, None), (99, None), (98, 98)]),
    ("stop", SELL, {"stop_price": 98}, [(100, None), (90, 90)]),
    (
        "stop_limit",
        SELL,
        {"stop_price": 98, "limit_price": 97},
        [(100, None), (95, None), (96, None), (97, 97)],
    ),
    (
        "stop_limit",
        BUY,
        {"stop_price": 104, "limit_price": 104},
        [(100, None), (102, None), (103, 104)],
    ),
    ("trailing", SELL, {"trail": 5}, [(100, None), (110, None), (106, None), (105, 105)]),
    ("trailing", SELL, {"trail": 5}, [(100, None), (97, None), (95, 95)]),
    ("trailing", BUY, {"trail": 5}, [(100, None), (90, None), (94, None), (95, 96)]),
]


@pytest.mark.parametrize(("order_type", "side", "prices", "path"), FILLS)
def test_an_order_fills_when_the_market_reaches_it(order_type, side, prices, path):
    bench = Bench()
    bench.price(path[0][0])
    order_id = bench.send(side, 2, order_type, **prices)
    for place, (bid, fill) in enumerate(path):
        if place:
            bench.price(bid)
        if fill is None:
            assert not bench.trades(), f"filled too early at bid {bid}"
            assert bench.order(order_id).status == "working"
    (trade,) = bench.trades()
    assert (trade.price, trade.side, trade.size, trade.gross) == (path[-1][1], side, 2, None)
    assert bench.order(order_id).status == "filled"
    assert bench.held() == side * 2


def test_a_trailing_stop_ratchets_and_never_widens():
    bench = Bench()
    bench.price(100)
    order_id = bench.send(SELL, 1, "trailing", trail=5)
    stops = []
    for bid in (100, 103, 101, 107, 104):
        bench.price(bid)
        stops.append(bench.order(order_id).stop_price)
    assert stops == [95, 98, 98, 102, 102]


def test_one_fill_is_told_in_one_moment_and_in_order():
    bench = Bench()
    bench.price(100)
    del bench.events[:]
    order_id = bench.send(BUY, 3, key="k")
    kinds = [type(e) for e in bench.events]
    assert kinds == [
        OrderReported,
        OrderReported,
        TradeReported,
        PositionReported,
        AccountReported,
    ]
    pending, filled, trade, position, account = bench.events
    assert (pending.status, pending.version) == ("pending", 1)
    assert (filled.status, filled.version, filled.remaining) == ("filled", 2, 0)
    assert trade.order_id == order_id
    assert trade.key == "k"
    at = trade.executed_at
    assert (filled.reported_at, position.as_of, account.reported_at) == (at, at, at)
    assert (position.size, position.average, position.opened_at) == (3, 101 * MICRO, at)


def test_times_are_strictly_increasing_while_the_clock_stands_still():
    bench = Bench()
    bench.price(100)
    for _ in range(5):
        bench.send(BUY, 1)
    times = [t.executed_at for t in bench.trades()]
    assert len(set(times)) == 5
    assert times == sorted(times)
    assert bench.exchange.positions("A")[0].as_of > times[-1]


def test_a_reversal_is_a_closing_and_an_opening_trade():
    bench = Bench()
    bench.price(100)
    bench.send(BUY, 2)
    bench.price(110)
    order_id = bench.send(SELL, 5)
    _, closing, opening = bench.trades()
    assert (closing.size, closing.gross) == (2, 2 * 9 * 12_500_000)
    assert (opening.size, opening.gross) == (3, None)
    assert closing.order_id == opening.order_id == order_id
    assert closing.trade_id != opening.trade_id
    sizes = [(e.size, e.as_of) for e in bench.events if isinstance(e, PositionReported)]
    assert sizes[1:] == [(0, closing.executed_at), (-3, opening.executed_at)]


def test_limited_liquidity_fills_in_parts_over_several_quotes():
    bench = Bench(Terms(costs=FREE, liquidity=3, seed=7))
    bench.price(100)
    order_id = bench.send(BUY, 10)
    for bid in range(100, 120):
        bench.price(bid)
    sizes = [t.size for t in bench.trades()]
    assert sum(sizes) == 10
    assert len(sizes) >= 4
    assert max(sizes) <= 3
    left = [e.remaining for e in bench.events if isinstance(e, OrderReported)]
    assert left == sorted(left, reverse=True)
    assert bench.order(order_id).status == "filled"


def test_one_quote_offers_its_contracts_once():
    bench = Bench(Terms(costs=FREE, liquidity=1))
    bench.price(100)
    bench.send(BUY, 1)
    late = bench.send(BUY, 1)
    assert len(bench.trades()) == 1
    bench.price(100)
    assert bench.order(late).status == "filled"


@pytest.mark.parametrize(("order_type", "slips"), [("market", True), ("limit", False)])
def test_slippage_only_worsens_fills_at_any_price(order_type, slips):
    bench = Bench(Terms(costs=FREE, slippage=3, seed=1))
    bench.price(100)
    for _ in range(40):
        bench.send(BUY, 1, order_type, limit_price=101)
    prices = [t.price for t in bench.trades()]
    assert set(prices) == ({101, 102, 103, 104} if slips else {101})


def test_a_market_without_a_side_fills_nothing_on_it():
    bench = Bench()
    bench.price(100)
    order_id = bench.send(SELL, 1, "stop", stop_price=90)
    bench.clock.advance(MICRO)
    bench.exchange.on_quote(Quote(ES, None, 80, 80, bench.clock.now()))
    assert bench.order(order_id).status == "working"


def test_a_halt_stops_matching_and_resuming_takes_the_price_of_then():
    bench = Bench()
    bench.price(100)
    order_id = bench.send(SELL, 1, "stop", stop_price=95)
    bench.exchange.halt(ES)
    bench.price(90)
    assert bench.order(order_id).status == "working"
    with pytest.raises(VenueRefused, match="OrderRejected"):
        bench.send(BUY, 1)
    with pytest.raises(VenueRefused, match="PositionNotFound"):
        bench.exchange.reduce_position("A", ES, 1)
    bench.exchange.resume(ES)
    assert bench.trades()[0].price == 90
