"""RULE-012: automation, not a limit: places a protective stop and only ever tightens it."""

from __future__ import annotations

from typing import Literal

import msgspec

from portcullis.domain.breach import (
    EVERY_PROFIT,
    UNLIMITED,
    Band,
    Breach,
    Distance,
    Response,
    StopChange,
)
from portcullis.domain.events import OrderReported
from portcullis.domain.model import MICRO, SECOND, STOP_KEY, STOP_TYPES, Reason
from portcullis.domain.money import open_pnl
from portcullis.domain.state import AccountState, Position, State
from portcullis.domain.units import Count, CountOrZero

NAME = "trade_management"
CODE = "RULE-012"
TRIGGERS = ("quote", "position", "order", "time")
DENIES = False
NEEDS_QUOTES = True
CHANGE_INTERVAL = SECOND


class BreakEven(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At `trigger` ticks of profit the stop goes to the entry plus `offset` ticks."""

    trigger: Count
    offset: CountOrZero = 0


class Trailing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From `activate` ticks of profit on the stop follows the best price at `distance` ticks."""

    activate: Count
    distance: Count


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag=NAME):
    """`auto_stop`: distance in ticks of the first stop, or off."""

    auto_stop: Literal["off"] | Count = "off"
    break_even: BreakEven | None = None
    trailing: Trailing | None = None


def impossible(params: Params) -> tuple[tuple[str, str], ...]:
    """Settings that contradict each other: (key, what is wrong)."""
    faults: list[tuple[str, str]] = []
    if params.auto_stop == "off" and params.break_even is None and params.trailing is None:
        faults.append(("auto_stop", "nothing to do: set auto_stop, break_even or trailing"))
    if params.break_even and params.break_even.offset >= params.break_even.trigger:
        faults.append(("break_even.offset", "must be below the trigger, or the stop fires at once"))
    return tuple(faults)


def evaluate(account: AccountState, params: Params, world: State) -> tuple[Breach, ...]:
    found: tuple[Breach, ...] = ()
    for position in account.positions.values():
        change = _change(account, position, params, world)
        if change is not None:
            found += (_as_breach(position, change, world),)
    for order in account.orders.values():
        if order.instrument not in account.positions and _is_ours(account, order, world):
            found += (_withdrawal(order),)
    return found


def judge_position(
    account: AccountState, position: Position, params: Params, world: State
) -> Breach | None:
    """One position on a new price: only a new best can move its stop."""
    if position.mark != position.best:
        return None
    change = _change(account, position, params, world)
    return None if change is None else _as_breach(position, change, world)


def quiet_position(
    account: AccountState, position: Position, params: Params, world: State
) -> Band | None:
    """The open profits of a position, around its present one, at which the answer is the same.

    Below its best price nothing is asked for. Up to the next best that moves the wanted stop the
    answer is the same too, when now, pace aside, it is no change.
    """
    listed = world.instruments.get(position.instrument)
    if position.best is None or listed is None:
        return None
    if account.breaches and account.standing(NAME, position.instrument):
        return None
    change = _stop_change(account, position, params)
    if change is not None and not _is_paced(account, change, world):
        return None  # due and not announced: the next price announces it, whatever it is
    if change is not None:
        worth = open_pnl(position.best, position.average, position.size, listed.tick_value)
        return -UNLIMITED, worth - 1
    last = _last_best(position, params)
    if last is None:
        return EVERY_PROFIT
    return -UNLIMITED, open_pnl(last, position.average, position.size, listed.tick_value)


def of_one_position(params: Params) -> bool:
    """Whether `judge_position` is all there is to a new price."""
    return True


