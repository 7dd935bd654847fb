"""The band of prices within which no rule changes its answer about an account.

Each rule that prices concern says, of the state as it is now, between which open profits it keeps
its answer: of one position (`quiet_position`), or of the account (`quiet_total`). What is in
between needs nobody to ask; see `portcullis.domain.holders`. A band holds until anything but the
price changes.
"""

from __future__ import annotations

from portcullis.domain.breach import UNLIMITED, Band
from portcullis.domain.model import MICRO
from portcullis.domain.state import AccountState, Position, State
from portcullis.domain.watch import AccountWatch

Keys = tuple[int, int]
"""A lowest and a highest price in ticks, both included; negated and swapped for a short side."""


def bands(account: AccountState, watch: AccountWatch, world: State) -> list[Keys] | None:
    """The band of each position, in their order; None where every price must be asked about.

    What limits the account's open profit is divided evenly: while no position moves by more than
    its part, all together stay within the limits, in whatever order they move.
    """
    total = _total(account, watch)
    if account.unjudged or total is None:
        return None
    down, up = account.open_pnl - total[0], total[1] - account.open_pnl
    parts = len(account.positions)
    if parts > 1:
        down, up = down // parts, up // parts
    found = []
    for position in account.positions.values():
        low, high = position.pnl - down, position.pnl + up
        for quiet_position, params in watch.quiet_positions:
            band = quiet_position(account, position, params, world)
            if band is None:
                return None
            low = max(low, band[0])
            high = min(high, band[1])
        listed = world.instruments.get(position.instrument)
        if position.mark is None or listed is None or listed.tick_value < 1:
            return None
        if not low <= position.pnl <= high:
            return None
        found.append(keys_between(position, low, high, listed.tick_value))
    return found


def _total(account: AccountState, watch: AccountWatch) -> Band | None:
    """Between which open profits of the account no rule about the whole changes its answer."""
    low, high = -UNLIMITED, UNLIMITED
    if len(account.positions) > 1:
        # The highest sum of several depends on how they moved: a new one must be seen.
        high = account.peak_open
    for quiet_total, params in watch.quiet_totals:
        band = quiet_total(account, params)
        if band is None:
            return None
        low, high = max(low, band[0]), min(high, band[1])
    return (low, high) if low <= account.open_pnl <= high else None


def keys_between(position: Position, low: int, high: int, tick_value: int) -> Keys:
    """The keys at which the open profit is at least `low` and at most `high`, in micro-units.

    The inverse of `portcullis.domain.money.open_pnl`, its rounding included: from money to
    thousandths of a tick, from these to the price.
    """
    size = abs(position.size)
    average = position.average if position.size > 0 else -position.average
    least, most = -(-low * 1000 // tick_value), ((high + 1) * 1000 - 1) // tick_value
    lowest = -((-average + (500 - 1000 * least) // size) // MICRO)
    highest = (average + (1000 * most + 499) // size) // MICRO
    return lowest, highest
