"""RULE-002: a size limit for each instrument; one that is not listed has the limit zero."""

from __future__ import annotations

from typing import Literal

import msgspec

from portcullis.domain import exposure
from portcullis.domain.breach import Breach, Distance, Response
from portcullis.domain.model import Reason
from portcullis.domain.state import AccountState, State
from portcullis.domain.units import Count, CountOrZero, Ticker

NAME = "max_contracts_per_instrument"
CODE = "RULE-002"
TRIGGERS = ("position",)


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag=NAME):
    """`limits` by ticker; `unknown` is `deny` (limit zero) or the limit of every other ticker."""

    limits: dict[Ticker, CountOrZero]
    unknown: Literal["deny"] | Count = "deny"
    on_breach: Literal["reduce", "close"] = "reduce"


def evaluate(account: AccountState, params: Params, world: State) -> tuple[Breach, ...]:
    found: tuple[Breach, ...] = ()
    for position in account.positions.values():
        limit = _limit(params, world, position.instrument)
        if abs(position.size) > limit:
            found += (_breach(position.instrument, abs(position.size), limit, params, world),)
    return found


def allowance(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> int:
    held = exposure.projected(account, instrument, side)
    return max(0, _limit(params, world, instrument) - held)


def explain(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> Reason:
    held = exposure.projected(account, instrument, side)
    return _reason(instrument, held, _limit(params, world, instrument), params, world)


def distance(account: AccountState, params: Params, world: State) -> tuple[Distance, ...]:
    rows = []
    for position in account.positions.values():
        limit, held = _limit(params, world, position.instrument), abs(position.size)
        reason = _reason(position.instrument, held, limit, params, world)
        rows.append(
            Distance(
                NAME,
                CODE,
                position.instrument,
                str(held),
                str(limit),
                str(max(0, limit - held)),
                100 * held // limit if limit else 100,
                reason.formula,
            )
        )
    return tuple(rows)


def _ticker(world: State, instrument: str) -> str:
    listed = world.instruments.get(instrument)
    return listed.ticker if listed else instrument


def _limit(params: Params, world: State, instrument: str) -> int:
    limit = params.limits.get(_ticker(world, instrument))
    if limit is not None:
        return limit
    return 0 if params.unknown == "deny" else params.unknown


def _reason(instrument: str, held: int, limit: int, params: Params, world: State) -> Reason:
    ticker = _ticker(world, instrument)
    listed = "" if ticker in params.limits else " (not in the list of limits)"
    return Reason(
        code=NAME,
        message=f"{held} {ticker} held or resting, allowed are {limit}{listed}",
        measured=f"{held} {ticker}",
        limit=f"{limit} {ticker}",
        allowed=f"{max(0, limit - held)} {ticker}",
        formula="position + resting orders of the side",
    )


def _breach(instrument: str, size: int, limit: int, params: Params, world: State) -> Breach:
    whole = params.on_breach == "close" or limit == 0
    response = Response(close=instrument) if whole else Response(reduce=((instrument, limit),))
    reason = _reason(instrument, size, limit, params, world)
    return Breach(NAME, CODE, instrument, reason, response, measure=size)
