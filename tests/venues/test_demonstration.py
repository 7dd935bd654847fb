"""Scripted traders, and the demonstration: fourteen rules broken in turn on recorded prices."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from portcullis.clock import ManualClock
from portcullis.domain.model import BUY, MICRO, SECOND, SELL
from portcullis.errors import UsageError
from portcullis.venues.simulated import Exchange, instrument
from portcullis.venues.simulated.demonstration import EXPECTED, LENGTH, demonstration
from portcullis.venues.simulated.traders import (
    Allow,
    Cancel,
    Close,
    Move,
    Place,
    Step,
    Trader,
    When,
)
from tests.venues.bench import ES, START, Bench
from tests.venues.referee import Referee

RULES = {
    "max_contracts",
    "max_contracts_per_instrument",
    "daily_realized_loss",
    "daily_unrealized_loss",
    "max_unrealized_profit",
    "trade_frequency_limit",
    "cooldown_after_loss",
    "no_stop_loss_grace",
    "session_block_outside",
    "auth_loss_guard",
    "symbol_blocks",
    "trade_management",
    "daily_realized_profit",
    "trailing_drawdown",
}


def run(seed: int, delay: int = 0) -> tuple[Referee, list[Trader]]:
    """Play the whole demonstration under a referee."""
    clock = ManualClock(START)
    tickers = ("ES", "MES", "NQ", "MNQ")
    exchange = Exchange(clock, instruments=[instrument(t) for t in tickers])
    plan = demonstration(seed)
    referee = Referee(exchange, EXPECTED, delay)
    traders = plan.traders(exchange)
    for frame in itertools.takewhile(lambda f: f.at <= START + LENGTH, plan.replay.frames(START)):
        clock.advance(max(0, frame.at - clock.now()))
        for quote in frame.quotes:
            exchange.on_quote(quote)
        for trader in traders:
            trader.look(frame.at)
        referee.look(frame.at)
    return referee, traders


@pytest.mark.parametrize(("seed", "delay"), [(0, 0), (0, 2), (0, 4), (1, 1), (2, 1), (3, 1)])
def test_every_rule_is_broken_in_its_account_in_the_expected_order(seed, delay):
    referee, traders = run(seed, delay)
    for account, rules in EXPECTED.items():
        first = list(dict.fromkeys(b.rule for b in referee.breaches if b.account == account))
        assert first == [rule for rule, _ in rules], account
    assert {b.rule for b in referee.breaches} == RULES
    assert all(trader.finished for trader in traders)
    assert max(b.at for b in referee.breaches) <= START + LENGTH - 30 * SECOND
    assert referee.orders_while_locked == [], "no entry is hidden behind a cool-down"
    assert [t.account for t in traders if referee.exchange.positions(t.account)] == []


def test_the_managed_trade_is_stopped_out_in_profit_after_each_stage():
    referee, _ = run(0)
    automatic, break_even, *trailing = referee.stops[: referee.stops.index(0, 1)]
    assert (automatic, break_even) == (0, 2)
    assert trailing
    assert trailing == sorted(trailing)
    assert trailing[0] >= 30


def test_the_expected_table_covers_the_fourteen_rules_once():
    rules = [rule for table in EXPECTED.values() for rule, _ in table]
    assert sorted(rules) == sorted(RULES)


def test_the_shipped_configuration_is_what_the_demonstration_expects():
    shipped = Path(__file__).parents[2] / "config" / "accounts.yaml"
    accounts = yaml.safe_load(shipped.read_text(encoding="utf-8"))["accounts"]
    for account, rules in EXPECTED.items():
        assert list(accounts[account]["rules"].items()) == rules


TRACE = """
import hashlib
from tests.venues.test_demonstration import run
referee, _ = run(3)
trace = repr([list(referee.exchange.journal), referee.breaches])
print(hashlib.sha256(trace.encode()).hexdigest())
"""


def test_a_run_repeats_in_another_process_with_another_hash_seed():
    traces = [
        subprocess.run(
            [sys.executable, "-c", TRACE],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
        ).stdout
        for seed in ("1", "77")
    ]
    assert traces[0] == traces[1] != ""


def test_a_seed_that_suits_no_slice_is_refused(monkeypatch):
    monkeypatch.setattr("portcullis.venues.simulated.demonstration.FIRST_DAYS", ())
    with pytest.raises(UsageError, match="seed"):
        demonstration(0)


# --- the script language --------------------------------------------------------------------------


def trader(bench: Bench, *steps: Step) -> Trader:
    return Trader(bench.exchange, "A", steps)


def walk(bench: Bench, watcher: Trader, *bids: int) -> list[int]:
    """How many steps were done after each quote, one a second."""
    counts = []
    for bid in bids:
        bench.price(bid)
        watcher.look(bench.clock.now())
        counts.append(len(watcher.done))
    return counts


BUY_ONE = Place("ES", BUY, 1)
CONDITIONS = [
    (When(at=2 * SECOND), [100, 100, 100], [0, 0, 1]),
    (When(), [100], [1]),
    (When(flat=True), [100], [1]),
    (When(flat=False), [100, 100], [0, 0]),
    (When(ticker="ES", price_at_least=102), [100, 101, 102], [0, 0, 1]),
    (When(ticker="ES", price_at_most=98, price_at_least=97), [100, 96, 98], [0, 0, 1]),
    (When(ticker="NQ", price_at_least=1), [100, 100], [0, 0]),
]


@pytest.mark.parametrize(("when", "bids", "counts"), CONDITIONS)
def test_a_step_waits_for_its_condition(when, bids, counts):
    bench = Bench()
    assert walk(bench, trader(bench, Step(when, BUY_ONE)), *bids) == counts


def test_steps_wait_for_each_other_and_for_profit():
    bench = Bench()
    watcher = trader(
        bench,
        Step(When(), BUY_ONE),
        Step(When(after=2 * SECOND), BUY_ONE),
        Step(When(profit_at_most=-2 * 4 * 12_500_000), Close("ES")),
        Step(When(flat=True), Place("ES", SELL, 1)),
        Step(When(profit_at_least=12_500_000), Close("ES")),
    )
    assert walk(bench, watcher, 100, 100, 100, 98, 97, 96, 95) == [1, 1, 2, 2, 4, 4, 5]
    assert bench.held() == 0


def test_traders_place_move_and_cancel_orders_relative_to_the_market():
    bench = Bench()
    watcher = trader(
        bench,
        Step(When(), BUY_ONE),
        Step(When(), Place("ES", SELL, 1, "stop", offset=-5)),
        Step(When(), Place("ES", SELL, 1, "limit", offset=8)),
        Step(When(at=SECOND), Move("ES", -2)),
        Step(When(at=2 * SECOND), Cancel("ES")),
        Step(When(at=2 * SECOND), Allow(can_trade=False)),
        Step(When(at=2 * SECOND), BUY_ONE),
    )
    walk(bench, watcher, 100)
    stop, limit = bench.exchange.orders("A")
    assert (stop.stop_price, limit.limit_price) == (95, 108)
    walk(bench, watcher, 101)
    assert bench.exchange.orders("A")[0].stop_price == 99
    walk(bench, watcher, 102)
    assert bench.exchange.orders("A") == []
    assert watcher.done[-1].refused == "AccountViolation"
    assert watcher.finished
    assert bench.size(ES) == 1
    assert bench.balance() < 50_000 * MICRO + 1
