"""RULE-004: an open loss, of one position or of all, ends at the limit."""

from __future__ import annotations

from typing import Literal

import msgspec

from portcullis.domain.arithmetic import mark_formula
from portcullis.domain.breach import (
    EVERY_PROFIT,
    UNLIMITED,
    Band,
    Breach,
    Distance,
    LockSpec,
    Response,
)
from portcullis.domain.model import Reason
from portcullis.domain.money import money
from portcullis.domain.state import AccountState, Position, State
from portcullis.domain.units import Money

NAME = "daily_unrealized_loss"
CODE = "RULE-004"
TRIGGERS = ("quote", "position", "trade")
NEEDS_QUOTES = True


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag=NAME):
    """`scope` position closes the one that lost; total flattens and locks until next session.

    With `include_realized` the day's realized result counts with the open one, in either scope.
    """

    limit: Money = 300_000_000
    scope: Literal["position", "total"] = "position"
    include_realized: bool = False


def evaluate(account: AccountState, params: Params, world: State) -> tuple[Breach, ...]:
    if params.scope == "total":
        loss = _loss(account, account.open_pnl, params)
        if account.unjudged or loss < params.limit or not account.positions:
            return ()
        response = Response(flatten=True, cancel=True, locks=(LockSpec("next_session"),))
        reason = _reason(loss, params, account.currency, _basis(params))
        return (Breach(NAME, CODE, None, reason, response, loss),)
    found = (judge_position(account, p, params, world) for p in account.positions.values())
    return tuple(breach for breach in found if breach is not None)


def judge_position(
    account: AccountState, position: Position, params: Params, world: State
) -> Breach | None:
    """One position: all that a new price of its instrument can change."""
    loss = _loss(account, position.pnl, params)
    if loss < params.limit or position.instrument in account.unjudged:
        return None
    reason = _reason(loss, params, account.currency, _position_basis(world, position, params))
    response = Response(close=position.instrument)
    return Breach(NAME, CODE, position.instrument, reason, response, loss)


def of_one_position(params: Params) -> bool:
    """Whether `judge_position` is all there is to a new price."""
    return params.scope == "position"


def quiet_position(
    account: AccountState, position: Position, params: Params, world: State
) -> Band | None:
    """The open profits of a position, around its present one, at which the answer is the same."""
    if account.breaches and account.standing(NAME, position.instrument):
        return None
    return _least(account, params), UNLIMITED


def quiet_total(account: AccountState, params: Params) -> Band | None:
    """The same for the open profit of the account."""
    if account.breaches and account.standing(NAME):
        return None
    if not account.positions:
        return EVERY_PROFIT
    return _least(account, params), UNLIMITED


def allowance(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> int:
    position = account.positions.get(instrument)
    if params.scope == "total":
        return 0 if _loss(account, account.open_pnl, params) >= params.limit else UNLIMITED
    return 0 if position and _loss(account, position.pnl, params) >= params.limit else UNLIMITED


def explain(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> Reason:
    if params.scope == "total":
        loss = _loss(account, account.open_pnl, params)
        return _reason(loss, params, account.currency, _basis(params))
    position = account.positions[instrument]
    loss = _loss(account, position.pnl, params)
    return _reason(loss, params, account.currency, _position_basis(world, position, params))


def distance(account: AccountState, params: Params, world: State) -> tuple[Distance, ...]:
    if params.scope == "total":
        rows: list[tuple[str | None, int, str]] = [
            (None, _loss(account, account.open_pnl, params), _basis(params))
        ]
    else:
        rows = [
            (
                each.instrument,
                _loss(account, each.pnl, params),
                _position_basis(world, each, params),
            )
            for each in account.positions.values()
        ]
    return tuple(
        Distance(
            NAME,
            CODE,
            instrument,
            money(loss, account.currency),
            money(params.limit, account.currency),
            money(max(0, params.limit - loss), account.currency),
            max(0, 100 * loss // params.limit),
            formula,
        )
        for instrument, loss, formula in rows
    )


def _loss(account: AccountState, open_pnl: int, params: Params) -> int:
    return -(open_pnl + (account.realized if params.include_realized else 0))


def _least(account: AccountState, params: Params) -> int:
    """The least open profit that breaches nothing."""
    return 1 - params.limit - (account.realized if params.include_realized else 0)


def _position_basis(world: State, position: Position, params: Params) -> str:
    formula = mark_formula(world, position)
    return f"{formula} + realized of the day" if params.include_realized else formula


def _basis(params: Params) -> str:
    return "open + realized of the day" if params.include_realized else "open, all positions"


def _reason(loss: int, params: Params, currency: str, formula: str) -> Reason:
    return Reason(
        code=NAME,
        message=f"open loss {money(loss, currency)}, limit {money(params.limit, currency)}",
        measured=money(loss, currency),
        limit=money(params.limit, currency),
        allowed=money(max(0, params.limit - loss), currency),
        formula=formula,
    )
