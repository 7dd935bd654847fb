"""Closing, reducing, refusals, keys, the operator's acts, and the journal that proves it."""

from __future__ import annotations

import pytest

from portcullis.domain.events import AccountReported, OrderReported
from portcullis.domain.model import BUY, MICRO, SELL
from portcullis.errors import VenueRefused
from portcullis.venues.simulated import Terms
from tests.venues.bench import ES, FREE, MES, Bench


def long_three(terms: Terms | None = None, **kwargs) -> Bench:
    bench = Bench(terms, **kwargs)
    bench.price(100)
    bench.send(BUY, 3)
    return bench


def refused(call, *args, **kwargs) -> str:
    with pytest.raises(VenueRefused) as caught:
        call(*args, **kwargs)
    assert caught.value.remedy
    return caught.value.code


def test_closing_closes_what_is_there_and_again_is_success():
    bench = long_three()
    bench.exchange.close_position("A", ES, "c1")
    assert bench.held() == 0
    bench.exchange.close_position("A", ES, "c2")
    bench.exchange.close_position("A", MES, "c3")
    assert len(bench.trades()) == 2
    assert bench.trades()[-1].key == "c1"


def test_two_closers_at_once_never_close_more_than_there_is():
    bench = Bench(Terms(costs=FREE, liquidity=1))
    bench.price(100)
    bench.send(BUY, 4)
    for _ in range(4):
        bench.price(100)
    bench.exchange.close_position("A", ES, "one")
    bench.exchange.close_position("A", ES, "two")
    for _ in range(8):
        bench.price(100)
    assert bench.held() == 0
    assert bench.exchange.orders("A") == []
    assert bench.order(bench.by_key("two").order_id).status == "cancelled"


@pytest.mark.parametrize("seed", range(12))
def test_a_close_that_is_still_filling_never_overshoots_what_others_leave(seed):
    bench = Bench(Terms(costs=FREE, liquidity=3, seed=seed))
    bench.price(100)
    bench.send(BUY, 7)
    while bench.held() < 7:
        bench.price(100)
    bench.send(SELL, 3, "limit", limit_price=110)
    bench.exchange.close_position("A", ES, "c")
    bench.price(110)  # the older limit order is served first
    for _ in range(12):
        bench.price(100)
    assert sum(t.size for t in bench.trades() if t.key != "c" and t.side == SELL) > 0
    assert bench.held() == 0
    assert [o.type for o in bench.exchange.orders("A")] in ([], ["limit"])


@pytest.mark.parametrize(
    ("size", "code"), [(1, None), (3, None), (4, "InvalidCloseSize"), (0, "InvalidCloseSize")]
)
def test_reducing_takes_no_more_than_there_is(size, code):
    bench = long_three()
    if code:
        assert refused(bench.exchange.reduce_position, "A", ES, size, "r") == code
        assert bench.held() == 3
    else:
        bench.exchange.reduce_position("A", ES, size, "r")
        assert bench.held() == 3 - size


def test_reducing_nothing_is_refused():
    bench = Bench()
    bench.price(100)
    assert refused(bench.exchange.reduce_position, "A", ES, 1) == "PositionNotFound"


MALFORMED = [
    (BUY, 0, "market", {}),
    (2, 1, "market", {}),
    (BUY, 1, "limit", {}),
    (BUY, 1, "stop", {}),
    (BUY, 1, "stop_limit", {"stop_price": 5}),
    (BUY, 1, "trailing", {"trail": 0}),
    (BUY, 1, "trailing", {"trail": 1001}),
    (BUY, 1, "market", {"stop_loss": 110, "take_profit": 90}),
    (SELL, 1, "market", {"stop_loss": 90, "take_profit": 110}),
    (BUY, 1, "market", {"instrument": MES}),
]


@pytest.mark.parametrize(("side", "size", "order_type", "prices"), MALFORMED)
def test_a_malformed_or_priceless_order_is_refused_and_stays_on_record(
    side, size, order_type, prices
):
    bench = Bench()
    bench.price(100)
    assert refused(bench.send, side, size, order_type, key="k", **prices) == "OrderRejected"
    assert bench.by_key("k").status == "rejected"
    assert bench.exchange.orders("A") == []


def test_unknown_names_are_refused():
    bench = Bench()
    bench.price(100)
    assert refused(bench.exchange.close_position, "B", ES) == "AccountNotFound"
    assert refused(bench.exchange.close_position, "A", "ES") == "ContractNotFound"
    assert refused(bench.exchange.cancel_order, "A", "99") == "OrderNotFound"
    assert refused(bench.exchange.positions, "B") == "AccountNotFound"


def test_cancelling_twice_is_success_and_modifying_the_dead_is_refused():
    bench = Bench()
    bench.price(100)
    order_id = bench.send(BUY, 2, "limit", limit_price=90)
    bench.exchange.modify_order("A", order_id, size=1)
    assert bench.order(order_id).remaining == 1
    bench.exchange.cancel_order("A", order_id)
    bench.exchange.cancel_order("A", order_id)
    assert refused(bench.exchange.modify_order, "A", order_id, size=1) == "OrderRejected"


def test_a_stop_moved_through_the_market_fills_at_once():
    bench = long_three()
    order_id = bench.send(SELL, 3, "stop", stop_price=90)
    bench.exchange.modify_order("A", order_id, stop_price=105)
    assert bench.held() == 0


