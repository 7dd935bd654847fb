"""What all rules have in common: breaches side by side, each enforced once."""

from __future__ import annotations

from portcullis.domain.commands import (
    CancelOrders,
    Flatten,
)
from portcullis.domain.rules import (
    max_contracts,
    max_contracts_per_instrument,
    symbol_blocks,
)
from tests.domain.desk import BUY, LISTED, Desk

ES = LISTED["ES"].id


def test_all_breaches_are_kept_and_their_commands_merged():
    desk = Desk(
        max_contracts.Params(limit=1),
        max_contracts_per_instrument.Params(limits={"ES": 1}),
        symbol_blocks.Params(blocked=("ES",)),
    )
    desk.holds("ES", 2)
    assert {b.rule for b in desk.breaches()} == {
        "max_contracts",
        "max_contracts_per_instrument",
        "symbol_blocks",
    }
    assert desk.commands() == [Flatten("A")]


def test_a_breach_that_stands_is_not_enforced_twice_and_a_new_one_is():
    desk = Desk(max_contracts.Params(limit=1))
    desk.holds("ES", 2)
    desk.holds("ES", 3)
    assert len(desk.commands()) == 1
    desk.holds("ES", 0)
    desk.confirm()
    desk.holds("ES", 2)
    assert len(desk.commands()) == 2


def test_resting_orders_that_could_open_risk_are_cancelled_when_a_lock_is_set():
    desk = Desk()
    desk.order("ES", BUY, 1)
    desk.ask("lock")
    assert desk.commands() == [CancelOrders("A", ES)]
