"""RULE-008: a position may be without a covering stop for no longer than the grace."""

from __future__ import annotations

from typing import Literal

import msgspec

from portcullis.domain import exposure
from portcullis.domain.breach import UNLIMITED, Breach, Distance, Response
from portcullis.domain.model import SECOND, Reason
from portcullis.domain.money import duration
from portcullis.domain.state import AccountState, Position, State
from portcullis.domain.units import Span

NAME = "no_stop_loss_grace"
CODE = "RULE-008"
TRIGGERS = ("position", "order", "time")
DENIES = False


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag=NAME):
    """`cover` full: stops must cover the whole size; any: one working stop is enough."""

    grace: Span = 30 * SECOND
    cover: Literal["full", "any"] = "full"


def evaluate(account: AccountState, params: Params, world: State) -> tuple[Breach, ...]:
    found: tuple[Breach, ...] = ()
    for position in account.positions.values():
        naked_for = _naked_for(account, position, params, world.now)
        if naked_for is not None and naked_for > params.grace:
            response = Response(close=position.instrument, unless_covered=True)
            reason = _reason(account, position, params, world, naked_for)
            found += (Breach(NAME, CODE, position.instrument, reason, response),)
    return found


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
        naked_for = _naked_for(account, position, params, world.now) or 0
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
        if position.naked_since is None or _is_covered(account, position, params):
            continue
        due = position.naked_since + params.grace + 1
        if due > world.now and (soonest is None or due < soonest):
            soonest = due
    return soonest


def _is_covered(account: AccountState, position: Position, params: Params) -> bool:
    covered = exposure.covered(account, position.instrument)
    return covered >= abs(position.size) or (params.cover == "any" and covered > 0)


def _naked_for(account: AccountState, position: Position, params: Params, now: int) -> int | None:
    if position.naked_since is None or _is_covered(account, position, params):
        return None
    return now - position.naked_since


def _reason(
    account: AccountState, position: Position, params: Params, world: State, naked_for: int
) -> Reason:
    covered = exposure.covered(account, position.instrument)
    listed = world.instruments.get(position.instrument)
    ticker = listed.ticker if listed else position.instrument
    return Reason(
        code=NAME,
        message=f"{position.size:+d} {ticker} without a covering stop for {duration(naked_for)}, "
        f"allowed are {duration(params.grace)}",
        measured=duration(naked_for),
        limit=duration(params.grace),
        formula=f"stops cover {covered} of {abs(position.size)} contracts",
    )
