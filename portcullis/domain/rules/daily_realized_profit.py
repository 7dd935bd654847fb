"""RULE-013: the day ends when its net realized profit reaches the target."""

from __future__ import annotations

import msgspec

from portcullis.domain.breach import UNLIMITED, Breach, Distance, LockSpec, Response
from portcullis.domain.model import Reason
from portcullis.domain.money import money
from portcullis.domain.state import AccountState, State
from portcullis.domain.units import Money

NAME = "daily_realized_profit"
CODE = "RULE-013"
TRIGGERS = ("trade",)


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag=NAME):
    """`target`: the profit at which the day is over."""

    target: Money


def evaluate(account: AccountState, params: Params, world: State) -> tuple[Breach, ...]:
    if account.realized < params.target:
        return ()
    response = Response(flatten=True, cancel=True, locks=(LockSpec("next_session"),))
    return (Breach(NAME, CODE, None, _reason(account, params), response, account.realized),)


def allowance(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> int:
    return 0 if account.realized >= params.target else UNLIMITED


def explain(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> Reason:
    return _reason(account, params)


def distance(account: AccountState, params: Params, world: State) -> tuple[Distance, ...]:
    profit = account.realized
    reason = _reason(account, params)
    return (
        Distance(
            NAME,
            CODE,
            None,
            reason.measured,
            reason.limit,
            reason.allowed,
            max(0, 100 * profit // params.target),
            reason.formula,
        ),
    )


def _reason(account: AccountState, params: Params) -> Reason:
    profit, currency = account.realized, account.currency
    return Reason(
        code=NAME,
        message=f"realized profit of the day {money(profit, currency)}, "
        f"target {money(params.target, currency)}",
        measured=money(profit, currency),
        limit=money(params.target, currency),
        allowed=money(max(0, params.target - profit), currency),
        formula=f"gross - fees - commission over {len(account.fills)} fills "
        f"of trading day {account.day.label}",
    )