def allowance(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> int:
    return UNLIMITED


def explain(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> Reason:
    return Reason(NAME, "trade management never denies")


def distance(account: AccountState, params: Params, world: State) -> tuple[Distance, ...]:
    return ()


def next_check(account: AccountState, params: Params, world: State) -> int | None:
    """A change that came too soon after the last one of its order is due when that time is up."""
    if not account.last_stop_change:
        return None
    due = (at + CHANGE_INTERVAL for at in account.last_stop_change.values())
    return min((at for at in due if at > world.now), default=None)


def _change(
    account: AccountState, position: Position, params: Params, world: State
) -> StopChange | None:
    change = _stop_change(account, position, params)
    return None if change is None or _is_paced(account, change, world) else change


def _is_paced(account: AccountState, change: StopChange, world: State) -> bool:
    """Whether a change of its order came so lately that this one must wait."""
    if change.order_id is None:
        return False
    return world.now - account.last_stop_change.get(change.order_id, 0) < CHANGE_INTERVAL


def _stop_change(account: AccountState, position: Position, params: Params) -> StopChange | None:
    """What should change, whenever that may be."""
    side = -1 if position.size > 0 else 1
    stop, contracts = _stops(account, position, side)
    wanted = _wanted(position, params)
    if stop is None:
        if wanted is None:
            return None
        return StopChange(position.instrument, side, abs(position.size), wanted, None)
    price = stop.stop_price
    if price is None:
        return None
    tightest = price if wanted is None else _tighter(side, price, wanted)
    size = abs(position.size) - (contracts - stop.remaining)
    if size > 0 and stop.remaining != size:
        return StopChange(position.instrument, side, size, tightest, stop.order_id)
    if tightest == price:
        return None
    # Beside others of a person's that already cover more than the position, no larger than it.
    size = min(stop.remaining, abs(position.size))
    return StopChange(position.instrument, side, size, tightest, stop.order_id)


def _stops(
    account: AccountState, position: Position, side: int
) -> tuple[OrderReported | None, int]:
    """The tightest working stop against the position, whoever placed it; and the contracts of all
    that rest.
    """
    tightest: OrderReported | None = None
    contracts = 0
    for order in account.orders.values():
        if order.type not in STOP_TYPES or order.instrument != position.instrument:
            continue
        if order.side != side:
            continue
        contracts += order.remaining
        if order.status in ("working", "pending") and _is_tighter(order, tightest, side):
            tightest = order
    return tightest, contracts


def _is_tighter(order: OrderReported, other: OrderReported | None, side: int) -> bool:
    if other is None:
        return True
    prices = (-(order.stop_price or 0) * side, -(other.stop_price or 0) * side)
    return (prices[0], order.order_id) > (prices[1], other.order_id)


def _wanted(position: Position, params: Params) -> int | None:
    """Where the stop should be by the settings, in ticks; None when nothing is asked yet."""
    sign = 1 if position.size > 0 else -1
    entry = _entry(position, sign)
    best = position.best if position.best is not None else entry
    profit = (best - entry) * sign
    wanted: list[int] = []
    if params.auto_stop != "off":
        wanted.append(entry - sign * params.auto_stop)
    if params.break_even is not None and profit >= params.break_even.trigger:
        wanted.append(entry + sign * params.break_even.offset)
    if params.trailing is not None and profit >= params.trailing.activate:
        wanted.append(best - sign * params.trailing.distance)
    if not wanted:
        return None
    return max(wanted) if sign > 0 else min(wanted)


def _last_best(position: Position, params: Params) -> int | None:
    """The farthest best price that leaves the wanted stop where it is; None: any does."""
    if position.best is None:
        return None
    sign = 1 if position.size > 0 else -1
    entry = _entry(position, sign)
    profit = (position.best - entry) * sign
    if params.trailing is not None and profit >= params.trailing.activate:
        return position.best
    ahead = [each.activate for each in (params.trailing,) if each is not None]
    if params.break_even is not None and profit < params.break_even.trigger:
        ahead.append(params.break_even.trigger)
    return entry + sign * (min(ahead) - 1) if ahead else None


def _entry(position: Position, sign: int) -> int:
    """The average price as a whole tick, rounded to the side that does not lose."""
    floor = position.average // MICRO
    return floor if sign < 0 or floor * MICRO == position.average else floor + 1


def _tighter(side: int, first: int, second: int) -> int:
    return max(first, second) if side < 0 else min(first, second)


def _is_ours(account: AccountState, order: OrderReported, world: State) -> bool:
    """Whether this worker placed the order: its key is one of our commands'."""
    return order.key.endswith(STOP_KEY) and order.key.startswith(
        f"{world.system.ledger}-{account.id}-"
    )


def _withdrawal(order: OrderReported) -> Breach:
    """A stop of ours that outlived its position would open one."""
    reason = Reason(NAME, f"withdraw stop {order.order_id}: its position is gone")
    return Breach(
        NAME,
        CODE,
        order.instrument,
        reason,
        Response(cancel_order=(order.instrument, order.order_id)),
        episode=f"orphan:{order.order_id}",
        automation=True,
    )


def _as_breach(position: Position, change: StopChange, world: State) -> Breach:
    listed = world.instruments.get(position.instrument)
    ticker = listed.ticker if listed else position.instrument
    verb = "place" if change.order_id is None else "move"
    reason = Reason(
        code=NAME,
        message=f"{verb} the stop of {position.size:+d} {ticker} to tick {change.stop_price}",
        measured=f"best {position.best}",
        limit=f"{change.stop_price}",
        formula="the tightest of auto_stop, break_even and trailing; never wider than it is",
    )
    episode = f"{change.order_id or 'new'}:{change.stop_price}:{change.size}"
    return Breach(
        NAME,
        CODE,
        position.instrument,
        reason,
        Response(stop=change),
        episode=episode,
        automation=True,
    )
