"""RULE-008: a position may be without a covering stop for no longer than the grace."""

from __future__ import annotations

from typing import Literal

import msgspec

from portcullis.domain import exposure
from portcullis.domain.breach import EVERY_PROFIT, UNLIMITED, Band, Breach, Distance, Response
from portcullis.domain.model import SECOND, Reason
from portcullis.domain.money import duration, open_pnl
from portcullis.domain.state import AccountState, Position, State
from portcullis.domain.units import Span

NAME = "no_stop_loss_grace"
CODE = "RULE-008"
TRIGGERS = ("quote", "position", "order", "time")
DENIES = False


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag=NAME):
    """`cover` full: stops must cover the whole size; any: one working stop is enough.

    A stop that the market has passed covers nothing: it fired and did not fill.
    """

    grace: Span = 30 * SECOND
    cover: Literal["full", "any"] = "full"


def evaluate(account: AccountState, params: Params, world: State) -> tuple[Breach, ...]:
    found = (judge_position(account, p, params, world) for p in account.positions.values())
    return tuple(breach for breach in found if breach is not None)


def judge_position(
    account: AccountState, position: Position, params: Params, world: State
) -> Breach | None:
    """One position: all that a new price of its instrument can change."""
    naked_for = _naked_for(account, position, params, world)
    if naked_for is None or naked_for <= params.grace:
        return None
    response = Response(close=position.instrument, unless_covered=True)
    reason = _reason(account, position, params, world, naked_for)
    return Breach(NAME, CODE, position.instrument, reason, response)


def of_one_position(params: Params) -> bool:
    """Whether `judge_position` is all there is to a new price."""
    return True


def quiet_position(
    account: AccountState, position: Position, params: Params, world: State
) -> Band | None:
    """The open profits of a position at which the market has passed none of its stops."""
    listed = world.instruments.get(position.instrument)
    if listed is None or position.mark is None:
        return None
    if account.breaches and account.standing(NAME, position.instrument):
        return None
    if judge_position(account, position, params, world) is not None:
        return None  # found while the account was not judged: the next price says it
    prices = [
        order.stop_price
        for order in exposure.covering(account, position.instrument)
        if order.stop_price is not None
    ]
    if not prices:
        return EVERY_PROFIT
    nearest = max(prices) if position.size > 0 else min(prices)
    if (position.mark - nearest) * position.size < 0:
        return None
    worth = open_pnl(nearest, position.average, position.size, listed.tick_value)
    return worth, UNLIMITED


def allowance(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> int:
    return UNLIMITED


def explain(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> Reason:
    return Reason(NAME, "a position needs a stop within the grace")


def distance(account: AccountState, params: Params, world: State) -> tuple[Distance, ...]:
    rows = []
    for position in account.positions.values():
        naked_for = _naked_for(account, position, params, world) or 0
        rows.append(
            Distance(
                NAME,
                CODE,
                position.instrument,
                duration(naked_for),
                duration(params.grace),
                duration(max(0, params.grace - naked_for)),
                100 * naked_for // params.grace,
                "time without a covering stop",
            )
        )
    return tuple(rows)


def next_check(account: AccountState, params: Params, world: State) -> int | None:
    soonest: int | None = None
    for position in account.positions.values():
        if position.naked_since is None or _is_covered(account, position, params, world):
            continue
        due = position.naked_since + params.grace + 1
        if due > world.now and (soonest is None or due < soonest):
            soonest = due
    return soonest


def _is_covered(account: AccountState, position: Position, params: Params, world: State) -> bool:
    covered = exposure.protected(account, position, world)
    return covered >= abs(position.size) or (params.cover == "any" and covered > 0)


def _naked_for(
    account: AccountState, position: Position, params: Params, world: State
) -> int | None:
    if position.naked_since is None or _is_covered(account, position, params, world):
        return None
    return world.now - position.naked_since


def _reason(
    account: AccountState, position: Position, params: Params, world: State, naked_for: int
) -> Reason:
    covered = exposure.protected(account, position, world)
    passed = exposure.covered(account, position.instrument) - covered
    listed = world.instruments.get(position.instrument)
    ticker = listed.ticker if listed else position.instrument
    return Reason(
        code=NAME,
        message=f"{position.size:+d} {ticker} without a covering stop for {duration(naked_for)}, "
        f"allowed are {duration(params.grace)}",
        measured=duration(naked_for),
        limit=duration(params.grace),
        formula=f"stops cover {covered} of {abs(position.size)} contracts"
        + (f"; the market has passed those of {passed}, unfilled" if passed else ""),
    )