KEYS = [
    (Terms(costs=FREE), 0, 2),
    (Terms(costs=FREE, deduplicates="always"), 10**9, 1),
    (Terms(costs=FREE, deduplicates="window", window=5 * MICRO), 4 * MICRO, 1),
    (Terms(costs=FREE, deduplicates="window", window=5 * MICRO), 6 * MICRO, 2),
]


@pytest.mark.parametrize(("terms", "later", "orders"), KEYS)
def test_a_key_is_carried_out_again_as_far_as_the_venue_lets_it(terms, later, orders):
    bench = Bench(terms)
    bench.price(100)
    first = bench.send(BUY, 1, key="k")
    bench.clock.advance(later)
    again = bench.send(BUY, 1, key="k")
    assert len(bench.trades()) == orders
    assert (first == again) is (orders == 1)
    repeated = [j for j in bench.exchange.journal if j.what == "repeated"]
    assert len(repeated) == 2 - orders


def test_a_repeated_reduce_and_a_repeated_rejection_give_the_same_answer():
    bench = long_three(Terms(costs=FREE, deduplicates="always"))
    bench.exchange.reduce_position("A", ES, 1, "r")
    bench.exchange.reduce_position("A", ES, 1, "r")
    assert bench.held() == 2
    assert refused(bench.send, BUY, 0, key="bad") == "OrderRejected"
    assert refused(bench.send, BUY, 0, key="bad") == "OrderRejected"


def test_an_account_that_may_not_trade_can_still_close():
    bench = long_three()
    bench.exchange.set_can_trade("A", False)
    assert refused(bench.send, BUY, 1) == "AccountViolation"
    bench.exchange.close_position("A", ES)
    assert bench.held() == 0
    bench.exchange.set_can_trade("A", None)
    assert bench.exchange.accounts()[0].can_trade is None
    assert refused(bench.send, BUY, 1) == "AccountViolation"


def test_refuse_to_close():
    bench = long_three()
    bench.exchange.refuse_close("A")
    assert refused(bench.exchange.close_position, "A", ES) == "AccountRejected"
    assert refused(bench.exchange.reduce_position, "A", ES, 1) == "AccountRejected"
    bench.exchange.refuse_close("A", False)
    bench.exchange.close_position("A", ES)
    assert bench.held() == 0


@pytest.mark.parametrize("refuses", [("cancel", "reduce"), ("close",), ()])
def test_live_accounts_refuse_what_the_terms_say(refuses):
    bench = long_three(Terms(costs=FREE, live_refuses=refuses), flavour="live")
    order_id = bench.send(BUY, 1, "limit", limit_price=90)
    acts = {
        "cancel": lambda: bench.exchange.cancel_order("A", order_id),
        "reduce": lambda: bench.exchange.reduce_position("A", ES, 1),
        "close": lambda: bench.exchange.close_position("A", ES),
    }
    for name, act in acts.items():
        if name in refuses:
            assert refused(act) == "AccountRejected"
        else:
            act()


def test_a_halted_instrument_refuses_to_close():
    bench = long_three()
    bench.exchange.halt(ES)
    assert refused(bench.exchange.close_position, "A", ES) == "OrderRejected"
    assert bench.held() == 3


def test_the_venue_liquidates_without_an_order_of_ours():
    bench = long_three()
    bench.price(100, instrument=MES)
    bench.send(SELL, 2, instrument=MES)
    bench.send(SELL, 3, "stop", stop_price=90)
    bench.exchange.liquidate("A")
    assert bench.exchange.positions("A") == []
    assert bench.exchange.orders("A") == []
    assert [t.key for t in bench.trades()[-2:]] == ["", ""]
    assert [e.can_trade for e in bench.events if isinstance(e, AccountReported)][-1] is False
    assert {j.call for j in bench.exchange.journal if j.what == "executed"} == {
        "place_order",
        "liquidate",
    }


def test_versions_of_an_order_grow_by_one():
    bench = long_three()
    order_id = bench.send(SELL, 3, "stop", stop_price=90)
    bench.exchange.modify_order("A", order_id, stop_price=95)
    bench.price(80)
    versions = [
        e.version for e in bench.events if isinstance(e, OrderReported) and e.order_id == order_id
    ]
    assert versions == [1, 2, 3]


def test_the_journal_ties_every_execution_to_its_request():
    bench = long_three()
    bench.exchange.close_position("A", ES, "flat")
    with pytest.raises(VenueRefused):
        bench.exchange.reduce_position("A", ES, 1, "late")
    lines = [(j.what, j.call, j.key, j.size) for j in bench.exchange.journal]
    assert lines == [
        ("requested", "place_order", "", 3),
        ("executed", "place_order", "", 3),
        ("requested", "close_position", "flat", 0),
        ("executed", "close_position", "flat", 3),
        ("requested", "reduce_position", "late", 1),
        ("refused", "reduce_position", "late", 1),
    ]
    times = [j.at for j in bench.exchange.journal]
    assert times == sorted(times)


def test_trades_are_read_from_a_moment_on():
    bench = long_three()
    bench.send(SELL, 1)
    first, second = bench.exchange.trades("A", 0)
    assert bench.exchange.trades("A", second.executed_at) == [second]
    assert bench.exchange.trades("A", first.executed_at) == [first, second]
    assert bench.exchange.trades("A", second.executed_at + 1) == []
