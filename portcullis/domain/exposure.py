"""Positions and working orders taken together: what could be held, and what only reduces."""

from __future__ import annotations

from portcullis.domain.events import OrderReported
from portcullis.domain.model import SECOND, STOP_TYPES, OrderType
from portcullis.domain.state import AccountState, Position, State

PASSED_AGE = 10 * SECOND
"""How old a price may be that says of a stop that the market has passed it."""


def size_of(account: AccountState, instrument: str) -> int:
    """Signed size held, 0 when none."""
    position = account.positions.get(instrument)
    return position.size if position else 0


def is_exit_leg(order: OrderReported, size: int) -> bool:
    """Whether an order can only leave a position: a bracket child, or a stop against it."""
    return order.parent is not None or (order.type in STOP_TYPES and order.side * size < 0)


def working(account: AccountState, instrument: str, side: int, *, but: str = "") -> int:
    """Contracts that resting orders and approved proposals of one side may still trade.

    Exit legs are left out: the venue cancels one when its sibling fills or the position ends.
    The room held under the key `but` is left out too.
    """
    total = _reserved(account, instrument, side, but) if account.reservations else 0
    for order in account.orders.values():
        if order.instrument != instrument or order.side != side:
            continue
        if not is_exit_leg(order, size_of(account, instrument)):
            total += order.remaining
    return total


def _reserved(account: AccountState, instrument: str, side: int, but: str) -> int:
    return sum(
        held.size
        for key, held in account.reservations.items()
        if held.instrument == instrument and held.side == side and key != but
    )


def resting_stops(account: AccountState, instrument: str, side: int) -> int:
    """Contracts of every resting stop of one side, whoever placed it."""
    return sum(
        order.remaining
        for order in account.orders.values()
        if order.instrument == instrument and order.side == side and order.type in STOP_TYPES
    )


def reducible(
    account: AccountState, instrument: str, side: int, kind: OrderType = "market", *, but: str = ""
) -> int:
    """The largest order of `side` that leaves the projected position smaller or flat.

    A stop shares the position with the stops that rest already, every other order with the other
    resting exits: two that fill together must not turn the position round.
    """
    size = size_of(account, instrument)
    if size * side >= 0:
        return 0
    if kind in STOP_TYPES:
        taken = resting_stops(account, instrument, side)
        taken += _reserved(account, instrument, side, but)
    else:
        taken = working(account, instrument, side, but=but)
    return max(0, abs(size) - taken)


def projected(account: AccountState, instrument: str, side: int) -> int:
    """Contracts on `side` if every resting order of that side filled; negative: the other side."""
    return size_of(account, instrument) * side + working(account, instrument, side)


def opening_orders(account: AccountState, instrument: str | None = None) -> list[OrderReported]:
    """Resting orders that could open or grow a position if they filled, the last ones first out.

    Orders against a position reduce it as long as all of a kind together are no larger than it:
    stops, targets of brackets, and the rest are counted apart, since one of them ends the others.
    """
    room: dict[tuple[str, str], int] = {}
    found = []
    for order in account.orders.values():
        if instrument is not None and order.instrument != instrument:
            continue
        size = size_of(account, order.instrument)
        key = (order.instrument, _leg(order))
        left = room.setdefault(key, abs(size))
        if order.side * size < 0 and order.remaining <= left:
            room[key] = left - order.remaining
        else:
            found.append(order)
    return found


def _leg(order: OrderReported) -> str:
    if order.type in STOP_TYPES:
        return "stop"
    return "target" if order.parent is not None else "resting"


def covered(account: AccountState, instrument: str) -> int:
    """Contracts of the position that a working stop of the opposite side covers.

    A suspended bracket child counts only while its parent still works.
    """
    return sum(order.remaining for order in covering(account, instrument))


def protected(account: AccountState, position: Position, world: State) -> int:
    """As `covered`, without the stops that the market has passed."""
    return sum(
        order.remaining
        for order in covering(account, position.instrument)
        if not is_passed(order, position, world)
    )


def covering(account: AccountState, instrument: str) -> list[OrderReported]:
    """The stops that count as cover of a position."""
    size = size_of(account, instrument)
    return [
        order
        for order in account.orders.values()
        if order.instrument == instrument
        and order.type in STOP_TYPES
        and order.side * size < 0
        and (order.status == "working" or _parent_works(account, order))
    ]


def is_passed(order: OrderReported, position: Position, world: State) -> bool:
    """Whether the market stands beyond a stop: it fired and did not fill, or will not fire.

    The last trade must be beyond it too, or the other side where no trade is known: one side alone
    may be far away where nobody quotes. A price that is old, or of before the position, says
    nothing.
    """
    if order.stop_price is None or position.mark is None:
        return False
    if world.now - position.marked_at > PASSED_AGE or position.marked_at < position.opened_at:
        return False
    if (position.mark - order.stop_price) * order.side <= 0:
        return False
    quote = world.quotes.get(order.instrument)
    if quote is None:
        return False
    other = quote.ask if position.size > 0 else quote.bid
    beside = other if quote.last is None else quote.last
    return beside is not None and (beside - order.stop_price) * order.side > 0


def _parent_works(account: AccountState, order: OrderReported) -> bool:
    if order.status != "suspended" or order.parent is None:
        return False
    parent = account.orders.get(order.parent)
    return parent is not None and parent.status == "working"
