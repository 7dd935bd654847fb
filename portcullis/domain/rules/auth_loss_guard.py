"""RULE-010: when the venue says that the account may not trade, everything is out and locked.

Judged on the fact itself, not on its change, so a bad state at the start is seen. A venue that
does not say is unknown: nothing is flattened, and the gate stays shut for the account.
"""

from __future__ import annotations

import msgspec

from portcullis.domain.breach import UNLIMITED, Breach, Distance, LockSpec, Response
from portcullis.domain.model import SECOND, Reason
from portcullis.domain.money import duration
from portcullis.domain.state import AccountState, State
from portcullis.domain.units import Span

NAME = "auth_loss_guard"
CODE = "RULE-010"
TRIGGERS = ("account",)


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag=NAME):
    """`check_every`: how often the venue is asked; `auto_unlock`: unlock when it allows again."""

    check_every: Span = 30 * SECOND
    auto_unlock: bool = False


def evaluate(account: AccountState, params: Params, world: State) -> tuple[Breach, ...]:
    if account.can_trade is not False:
        return ()
    lock = LockSpec("venue" if params.auto_unlock else "person")
    response = Response(flatten=True, cancel=True, locks=(lock,))
    return (Breach(NAME, CODE, None, _reason(account, params), response),)


def allowance(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> int:
    return UNLIMITED if account.can_trade is True else 0


def explain(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> Reason:
    return _reason(account, params)


def distance(account: AccountState, params: Params, world: State) -> tuple[Distance, ...]:
    said = _said(account)
    return (
        Distance(
            NAME,
            CODE,
            None,
            said,
            "may trade",
            "",
            0 if account.can_trade else 100,
            f"asked every {duration(params.check_every)}",
        ),
    )


def _said(account: AccountState) -> str:
    if account.can_trade is None:
        return "not said"
    return "may trade" if account.can_trade else "may not trade"


def _reason(account: AccountState, params: Params) -> Reason:
    return Reason(
        code=NAME,
        message=f"the venue's word on this account: {_said(account)}",
        measured=_said(account),
        limit="may trade",
        allowed="0",
        formula="the account's canTrade flag at the venue",
    )
