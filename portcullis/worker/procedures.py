"""How each kind of command is carried out: one pass that ends in an outcome, or in another pass.

A pass returns None when it must be repeated. Closing and cancelling converge by themselves, so a
pass may repeat them; an opening order is sent by at most one pass, ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from portcullis.domain import exposure
from portcullis.domain.commands import (
    CancelOrder,
    CancelOrders,
    Close,
    Command,
    Flatten,
    MoveStop,
    PlaceStop,
    Reduce,
    Submit,
)
from portcullis.domain.model import LIVE_STATUSES, STOP_KEY, OrderRequest
from portcullis.errors import Retryable, VenueRefused

if TYPE_CHECKING:
    from portcullis.worker.enforce import Errand

REFUSALS_MAX = 3
LOOKS_FOR_ORDER = 5
ROW_LAGS = 5.0
"""Seconds for which a position row may stay behind the fill that ended the position."""

Done = tuple[Literal["confirmed", "refused", "unconfirmed", "superseded"], str]
Procedure = Callable[["Errand"], Awaitable[Done | None]]
Call = Callable[[], Awaitable[Any]]


def for_command(command: Command) -> Procedure:
    """The procedure of a command."""
    return _PROCEDURES[type(command)]


async def _flatten(errand: Errand) -> Done | None:
    return await _empty(errand, None)


async def _close(errand: Errand) -> Done | None:
    command: Any = errand.issued.command
    if command.unless_covered:
        await errand.look()
        account = errand.account
        held = account.positions.get(command.instrument)
        any_stop = errand.watch is not None and errand.watch.any_stop
        if held is not None and exposure.protected(account, held, errand.core.engine.world) >= (
            1 if any_stop else abs(held.size)
        ):
            return "superseded", "the venue's own orders hold a covering stop"
        await errand.take_over()
    return await _empty(errand, command.instrument)


async def _empty(errand: Errand, instrument: str | None) -> Done | None:
    """Cancel and close what is there, then see it gone on two reads.

    Without a doubt about what is there (no restart, no time-out) the first read is saved: the
    requests leave at once, and close whatever the venue holds when they arrive.
    """
    if errand.recovered:
        await errand.look()
    await errand.send(_emptying(errand, instrument))
    for _ in range(2):
        await errand.look()
        if _emptying(errand, instrument) or any(instrument in (None, n) for n in errand.listed):
            errand.recovered = False
            return None
    return "confirmed", "no position and no working order, on two reads"


def _emptying(errand: Errand, instrument: str | None) -> list[Call]:
    """What must still be cancelled and closed. The round makes the key of a repeated close new
    only after the venue was read and still held the position.

    Where the books are flat by fills that are newer than the venue's row, the row is given a while:
    it may lag, and what is opened meanwhile is not ours to close.
    """
    account, venue = errand.account, errand.venue
    calls: list[Call] = [
        partial(venue.cancel_order, account.id, order.order_id)
        for order in account.orders.values()
        if instrument in (None, order.instrument)
    ]
    long_ago = asyncio.get_running_loop().time() - ROW_LAGS
    stuck = (name for name, since in errand.listed.items() if since <= long_ago)
    for name in dict.fromkeys((*account.positions, *stuck)):
        if instrument in (None, name):
            key = f"{errand.key}/{name}/{errand.attempts}"
            calls.append(partial(venue.close_position, account.id, name, key))
    return calls


async def _reduce(errand: Errand) -> Done | None:
    command: Any = errand.issued.command
    await errand.look()
    excess = abs(exposure.size_of(errand.account, command.instrument)) - command.to
    if excess <= 0:
        await errand.look()
        held = abs(exposure.size_of(errand.account, command.instrument))
        return ("confirmed", f"{held} held on two reads") if held <= command.to else None
    key = f"{errand.key}/{command.instrument}/{errand.attempts}"
    sending = partial(
        errand.venue.reduce_position, errand.account.id, command.instrument, excess, key
    )
    await errand.send([sending])
    return None


async def _cancel(errand: Errand) -> Done | None:
    command: Any = errand.issued.command
    if errand.recovered:
        await errand.look()
    await errand.send(_cancelling(errand, command.instrument))
    await errand.look()
    if _cancelling(errand, command.instrument):
        return None
    return "confirmed", "no order that could open risk is left"


def _cancelling(errand: Errand, instrument: str | None) -> list[Call]:
    account = errand.account
    return [
        partial(errand.venue.cancel_order, account.id, order.order_id)
        for order in exposure.opening_orders(account, instrument)
    ]


async def _cancel_one(errand: Errand) -> Done | None:
    command: Any = errand.issued.command
    if errand.recovered:
        await errand.look()
    if command.order_id not in errand.account.orders:
        return "confirmed", f"order {command.order_id} no longer works"
    if errand.attempts >= REFUSALS_MAX:
        return "unconfirmed", errand.refusal or f"order {command.order_id} still works"
    await errand.send([partial(errand.venue.cancel_order, errand.account.id, command.order_id)])
    await errand.look()
    return None


def _stop_key(errand: Errand) -> str:
    """The key of a stop of ours says that it is one, so that it is known when it is left over."""
    return f"{errand.key}{STOP_KEY}"


async def _place_stop(errand: Errand) -> Done | None:
    command: Any = errand.issued.command
    account = errand.account
    # Without its position a protective stop would open one: look first, whatever it costs.
    await errand.look()
    held = exposure.size_of(account, command.instrument)
    if held * command.side >= 0:
        return await _withdraw(errand)
    placed = (
        await errand.ask(errand.venue.order_by_key(account.id, _stop_key(errand)))
        if (errand.recovered or errand.attempts)
        else None
    )
    if placed is None:
        if errand.attempts >= REFUSALS_MAX:
            return "unconfirmed", errand.refusal or "the stop did not show up at the venue"
        # What was decided may be more than is left to protect: others are resting, or it shrank.
        size = min(command.size, abs(held) - exposure.covered(account, command.instrument))
        if size <= 0:
            return "superseded", "the venue's own orders hold a covering stop"
        order = OrderRequest(
            account.id,
            command.instrument,
            command.side,
            size,
            "stop",
            stop_price=command.stop_price,
            key=_stop_key(errand),
        )
        await errand.send([partial(errand.venue.place_order, order)])
        return ("refused", errand.refusal) if errand.refusal else None
    if placed.status not in LIVE_STATUSES and placed.status != "filled":
        return "refused", f"the venue ended the stop: {placed.status}"
    return "confirmed", f"stop {placed.order_id} is {placed.status}"


async def _withdraw(errand: Errand) -> Done:
    """The position is gone: a stop of ours would open one, so it must not be left behind."""
    placed = await errand.ask(errand.venue.order_by_key(errand.account.id, _stop_key(errand)))
    if placed is not None and placed.status in LIVE_STATUSES:
        await errand.send([partial(errand.venue.cancel_order, errand.account.id, placed.order_id)])
        await errand.look()
    return "superseded", "the position it was to protect is gone"


async def _move_stop(errand: Errand) -> Done | None:
    command: Any = errand.issued.command
    if errand.attempts >= REFUSALS_MAX:
        return "unconfirmed", errand.refusal or "the stop did not move"
    if errand.recovered:
        await errand.look()
    order = errand.account.orders.get(command.order_id)
    if order is None:
        return "superseded", "the stop is no longer working"
    held = abs(exposure.size_of(errand.account, command.instrument))
    wanted = min(command.size, held) or command.size
    if (order.stop_price, order.remaining) == (command.stop_price, wanted):
        return "confirmed", f"stop {command.order_id} stands as asked"
    await errand.send(
        [
            partial(
                errand.venue.modify_order,
                errand.account.id,
                command.order_id,
                stop_price=command.stop_price,
                size=order.size - order.remaining + wanted,
            )
        ]
    )
    await errand.look()
    return ("refused", errand.refusal) if errand.refusal else None


def _may_still_leave(errand: Errand, command: Any) -> bool:
    """Between approval and sending a flatten or a lock may have come: look at what is there."""
    account, order = errand.account, command.order
    if command.is_exit or account.is_locked(order.instrument):
        room = exposure.reducible(account, order.instrument, order.side, order.type, but=errand.key)
        return bool(order.size <= room)
    return True


async def _submit(errand: Errand) -> Done | None:
    """An opening order leaves once. Whatever is not certain afterwards is looked up, not resent."""
    command: Any = errand.issued.command
    order = msgspec.structs.replace(command.order, key=errand.key)
    if not errand.recovered and not errand.attempts:
        await errand.look()
        if not _may_still_leave(errand, command):
            return "superseded", "since the approval it would open risk that is no longer allowed"
        try:
            errand.attempts = 1
            await errand.core.settled()
            await errand.ask(errand.venue.place_order(order))
        except VenueRefused as error:
            return "refused", str(error)
        except Retryable:
            errand.recovered = True
    placed = await errand.ask(errand.venue.order_by_key(order.account, errand.key))
    if placed is not None:
        return "confirmed", f"order {placed.order_id} is {placed.status}"
    errand.attempts += 1
    if errand.attempts > LOOKS_FOR_ORDER:
        return "unconfirmed", "the venue does not know the order; it was not sent again"
    return None


_PROCEDURES: dict[type, Procedure] = {
    Flatten: _flatten,
    Close: _close,
    Reduce: _reduce,
    CancelOrders: _cancel,
    CancelOrder: _cancel_one,
    PlaceStop: _place_stop,
    MoveStop: _move_stop,
    Submit: _submit,
}
