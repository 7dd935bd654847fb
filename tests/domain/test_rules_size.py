"""What may be held: contracts in all, contracts of an instrument, blocked instruments."""

from __future__ import annotations

import pytest

from portcullis.domain.commands import (
    Close,
    Flatten,
    Reduce,
)
from portcullis.domain.model import HOUR
from portcullis.domain.plan import Plan
from portcullis.domain.rules import (
    max_contracts,
    max_contracts_per_instrument,
    symbol_blocks,
)
from tests.domain.desk import BUY, LISTED, Desk

ES, NQ, MNQ = (LISTED[t].id for t in ("ES", "NQ", "MNQ"))


# --- RULE-001 ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "params", "breaches"),
    [
        ({"ES": 5}, {"limit": 5}, False),
        ({"ES": 6}, {"limit": 5}, True),
        ({"ES": -6}, {"limit": 5}, True),
        ({"ES": 4, "MES": 10}, {"limit": 5}, False),
        ({"ES": 4, "MES": 11}, {"limit": 5}, True),
        ({"ES": 3, "NQ": -3}, {"limit": 5}, True),
        ({"MES": 5}, {"limit": 5, "micro_ratio": None}, False),
        ({"MES": 6}, {"limit": 5, "micro_ratio": None}, True),
    ],
)
def test_max_contracts_allows_n_and_breaches_above(held, params, breaches):
    desk = Desk(max_contracts.Params(**params))
    for ticker, size in held.items():
        desk.holds(ticker, size)
    assert bool(desk.breaches("max_contracts")) is breaches
    assert desk.commands() == ([Flatten("A")] if breaches else [])


def test_max_contracts_reduces_the_largest_first_and_no_further_than_needed():
    desk = Desk(max_contracts.Params(limit=3, on_breach="reduce"))
    desk.holds("NQ", 2)
    desk.holds("ES", 3)
    assert desk.commands() == [Reduce("A", ES, 1)]


def test_max_contracts_reduces_the_leg_that_adds_and_not_the_one_that_nets():
    import msgspec

    from portcullis.domain.events import InstrumentListed, PositionReported
    from portcullis.domain.model import MICRO

    desk = Desk(max_contracts.Params(limit=3, on_breach="reduce"))
    far = msgspec.structs.replace(LISTED["ES"], id="CON.F.US.EP.H27")
    desk.do(InstrumentListed(far))
    desk.do(PositionReported("A", far.id, -3, 20_000 * MICRO, desk.now))
    desk.holds("ES", 7)
    assert desk.commands() == [Reduce("A", ES, 6)]


def test_max_contracts_can_lock_until_the_next_session():
    desk = Desk(max_contracts.Params(limit=1, on_breach="lock"))
    desk.holds("ES", 2)
    assert [lock.ends for lock in desk.locks_set()] == ["next_session"]


# --- RULE-002 ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ticker", "size", "params", "command"),
    [
        ("MNQ", 2, {}, None),
        ("MNQ", 3, {}, Reduce("A", MNQ, 2)),
        ("MNQ", -3, {}, Reduce("A", MNQ, 2)),
        ("MNQ", 3, {"on_breach": "close"}, Close("A", MNQ)),
        ("ES", 1, {}, Close("A", ES)),
        ("ES", 1, {"unknown": 1}, None),
        ("ES", 2, {"unknown": 1}, Reduce("A", ES, 1)),
    ],
)
def test_max_contracts_per_instrument(ticker, size, params, command):
    desk = Desk(max_contracts_per_instrument.Params(limits={"MNQ": 2}, **params))
    desk.holds(ticker, size)
    assert desk.commands() == ([command] if command else [])


def test_the_ticker_is_found_although_the_venue_calls_es_ep():
    desk = Desk(max_contracts_per_instrument.Params(limits={"ES": 1}))
    assert LISTED["ES"].root == "EP"
    desk.holds("ES", 1)
    assert not desk.breaches()


# --- RULE-011 ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("blocked", "ticker", "hit"),
    [("ES", "ES", True), ("ES", "MES", False), ("M*", "MES", True), ("es", "ES", True)],
)
def test_symbol_blocks_match_whole_tickers_or_patterns(blocked, ticker, hit):
    desk = Desk(symbol_blocks.Params(blocked=(blocked,)))
    desk.holds(ticker, 1)
    assert bool(desk.breaches("symbol_blocks")) is hit


def test_a_block_locks_its_instrument_until_the_configuration_changes():
    desk = Desk(symbol_blocks.Params(blocked=("NQ",)))
    desk.order("NQ", BUY, 1)
    assert desk.commands() == [Close("A", NQ)]
    assert desk.locks_set()[0].instrument == NQ
    desk.wait(72 * HOUR)
    assert desk.account.locks
    desk.load(
        Plan((desk.plan.accounts[0].__class__("A", (symbol_blocks.Params(blocked=("CL",)),)),))
    )
    assert [ended.how for ended in desk.locks_ended()] == ["config"]
