"""RULE-005: an open profit is taken at the target, or kept from turning back into a loss."""

from __future__ import annotations

from typing import Literal

import msgspec

from portcullis.domain.arithmetic import mark_formula
from portcullis.domain.breach import EVERY_PROFIT, UNLIMITED, Band, Breach, Distance, Response
from portcullis.domain.model import Reason
from portcullis.domain.money import money
from portcullis.domain.state import AccountState, Position, State
from portcullis.domain.units import Money

NAME = "max_unrealized_profit"
CODE = "RULE-005"
TRIGGERS = ("quote", "position")
DENIES = False
NEEDS_QUOTES = True


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag=NAME):
    """`take_profit` closes at `target`; `break_even` closes at zero after `arm_at` was reached."""

    target: Money = 1_000_000_000
    scope: Literal["position", "total"] = "position"
    mode: Literal["take_profit", "break_even"] = "take_profit"
    arm_at: Money = 500_000_000


def evaluate(account: AccountState, params: Params, world: State) -> tuple[Breach, ...]:
    if params.scope == "total":
        if not account.positions or account.unjudged:
            return ()
        if not _is_due(account.open_pnl, account.peak_open, params):
            return ()
        reason = _reason(
            account.open_pnl, account.peak_open, params, account.currency, "open, all positions"
        )
        return (Breach(NAME, CODE, None, reason, Response(flatten=True), account.open_pnl),)
    found = (judge_position(account, p, params, world) for p in account.positions.values())
    return tuple(breach for breach in found if breach is not None)


def judge_position(
    account: AccountState, position: Position, params: Params, world: State
) -> Breach | None:
    """One position: all that a new price of its instrument can change."""
    if not _is_due(position.pnl, position.peak_pnl, params):
        return None
    if position.instrument in account.unjudged:
        return None
    formula = mark_formula(world, position)
    reason = _reason(position.pnl, position.peak_pnl, params, account.currency, formula)
    response = Response(close=position.instrument)
    return Breach(NAME, CODE, position.instrument, reason, response, position.pnl)


def of_one_position(params: Params) -> bool:
    """Whether `judge_position` is all there is to a new price."""
    return params.scope == "position"


def quiet_position(
    account: AccountState, position: Position, params: Params, world: State
) -> Band | None:
    """The open profits of a position, around its present one, at which the answer is the same."""
    if account.breaches and account.standing(NAME, position.instrument):
        return None
    return _not_due(position.peak_pnl, params)


def quiet_total(account: AccountState, params: Params) -> Band | None:
    """The same for the open profit of the account."""
    if account.breaches and account.standing(NAME):
        return None
    return _not_due(account.peak_open, params) if account.positions else EVERY_PROFIT


def allowance(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> int:
    return UNLIMITED


def explain(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> Reason:
    return _reason(account.open_pnl, account.peak_open, params, account.currency, "open")


def distance(account: AccountState, params: Params, world: State) -> tuple[Distance, ...]:
    rows = [(p.instrument, p.pnl, mark_formula(world, p)) for p in account.positions.values()]
    if params.scope == "total":
        rows = [("", account.open_pnl, "open, all positions")]
    return tuple(
        Distance(
            NAME,
            CODE,
            instrument or None,
            money(pnl, account.currency),
            money(params.target, account.currency),
            money(max(0, params.target - pnl), account.currency),
            max(0, 100 * pnl // params.target),
            formula,
        )
        for instrument, pnl, formula in rows
    )


def _is_due(pnl: int, peak: int, params: Params) -> bool:
    if params.mode == "take_profit":
        return pnl >= params.target
    return peak >= params.arm_at and pnl <= 0


def _not_due(peak: int, params: Params) -> Band:
    if params.mode == "take_profit":
        return -UNLIMITED, params.target - 1
    return (1, UNLIMITED) if peak >= params.arm_at else (-UNLIMITED, params.arm_at - 1)


def _reason(pnl: int, peak: int, params: Params, currency: str, formula: str) -> Reason:
    if params.mode == "take_profit":
        limit, message = money(params.target, currency), "open profit reached its target"
    else:
        limit = f"0.00 {currency} once {money(params.arm_at, currency)} was reached"
        message = f"open profit is back at zero after {money(peak, currency)}"
    return Reason(
        code=NAME,
        message=f"{message}: {money(pnl, currency)}",
        measured=money(pnl, currency),
        limit=limit,
        formula=formula,
    )
