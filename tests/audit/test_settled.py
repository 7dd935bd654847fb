"""Stories on which the engine and the text of the rules once parted, settled for the text."""

from __future__ import annotations

import pytest

from portcullis.domain.model import HOUR, MICRO, SECOND
from portcullis.domain.rules import (
    daily_unrealized_loss,
    max_contracts,
    no_stop_loss_grace,
    symbol_blocks,
    trade_frequency_limit,
    trade_management,
    trailing_drawdown,
)
from tests.audit.doctor import audited, found, parsed, places
from tests.audit.stage import LISTED, Stage

USD = MICRO


def differences(stage: Stage) -> list[str]:
    report = audited(parsed(stage.lines()))
    return [f"{d.position} {d.kind} {d.rule}: {d.expected} / {d.found}" for d in report.differences]


def breaches(stage: Stage) -> list[str]:
    return [row.kind for row in stage.ledger.read() if row.kind == "breach_found"]


@pytest.mark.parametrize(
    "rule",
    [
        daily_unrealized_loss.Params(limit=300 * USD, scope="total"),
        trailing_drawdown.Params(50_000 * USD, 300 * USD, trail="intraday"),
    ],
    ids=lambda rule: rule.__struct_config__.tag,
)
def test_a_stale_price_cannot_be_judged_by(rule):
    """NQ has no price for a minute; what ES loses says nothing of the account."""
    stage = Stage(1, rule)
    stage.quote("ES", 0)
    stage.quote("NQ", 0)
    stage.fill("ES", 1, 1)
    stage.fill("NQ", 1, 1)
    stage.wait(60 * SECOND)
    stage.quote("ES", -30)
    assert differences(stage) == []


def test_trades_of_the_morning_are_not_in_the_hour_of_the_reset():
    stage = Stage(2, trade_frequency_limit.Params(per_hour=2))
    stage.quote("ES", 0)
    for side in (1, -1, 1, -1):
        stage.fill("ES", side, 1)
        stage.wait(30 * SECOND)
    stage.wait(9 * HOUR)
    assert differences(stage) == []


def test_a_position_is_judged_with_what_was_realized_where_that_is_asked_for():
    rule = daily_unrealized_loss.Params(limit=300 * USD, scope="position", include_realized=True)
    stage = Stage(3, rule)
    stage.quote("ES", 0)
    stage.fill("ES", 1, 1)
    stage.quote("ES", -20)
    stage.fill("ES", -1, 1)  # 262.50 and costs
    stage.wait(SECOND)
    stage.fill("ES", 1, 1)
    stage.quote("ES", -4)
    assert differences(stage) == []


def test_an_order_that_could_not_be_cancelled_under_a_lock_is_tried_again():
    stage = Stage(4, max_contracts.Params(limit=5))
    stage.quote("ES", 0)
    stage.ask("lock")
    stage.failing = 1.0
    stage.rest("ES", 1, 1)
    stage.wait(5 * SECOND)
    stage.failing = 0.0
    for _ in range(20):
        stage.wait(10 * SECOND)
        stage.report()
    assert [each for each in differences(stage) if "could open" in each] == []


def test_an_order_that_could_not_be_cancelled_is_a_critical_alert():
    stage = Stage(4, max_contracts.Params(limit=5))
    stage.quote("ES", 0)
    stage.ask("lock")
    stage.failing = 1.0
    stage.rest("ES", 1, 1)
    stage.wait(5 * SECOND)
    assert [each for each in differences(stage) if "critical alert" in each] == []


def test_a_command_nobody_needs_is_not_excused_by_the_failure_of_another():
    stage = Stage(4, max_contracts.Params(limit=5), daily_unrealized_loss.Params(limit=900 * USD))
    stage.quote("ES", 0)
    stage.ask("lock")
    stage.failing = 1.0
    stage.rest("ES", 1, 1)
    stage.wait(5 * SECOND)
    events = parsed(stage.lines())
    failed = places(events, "command_concluded", lambda p: p["outcome"] != "confirmed")
    assert failed, "the story needs a failure"
    issued = events[places(events, "command_issued")[0]]
    forged = issued | {
        "at": events[-1]["at"],
        "payload": issued["payload"] | {"key": "another", "rules": ["daily_unrealized_loss"]},
    }
    report = audited([*events, forged])
    assert ("unjustified", "daily_unrealized_loss") in found(report)


def test_an_order_left_alone_once_is_cancelled_under_the_next_lock():
    """The stop could open when the first lock met it, only reduced when it was to be cancelled,
    and could open again when the second lock came."""
    stage = Stage(5, max_contracts.Params(limit=5))
    stage.quote("ES", 0)
    stage.fill("ES", -1, 1)
    order = stage.rest("ES", 1, 3, "stop")
    stage.wait(SECOND)
    stage.ask("lock")
    stage.orders[order] |= {"size": 1, "version": 2}
    stage._order(order, "working")
    stage.wait(10 * SECOND)
    stage.ask("release")
    stage.wait(60 * SECOND)
    stage.fill("ES", 1, 1)
    stage.wait(60 * SECOND)
    assert order in stage.orders
    stage.ask("lock")
    stage.wait(SECOND)
    assert differences(stage) == []


def test_a_refusal_in_one_instrument_does_not_hold_back_another():
    stage = Stage(
        6, symbol_blocks.Params(blocked=("NQ",)), no_stop_loss_grace.Params(grace=5 * SECOND)
    )
    stage.quote("ES", 0)
    stage.fill("ES", 1, 1)
    stage.failing = 1.0
    stage.fill("NQ", 1, 1)
    stage.wait(3 * SECOND)
    stage.failing = 0.0
    stage.wait(8 * SECOND)
    found = [each for each in differences(stage) if "no_stop_loss_grace" in each]
    assert found == [], LISTED["ES"].id


def test_a_stop_the_market_has_passed_is_no_cover():
    stage = Stage(9, no_stop_loss_grace.Params(grace=30 * SECOND))
    stage.quote("ES", 0)
    stage.fill("ES", 1, 1)
    stage.rest("ES", -1, 1, "stop", far=10)
    stage.fresh = True
    stage.wait(60 * SECOND)
    assert not breaches(stage)
    stage.quote("ES", -11)
    stage.wait(20 * SECOND)
    stage.quote("ES", 5)
    stage.wait(20 * SECOND)
    stage.quote("ES", -5)
    assert not breaches(stage)
    stage.wait(31 * SECOND)
    assert len(breaches(stage)) == 1
    assert differences(stage) == []


@pytest.mark.parametrize(("side", "move", "limit"), [(1, -3, 312_500_000), (-1, 3, 387_500_000)])
def test_a_loss_of_exactly_the_limit_is_a_breach_whatever_the_average_was_rounded_to(
    side, move, limit
):
    """Three at a price and four a tick above it: sevenths, which no venue writes out."""
    stage = Stage(8, daily_unrealized_loss.Params(limit=limit))
    stage.quote("ES", 0)
    stage.fill("ES", side, 3)
    stage.quote("ES", 1)
    stage.fill("ES", side, 4)
    assert not breaches(stage)
    stage.quote("ES", move)
    assert len(breaches(stage)) == 1
    assert differences(stage) == []


def test_a_stop_that_is_moved_matches_the_size():
    stage = Stage(7, trade_management.Params(auto_stop=20))
    stage.quote("ES", 0)
    stage.rest("ES", -1, 2, "stop", far=35)
    stage.rest("ES", -1, 3, "stop", far=35)
    stage.wait(SECOND)
    stage.fill("ES", 1, 1)
    stage.wait(SECOND)
    assert differences(stage) == []
