"""The rules, as an explicit list: what is not in it does not exist.

A rule is a module with NAME, CODE, TRIGGERS, Params, and the pure functions evaluate, allowance,
explain, distance and next_check; one that prices concern says in quiet_position and quiet_total
where it keeps its answer. DENIES is False where the gate need not ask, BY_CALENDAR is true where
next_check depends on the time alone, OF_A_FILL where a fill breaks it and no state does. It holds
no memory, reads no clock and knows no other rule.
"""

from __future__ import annotations

from types import ModuleType

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
    trade_management,
    trailing_drawdown,
)

RULES: tuple[ModuleType, ...] = (
    max_contracts,
    max_contracts_per_instrument,
    daily_realized_loss,
    daily_unrealized_loss,
    max_unrealized_profit,
    trade_frequency_limit,
    cooldown_after_loss,
    no_stop_loss_grace,
    session_block_outside,
    auth_loss_guard,
    symbol_blocks,
    trade_management,
    daily_realized_profit,
    trailing_drawdown,
)

RuleParams = (
    max_contracts.Params
    | max_contracts_per_instrument.Params
    | daily_realized_loss.Params
    | daily_unrealized_loss.Params
    | max_unrealized_profit.Params
    | trade_frequency_limit.Params
    | cooldown_after_loss.Params
    | no_stop_loss_grace.Params
    | session_block_outside.Params
    | auth_loss_guard.Params
    | symbol_blocks.Params
    | trade_management.Params
    | daily_realized_profit.Params
    | trailing_drawdown.Params
)
