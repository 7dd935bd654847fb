"""Money and positions are exact, whatever is traded in whatever order."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portcullis.domain.model import BUY, MICRO, SELL
from portcullis.errors import VenueRefused
from portcullis.venues.simulated import Costs, Terms
from portcullis.venues.simulated.contracts import CONTRACTS, instrument
from tests.venues.bench import ES, FREE, MES, Bench

VALUE = 12_500_000

STEPS = st.lists(
    st.tuples(
        st.sampled_from([BUY, SELL]),
        st.integers(1, 7),
        st.integers(-40, 40),
        st.sampled_from([ES, MES]),
    ),
    min_size=1,
    max_size=40,
)


@given(STEPS, st.sampled_from(["average", "fifo"]), st.sampled_from([None, 2]))
@settings(max_examples=150, deadline=None)
def test_realized_and_open_profit_are_the_change_of_the_market(steps, accounting, liquidity):
    terms = Terms(costs=FREE, accounting=accounting, liquidity=liquidity, slippage=2)
    bench = Bench(terms)
    bids = {ES: 20_000, MES: 20_000}
    for side, size, move, where in steps:
        bids[where] += move
        bench.price(bids[where], instrument=where)
        bench.send(side, size, instrument=where)
    for where, bid in bids.items():
        bench.price(bid, instrument=where)
    value = {ES: VALUE, MES: VALUE // 10}
    cash = sum(-t.side * t.size * t.price * value[t.instrument] for t in bench.trades())
    worth = 0
    for where, bid in bids.items():
        held = bench.size(where)
        assert bench.held(where) == held, "the position is the sum of its fills"
        worth += held * (bid if held > 0 else bid + 1) * value[where]
    realized = sum(t.gross or 0 for t in bench.trades())
    assert realized + bench.exchange.open_profit("A") == cash + worth
    assert bench.balance() == 50_000 * MICRO + realized


@pytest.mark.parametrize(
    ("accounting", "gross", "average"), [("average", 15, 105_000_000), ("fifo", 20, 110_000_000)]
)
def test_a_partial_close_is_measured_by_the_accounting_of_the_venue(accounting, gross, average):
    bench = Bench(Terms(costs=FREE, accounting=accounting))
    bench.price(99)
    bench.send(BUY, 1)
    bench.price(109)
    bench.send(BUY, 1)
    bench.price(120)
    bench.exchange.reduce_position("A", ES, 1)
    assert bench.trades()[-1].gross == gross * VALUE
    assert bench.exchange.positions("A")[0].average == average


def test_average_price_is_rounded_to_the_nearest_micro_tick():
    bench = Bench()
    for bid in (99, 99, 100):
        bench.price(bid)
        bench.send(BUY, 1)
    assert bench.exchange.positions("A")[0].average == 100_333_333


def test_costs_are_charged_per_contract_and_side():
    terms = Terms(costs=Costs(360_000, 250_000), costs_by_ticker={"MES": Costs(510_000, 0)})
    bench = Bench(terms)
    for where in (ES, MES):
        bench.price(100, instrument=where)
        bench.send(BUY, 2, instrument=where)
        bench.exchange.close_position("A", where)
    costs = [(t.fees, t.commission) for t in bench.trades()]
    assert costs == [(720_000, 500_000)] * 2 + [(1_020_000, 0)] * 2
    gross = -2 * VALUE - 2 * VALUE // 10
    assert bench.balance() == 50_000 * MICRO + gross - 4 * 610_000 - 4 * 510_000


def test_a_voided_trade_gives_its_money_back_once():
    bench = Bench()
    bench.price(100)
    bench.send(BUY, 1)
    bench.price(90)
    bench.exchange.close_position("A", ES)
    loss = bench.trades()[-1]
    assert bench.balance() == 50_000 * MICRO - 11 * VALUE
    bench.exchange.void_trade("A", loss.trade_id)
    assert bench.balance() == 50_000 * MICRO
    assert bench.exchange.trades("A", 0)[-1].voided
    with pytest.raises(VenueRefused):
        bench.exchange.void_trade("A", loss.trade_id)


def test_the_contract_table_is_exact():
    assert len(CONTRACTS) == 55
    assert instrument("ES").id == "CON.F.US.EP.Z26"
    assert instrument("ZT").tick_value == 7_812_500
    assert instrument("6J").tick_size == "0.0000005"
    assert instrument("M6B").tick_value == 625_000
    assert instrument("MES").is_micro
    assert not instrument("ES").is_micro
    assert len({i.id for i in CONTRACTS.values()}) == len(CONTRACTS)
