"""Drawn stories: two judges, one text, no difference. And what makes a difference to the audit."""

from __future__ import annotations

import random
from typing import Any

import pytest

from portcullis.domain.hours import Hours
from portcullis.domain.model import MICRO, SECOND
from portcullis.domain.rules import (
    auth_loss_guard,
    cooldown_after_loss,
    daily_realized_loss,
    daily_realized_profit,
    daily_unrealized_loss,
    max_contracts,
    max_contracts_per_instrument,
    max_unrealized_profit,
    no_stop_loss_grace,
    session_block_outside,
    symbol_blocks,
    trade_frequency_limit,
    trailing_drawdown,
)
from tests.audit.doctor import audited, parsed
from tests.audit.stage import Stage, play

USD = MICRO
SESSION = (Hours(8 * 60, 15 * 60),)
NIGHT = (Hours(17 * 60, 16 * 60, days=(6, 0, 1, 2, 3), overnight=True),)


def drawn(draw: random.Random) -> list[Any]:
    """Two to five of the rules, each with parameters of its own."""
    pick = draw.choice
    rules = [
        max_contracts.Params(
            limit=draw.randint(2, 6), count=pick(("net", "gross")), micro_ratio=pick((10, None)),
            on_breach=pick(("flatten", "reduce", "lock")),
        ),
        max_contracts_per_instrument.Params(
            limits={"ES": 2, "MES": 3, "NQ": 1}, unknown=pick(("deny", 2)),
            on_breach=pick(("reduce", "close")),
        ),
        daily_realized_loss.Params(limit=pick((100, 300)) * USD),
        daily_unrealized_loss.Params(
            limit=pick((100, 300)) * USD, scope=pick(("position", "total")),
        ),
        max_unrealized_profit.Params(
            target=pick((100, 600)) * USD, scope=pick(("position", "total")),
            mode=pick(("take_profit", "break_even")), arm_at=100 * USD,
        ),
        trade_frequency_limit.Params(per_minute=draw.randint(2, 5), per_hour=draw.randint(4, 12)),
        cooldown_after_loss.Params(),
        no_stop_loss_grace.Params(grace=pick((5, 30)) * SECOND, cover=pick(("full", "any"))),
        session_block_outside.Params(
            sessions=pick((SESSION, NIGHT)), flat_by=pick((None, 14 * 60)),
            instruments=pick(({}, {"NQ": (Hours(9 * 60, 9 * 60 + 20),)})),
        ),
        auth_loss_guard.Params(auto_unlock=pick((True, False))),
        symbol_blocks.Params(blocked=(pick(("NQ", "M*")),)),
        daily_realized_profit.Params(target=pick((100, 500)) * USD),
        trailing_drawdown.Params(
            50_000 * USD, pick((300, 1000)) * USD, trail=pick(("end_of_day", "intraday")),
            lock_at_start=pick((True, False)),
        ),
    ]  # fmt: skip
    return draw.sample(rules, draw.randint(2, 5))


@pytest.mark.parametrize("seed", range(30))
def test_both_judges_agree_on_drawn_stories(seed):
    """Prices are fresh, the venue obeys and no day ends in these (see test_settled)."""
    stage = Stage(seed, *drawn(random.Random(seed)))
    stage.fresh = True
    play(stage, 80, without=("long", "void"))
    assert audited(parsed(stage.lines())).differences == []


def test_over_the_stories_every_rule_is_breached():
    """Or the test above would show little."""
    breached: set[str] = set()
    for seed in range(30):
        stage = Stage(seed, *drawn(random.Random(seed)))
        stage.fresh = True
        play(stage, 80, without=("long", "void"))
        breached |= {
            event["payload"]["rule"]
            for event in parsed(stage.lines())
            if event["kind"] == "breach_found"
        }
    assert len(breached - {"lockout"}) >= 12
