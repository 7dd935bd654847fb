"""Rules with limits tight enough to be broken, one draw per rule, in the order of their codes."""

from __future__ import annotations

import random
from collections.abc import Callable

from portcullis.domain.hours import Hours
from portcullis.domain.model import MICRO, MINUTE, SECOND
from portcullis.domain.rules import (
    RuleParams,
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
    trade_management,
    trailing_drawdown,
)

EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
Lot = random.Random


def _money(lot: Lot, *choices: int) -> int:
    return lot.choice(choices) * MICRO


def _contracts(lot: Lot) -> RuleParams:
    return max_contracts.Params(
        lot.choice((2, 4, 8)),
        lot.choice(("net", "gross")),
        lot.choice((10, None)),
        lot.choice(("flatten", "reduce", "lock")),
    )


def _per_instrument(lot: Lot) -> RuleParams:
    return max_contracts_per_instrument.Params(
        {"ES": lot.choice((1, 2, 4)), "MES": 3, "NQ": lot.choice((0, 2))},
        lot.choice(("deny", 2)),
        lot.choice(("reduce", "close")),
    )


def _realized_loss(lot: Lot) -> RuleParams:
    return daily_realized_loss.Params(_money(lot, 100, 400, 1_500))


def _unrealized_loss(lot: Lot) -> RuleParams:
    return daily_unrealized_loss.Params(
        _money(lot, 60, 200, 600), lot.choice(("position", "total")), lot.random() < 0.4
    )


def _unrealized_profit(lot: Lot) -> RuleParams:
    return max_unrealized_profit.Params(
        _money(lot, 80, 300, 900),
        lot.choice(("position", "total")),
        lot.choice(("take_profit", "break_even")),
        _money(lot, 60, 200),
    )


def _frequency(lot: Lot) -> RuleParams:
    return trade_frequency_limit.Params(
        lot.choice((2, 4)), lot.choice((6, 15)), lot.choice((12, 40)), MINUTE, 5 * MINUTE
    )


def _cooldown(lot: Lot) -> RuleParams:
    tier = cooldown_after_loss.Tier
    tiers = (tier(_money(lot, 20, 60), 45 * SECOND), tier(_money(lot, 150, 300), 4 * MINUTE))
    return cooldown_after_loss.Params(tiers)


def _grace(lot: Lot) -> RuleParams:
    return no_stop_loss_grace.Params(lot.choice((5, 30)) * SECOND, lot.choice(("full", "any")))


def _sessions(lot: Lot) -> RuleParams:
    own: dict[str, tuple[Hours, ...]] = {}
    if lot.random() < 0.4:
        own = {"MNQ": (Hours(8 * 60, 11 * 60, "America/New_York"),)}
    night = (Hours(17 * 60, 16 * 60, overnight=True, days=(6, 0, 1, 2, 3)),)
    return session_block_outside.Params(
        lot.choice((night, (Hours(0, 24 * 60, days=EVERY_DAY),), (Hours(9 * 60, 12 * 60),))),
        own,
        lot.choice((None, 15 * 60 + 10)),
        lot.random() < 0.8,
        calendar=None,
    )


def _authorization(lot: Lot) -> RuleParams:
    return auth_loss_guard.Params(lot.choice((5, 30)) * SECOND, lot.random() < 0.5)


def _blocks(lot: Lot) -> RuleParams:
    return symbol_blocks.Params((lot.choice(("NQ", "M*", "ES")),))


def _management(lot: Lot) -> RuleParams:
    return trade_management.Params(
        lot.choice((8, 30)),
        trade_management.BreakEven(6, 1) if lot.random() < 0.5 else None,
        trade_management.Trailing(10, 5) if lot.random() < 0.5 else None,
    )


def _realized_profit(lot: Lot) -> RuleParams:
    return daily_realized_profit.Params(_money(lot, 80, 300, 1_200))


def _drawdown(lot: Lot) -> RuleParams:
    return trailing_drawdown.Params(
        50_000 * MICRO,
        _money(lot, 150, 500, 2_000),
        lot.choice(("end_of_day", "intraday")),
        lot.random() < 0.7,
    )


DRAWN: tuple[Callable[[Lot], RuleParams], ...] = (
    _contracts,
    _per_instrument,
    _realized_loss,
    _unrealized_loss,
    _unrealized_profit,
    _frequency,
    _cooldown,
    _grace,
    _sessions,
    _authorization,
    _blocks,
    _management,
    _realized_profit,
    _drawdown,
)
