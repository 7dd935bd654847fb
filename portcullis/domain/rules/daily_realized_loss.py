"""RULE-003: the day ends when its net realized loss reaches the limit."""

from __future__ import annotations

import msgspec

from portcullis.domain.breach import UNLIMITED, Breach, Distance, LockSpec, Response
from portcullis.domain.model import Reason
from portcullis.domain.money import money
from portcullis.domain.state import AccountState, State
from portcullis.domain.units import Money

NAME = "daily_realized_loss"
CODE = "RULE-003"
TRIGGERS = ("trade",)


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag=NAME):
    """`limit`: the loss (a positive amount) at which the day is over."""

    limit: Money = 500_000_000


def evaluate(account: AccountState, params: Params, world: State) -> tuple[Breach, ...]:
    if -account.realized < params.limit:
        return ()
    response = Response(flatten=True, cancel=True, locks=(LockSpec("next_session"),))
    return (Breach(NAME, CODE, None, _reason(account, params), response, -account.realized),)


def allowance(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> int:
    return 0 if -account.realized >= params.limit else UNLIMITED


def explain(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> Reason:
    return _reason(account, params)


def distance(account: AccountState, params: Params, world: State) -> tuple[Distance, ...]:
    loss = -account.realized
    reason = _reason(account, params)
    return (
        Distance(
            NAME,
            CODE,
            None,
            reason.measured,
            reason.limit,
            reason.allowed,
            max(0, 100 * loss // params.limit),
            reason.formula,
        ),
    )


def _reason(account: AccountState, params: Params) -> Reason:
    loss, currency = -account.realized, account.currency
    return Reason(
        code=NAME,
        message=f"realized loss of the day {money(loss, currency)}, "
        f"limit {money(params.limit, currency)}",
        measured=money(loss, currency),
        limit=money(params.limit, currency),
        allowed=money(max(0, params.limit - loss), currency),
        formula=f"gross - fees - commission over {len(account.fills)} fills "
        f"of trading day {account.day.label}",
    )
