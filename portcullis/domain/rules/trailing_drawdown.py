"""RULE-014: equity may not fall to a floor that follows the account's high."""

from __future__ import annotations

from typing import Literal

import msgspec

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
from portcullis.domain.state import AccountState, State
from portcullis.domain.units import Money, Percent

NAME = "trailing_drawdown"
CODE = "RULE-014"
TRIGGERS = ("quote", "trade", "position", "account")
NEEDS_QUOTES = True
WARNED = f"{NAME}|*|warn"
"""The id of the standing warning."""


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag=NAME):
    """`start` and `allowance` in money; `trail`: the high of closed days, or of every moment."""

    start: Money
    allowance: Money
    trail: Literal["end_of_day", "intraday"] = "end_of_day"
    lock_at_start: bool = True
    warn_at: Percent = 80


def evaluate(account: AccountState, params: Params, world: State) -> tuple[Breach, ...]:
    equity = account.equity()
    if equity is None or account.unjudged:
        return ()
    low = floor(account, params)
    used = params.allowance - (equity - low)
    if equity > low:
        if 100 * used < params.warn_at * params.allowance:
            return ()
        warning = Response()
        return (
            Breach(
                NAME,
                CODE,
                None,
                _reason(account, params, equity),
                warning,
                measure=0,
                episode="warn",
                warning=True,
            ),
        )
    response = Response(flatten=True, cancel=True, locks=(LockSpec("person"),))
    return (Breach(NAME, CODE, None, _reason(account, params, equity), response, used),)


def quiet_total(account: AccountState, params: Params) -> Band | None:
    """The open profits of the account, around its present one, at which the answer is the same."""
    equity = account.equity()
    standing = account.standing(NAME) if account.breaches else []
    if equity is None:
        return None if standing else EVERY_PROFIT
    closed, high = equity - account.open_pnl, UNLIMITED
    if params.trail == "intraday":  # a new high moves the floor
        if account.high is None:
            return None
        high = account.high - closed
    low = floor(account, params)
    near = (100 * (low + params.allowance) - params.warn_at * params.allowance) // 100
    if standing == [WARNED]:
        return low + 1 - closed, min(near - closed, high)
    return None if standing else (near + 1 - closed, high)


def allowance(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> int:
    equity = account.equity()
    return UNLIMITED if equity is not None and equity > floor(account, params) else 0


def explain(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> Reason:
    return _reason(account, params, account.equity())


def distance(account: AccountState, params: Params, world: State) -> tuple[Distance, ...]:
    equity = account.equity()
    reason = _reason(account, params, equity)
    left = 0 if equity is None else max(0, equity - floor(account, params))
    used = 100 - 100 * left // params.allowance
    return (
        Distance(
            NAME,
            CODE,
            None,
            reason.measured,
            reason.limit,
            money(left, account.currency),
            max(0, used),
            reason.formula,
        ),
    )


def floor(account: AccountState, params: Params) -> int:
    """The equity at which the account is lost, in micro-units."""
    high = params.start if account.high is None else account.high
    low = params.start - params.allowance + max(0, high - params.start)
    return min(params.start, low) if params.lock_at_start else low


def _reason(account: AccountState, params: Params, equity: int | None) -> Reason:
    currency, low = account.currency, floor(account, params)
    high = params.start if account.high is None else account.high
    known = "unknown" if equity is None else money(equity, currency)
    return Reason(
        code=NAME,
        message=f"equity {known}, floor {money(low, currency)}",
        measured=known,
        limit=money(low, currency),
        allowed="0" if equity is None else money(max(0, equity - low), currency),
        formula=f"floor = {money(params.start, currency)} - {money(params.allowance, currency)} "
        f"+ max(0, high {money(high, currency)} - start)"
        + (", at most the start" if params.lock_at_start else "")
        + "; equity = balance at the day's start + realized + open",
    )
