"""RULE-001: no more contracts on the account than allowed, micros counted as parts of a mini."""

from __future__ import annotations

from typing import Literal

import msgspec

from portcullis.domain import exposure
from portcullis.domain.breach import Breach, Distance, LockSpec, Response
from portcullis.domain.model import Reason
from portcullis.domain.state import AccountState, Position, State
from portcullis.domain.units import Count

NAME = "max_contracts"
CODE = "RULE-001"
TRIGGERS = ("position",)


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag=NAME):
    """`limit` minis; `micro_ratio` micros count as one mini (None: every contract counts one)."""

    limit: Count = 5
    count: Literal["net", "gross"] = "net"
    micro_ratio: Count | None = 10
    on_breach: Literal["flatten", "reduce", "lock"] = "flatten"


def evaluate(account: AccountState, params: Params, world: State) -> tuple[Breach, ...]:
    total = _total(account, params, world)
    limit = params.limit * (params.micro_ratio or 1)
    if total <= limit:
        return ()
    return (
        Breach(
            NAME,
            CODE,
            None,
            _reason(account, params, world, total),
            _response(account, params, world),
            measure=total,
        ),
    )


def allowance(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> int:
    """Contracts of `instrument` that may still be added on `side`, resting orders counted."""
    listed = world.instruments[instrument]
    weight = _weight(listed.is_micro, params)
    nets = _nets(account, params, world)
    here = nets.pop(_key(instrument, params, world), 0) * side
    here += exposure.working(account, instrument, side) * weight
    others = sum(map(abs, nets.values()))
    if account.orders or account.reservations:
        others += _resting_elsewhere(account, params, world, instrument)
    return max(0, (params.limit * (params.micro_ratio or 1) - others - here) // weight)


def explain(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> Reason:
    return _reason(account, params, world, _total(account, params, world))


def distance(account: AccountState, params: Params, world: State) -> tuple[Distance, ...]:
    total = _total(account, params, world)
    limit = params.limit * (params.micro_ratio or 1)
    reason = _reason(account, params, world, total)
    return (
        Distance(
            NAME,
            CODE,
            None,
            reason.measured,
            reason.limit,
            _minis(max(0, limit - total), params),
            100 * total // limit,
            reason.formula,
        ),
    )


def _weight(is_micro: bool, params: Params) -> int:
    return 1 if is_micro or params.micro_ratio is None else params.micro_ratio


def _key(instrument: str, params: Params, world: State) -> str:
    listed = world.instruments.get(instrument)
    return listed.ticker if listed and params.count == "net" else instrument


def _nets(account: AccountState, params: Params, world: State) -> dict[str, int]:
    """Weighted signed size of everything that is netted with each other, by its common key."""
    nets: dict[str, int] = {}
    for instrument, position in account.positions.items():
        listed = world.instruments.get(instrument)
        key = listed.ticker if listed and params.count == "net" else instrument
        weight = _weight(listed is not None and listed.is_micro, params)
        nets[key] = nets.get(key, 0) + position.size * weight
    return nets


def _total(account: AccountState, params: Params, world: State) -> int:
    return sum(map(abs, _nets(account, params, world).values()))


def _resting_elsewhere(account: AccountState, params: Params, world: State, instrument: str) -> int:
    total = 0
    for order in exposure.opening_orders(account):
        listed = world.instruments.get(order.instrument)
        if order.instrument != instrument and order.parent is None:
            total += order.remaining * _weight(listed is not None and listed.is_micro, params)
    for held in account.reservations.values():
        if held.instrument != instrument:
            listed = world.instruments.get(held.instrument)
            total += held.size * _weight(listed is not None and listed.is_micro, params)
    return total


def _minis(units: int, params: Params) -> str:
    if params.micro_ratio is None:
        return f"{units} contracts"
    whole, part = divmod(units, params.micro_ratio)
    if not part:
        return f"{whole} minis"
    return f"{whole} minis and {part} of {params.micro_ratio} micros"


def _reason(account: AccountState, params: Params, world: State, total: int) -> Reason:
    limit = params.limit * (params.micro_ratio or 1)
    parts = [
        f"{abs(p.size)} {world.instruments[p.instrument].ticker}"
        for p in account.positions.values()
        if p.instrument in world.instruments
    ]
    formula = f"{params.count} of {' + '.join(parts) or 'nothing'}"
    return Reason(
        code=NAME,
        message=f"holds {_minis(total, params)}, allowed are {_minis(limit, params)}",
        measured=_minis(total, params),
        limit=_minis(limit, params),
        allowed=_minis(max(0, limit - total), params),
        formula=formula,
    )


def _response(account: AccountState, params: Params, world: State) -> Response:
    if params.on_breach == "lock":
        return Response(flatten=True, locks=(LockSpec("next_session"),))
    if params.on_breach == "flatten":
        return Response(flatten=True)
    return Response(reduce=_reductions(account, params, world))


def _reductions(account: AccountState, params: Params, world: State) -> tuple[tuple[str, int], ...]:
    """Largest position first, each down as far as needed and no further."""

    def weight_of(instrument: str) -> int:
        listed = world.instruments.get(instrument)
        return _weight(listed is not None and listed.is_micro, params)

    limit = params.limit * (params.micro_ratio or 1)
    excess = _total(account, params, world) - limit
    ranked = sorted(
        (p for p in account.positions.values() if _adds(account, p, params, world)),
        key=lambda p: (-abs(p.size) * weight_of(p.instrument), p.instrument),
    )
    reductions = []
    for position in ranked:
        if excess <= 0:
            break
        weight = weight_of(position.instrument)
        cut = min(abs(position.size), -(-excess // weight))
        reductions.append((position.instrument, abs(position.size) - cut))
        excess -= cut * weight
    return tuple(reductions)


def _adds(account: AccountState, position: Position, params: Params, world: State) -> bool:
    """Whether closing some of the position makes the total smaller: netted against another
    expiry of its ticker, the smaller leg would make it larger.
    """
    key = _key(position.instrument, params, world)
    return position.size * _nets(account, params, world)[key] > 0
