"""Folding what the venue reports into an account: positions, orders, fills and the day's figures.

The order in which the venue's messages arrive, and how often, must not matter: rows carry the
venue's own time, orders a version, fills an id, and each changes the figures exactly once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

from portcullis.domain import exposure
from portcullis.domain.bounds import forget_oldest
from portcullis.domain.events import (
    AccountReported,
    OrderReported,
    PositionReported,
    Quote,
    TradeReported,
)
from portcullis.domain.model import HOUR, LIVE_STATUSES, MICRO, MINUTE
from portcullis.domain.money import open_pnl
from portcullis.domain.session import TradingDay
from portcullis.domain.state import (
    AccountState,
    Exit,
    Fill,
    LaterFill,
    Position,
    Row,
    State,
)

ENDED_ORDERS_MAX = 20_000
PAST_FILLS_MAX = 50_000
AHEAD_MAX = 5 * MINUTE


def fold_account(account: AccountState, fact: AccountReported, world: State) -> bool:
    """The venue's word on the account as a whole, unless it is older than what is known."""
    if fact.reported_at < account.reported_at:
        return False
    # A time far ahead of ours is no time: it would keep every later word out.
    is_time = fact.reported_at <= world.now + AHEAD_MAX
    account.reported_at = fact.reported_at if is_time else account.reported_at
    account.can_trade = fact.can_trade
    account.balance = fact.balance
    account.currency = fact.currency
    account.reported = True
    return True


def realized_at(account: AccountState, moment: int) -> int:
    """What the day had realized at a moment of the venue, micro-units: what a balance told then
    contains.
    """
    fills = account.fills.values()
    return sum(each.net for each in fills if not each.voided and each.executed_at <= moment)


def fold_position(
    account: AccountState, fact: PositionReported, world: State, max_age: int
) -> bool:
    """Take the venue's row unless a newer one is known; says whether the position changed.

    `max_age`: how old a price may be that counts for a position's best, microseconds.
    """
    row = account.rows.setdefault(fact.instrument, Row())
    if fact.as_of < row.as_of or fact.as_of > world.now + AHEAD_MAX:
        return False
    row.size, row.average, row.as_of = fact.size, fact.average, fact.as_of
    row.opened_at = fact.opened_at
    row.later = [fill for fill in row.later if fill.executed_at > fact.as_of]
    return _rebuild(account, fact.instrument, row, world, max_age)


def fold_trade(account: AccountState, fact: TradeReported, world: State, max_age: int) -> bool:
    """Count a fill once; a void takes it out again. Says whether anything changed.

    `max_age`: as for `fold_position`.
    """
    known = _known(account, fact.trade_id)
    account.reservations.pop(fact.key, None)
    if known is not None and (known.voided or not fact.voided):
        return False
    if known is None and fact.trade_id in account.past_fills:
        return False
    net = (fact.gross or 0) - fact.fees - fact.commission
    fill = Fill(fact.order_id, net, fact.executed_at, fact.gross is not None, fact.voided)
    if fact.executed_at >= account.day.end:
        account.early_fills[fact.trade_id] = fill
    elif fact.executed_at < account.day.start:
        _count_past(account, fact.trade_id, fill, world.now)
    else:
        account.fills[fact.trade_id] = fill
        if fill.voided:
            recount(account, fact.order_id, world.now)
        else:
            _count(account, fill, world.now)
    _apply_later(account, fact, world, max_age)
    return True


def _known(account: AccountState, trade_id: str) -> Fill | None:
    return account.fills.get(trade_id) or account.early_fills.get(trade_id)


def _count_past(account: AccountState, trade_id: str, fill: Fill, now: int) -> None:
    """A fill of an ended day: its money is in the balance already, or belongs there now. The
    windows of a minute and an hour know no days.
    """
    account.past_fills[trade_id] = fill.executed_at
    if fill.voided:
        return
    _enter(account, fill.order_id, fill.executed_at, now)
    if account.opening_balance is not None:
        account.opening_balance += fill.net


def recount(account: AccountState, order_id: str, now: int) -> None:
    """Sum one order's fills anew; the day's figures are sums over what is not voided."""
    before = account.exits.pop(order_id, None)
    if before is not None:
        account.realized -= before.net
        _forget_entry(account, order_id)
    for fill in account.fills.values():
        if fill.order_id == order_id and not fill.voided:
            _count(account, fill, now)


def _count(account: AccountState, fill: Fill, now: int) -> None:
    """Add one fill to its order's trade and to the day, at a cost that no history raises."""
    known = account.exits.get(fill.order_id)
    account.newest_exit = fill.order_id
    account.realized += fill.net
    if known is None:
        known = Exit(fill.executed_at, fill.net, fill.closing, 1)
        account.exits[fill.order_id] = known
    else:
        known.net += fill.net
        known.fills += 1
        known.closing = known.closing or fill.closing
        known.first_at = min(known.first_at, fill.executed_at)
    _enter(account, fill.order_id, known.first_at, now)


def _enter(account: AccountState, order_id: str, first_at: int, now: int) -> None:
    """Count an order's first fill among those of the last hour, whichever day they were of."""
    known = account.entered.get(order_id)
    if known is None or first_at < known:
        _forget_entry(account, order_id)
        account.entered[order_id] = first_at
        insort(account.entries, first_at)
    over = bisect_right(account.entries, now - HOUR)
    if over:
        del account.entries[:over]
        account.entered = {o: at for o, at in account.entered.items() if at > now - HOUR}


def _forget_entry(account: AccountState, order_id: str) -> None:
    first_at = account.entered.pop(order_id, None)
    if first_at is not None:
        del account.entries[bisect_left(account.entries, first_at)]


def _apply_later(account: AccountState, fact: TradeReported, world: State, max_age: int) -> None:
    """A fill newer than the venue's row changes the position before the row says so."""
    row = account.rows.setdefault(fact.instrument, Row())
    row.later = [fill for fill in row.later if fill.trade_id != fact.trade_id]
    if fact.executed_at > row.as_of and not fact.voided:
        row.later.append(
            LaterFill(
                fact.executed_at,
                fact.trade_id,
                fact.side,
                fact.size,
                fact.price,
                fact.gross is not None,
            )
        )
        row.later.sort(key=lambda fill: (fill.executed_at, fill.trade_id))
    _rebuild(account, fact.instrument, row, world, max_age)


def _rebuild(account: AccountState, instrument: str, row: Row, world: State, max_age: int) -> bool:
    """The position is the venue's row and the later fills on top of it."""
    size, cost, opened_at = row.size, row.average * row.size, row.opened_at or row.as_of
    for fill in row.later:
        if fill.closing and size * fill.side >= 0:
            continue  # nothing is left for it to close: the row was read after it, and has it
        if size == 0 or (size > 0) != (size + fill.side * fill.size > 0):
            opened_at = fill.executed_at
        size, cost = after_fill(size, cost, fill.side * fill.size, fill.price)
    average = nearest(cost, size) if size else row.average
    changed = _set_position(account, instrument, size, average, opened_at, row.as_of, world)
    quote, held = world.quotes.get(instrument), account.positions.get(instrument)
    if quote is not None and held is not None:
        _mark_at(account, held, quote, world, max_age)
    return changed


def after_fill(size: int, cost: int, traded: int, price: int) -> tuple[int, int]:
    """Signed size and cost (size times average, in micro-ticks) after a fill at `price` ticks.

    A cost is exact where an average is not, so that many fills add up to no error.
    """
    after = size + traded
    if after == 0:
        return 0, 0
    if size == 0 or (size > 0) != (after > 0):
        return after, price * MICRO * after
    if (size > 0) == (traded > 0):
        return after, cost + price * MICRO * traded
    return after, nearest(cost * after, size)


def nearest(amount: int, parts: int) -> int:
    """An amount divided into parts, rounded to the nearest whole; halves up."""
    return (2 * amount + parts) // (2 * parts) if parts > 0 else nearest(-amount, -parts)


def _set_position(
    account: AccountState,
    instrument: str,
    size: int,
    average: int,
    opened_at: int,
    as_of: int,
    world: State,
) -> bool:
    before = account.positions.get(instrument)
    if size == 0:
        if before is None:
            return False
        account.open_pnl -= before.pnl
        del account.positions[instrument]
        if not account.positions:
            account.peak_open = 0
        return True
    if before is None or _is_another(before, size, opened_at):
        if before is not None:
            account.open_pnl -= before.pnl
        before = Position(instrument, size, average, as_of, min(opened_at, world.now) or world.now)
        account.positions[instrument] = before
        changed = True
    else:
        changed = before.size != size or before.average != average
        before.size, before.average, before.as_of = size, average, as_of
    return changed


def _is_another(known: Position, size: int, opened_at: int) -> bool:
    """Whether a position is not the known one: turned round, or opened after the venue last
    spoke of that one.
    """
    return (known.size > 0) != (size > 0) or opened_at > max(known.opened_at, known.as_of)


def fold_order(account: AccountState, fact: OrderReported) -> bool:
    """Take an order's report unless a newer version is known; says whether it changed."""
    known = account.orders.get(fact.order_id)
    if known is not None and known.version >= fact.version:
        return False
    if account.ended_orders.get(fact.order_id, -1) >= fact.version:
        return False
    if fact.key and fact.status != "filled":
        # A filled order keeps its room until its fill is known, or its time is over.
        account.reservations.pop(fact.key, None)
    if fact.status in LIVE_STATUSES and fact.remaining > 0:
        account.orders[fact.order_id] = fact
    else:
        _end_order(account, fact.order_id, fact.version)
    return True


def drop_order(account: AccountState, order_id: str) -> bool:
    """Forget a live order that the venue no longer lists; says whether one was known."""
    known = account.orders.get(order_id)
    if known is not None:
        # That it ended was inferred: should the venue list it again, it is there again.
        _end_order(account, order_id, known.version - 1)
    return known is not None


def _end_order(account: AccountState, order_id: str, version: int) -> None:
    account.orders.pop(order_id, None)
    account.ended_orders[order_id] = version
    account.last_stop_change.pop(order_id, None)
    forget_oldest(account.ended_orders, ENDED_ORDERS_MAX)


def _mark_at(
    account: AccountState, position: Position, quote: Quote, world: State, max_age: int
) -> None:
    """Value a position at the price at which it could be closed, where that is known.

    A price too old to judge by tells where the position is booked, not how well it ever stood.
    """
    price = quote.bid if position.size > 0 else quote.ask
    if price is None:
        price = quote.last
    listed = world.instruments.get(position.instrument)
    if price is not None and listed is not None:
        best = price if world.now - quote.quoted_at <= max_age else None
        mark(account, position, price, best, quote.quoted_at, listed.tick_value)


def mark(
    account: AccountState,
    position: Position,
    price: int,
    best: int | None,
    quoted_at: int,
    tick_value: int,
) -> None:
    """Value a position at `price`; `best` is the best one since the last mark, for its highs; None
    leaves them as they are.
    """
    pnl = open_pnl(price, position.average, position.size, tick_value)
    account.open_pnl += pnl - position.pnl
    position.pnl, position.mark, position.marked_at = pnl, price, quoted_at
    if best is None:
        return
    highest = pnl
    if best != price:
        highest = open_pnl(best, position.average, position.size, tick_value)
    position.peak_pnl = max(position.peak_pnl, highest)
    known = position.best
    if known is None or (best > known if position.size > 0 else best < known):
        position.best = best
    if not account.unjudged:
        account.peak_open = max(account.peak_open, account.open_pnl + highest - pnl)


def raise_peak(account: AccountState) -> None:
    """Let the best open profit of the account follow it, while all of it can be judged."""
    if not account.unjudged:
        account.peak_open = max(account.peak_open, account.open_pnl)


def raise_high(account: AccountState) -> None:
    """Let the high follow the equity, for a drawdown that trails within the day."""
    equity = None if account.unjudged else account.equity()
    if equity is not None and (account.high is None or equity > account.high):
        account.high = equity


def watch_cover(account: AccountState, world: State, *, any_stop: bool) -> bool:
    """Keep the time since which each position is without a covering stop; says whether one changed.

    The clock of a position that was never covered starts when it opened at the venue, so time
    during which nobody watched counts; one that lost its stop gets the grace anew.
    """
    changed = False
    for position in account.positions.values():
        before = position.naked_since
        covered = exposure.protected(account, position, world)
        if covered >= (1 if any_stop else abs(position.size)):
            position.naked_since = None
        elif before is None:
            position.naked_since = world.now if position.watched else position.opened_at
        position.watched = True
        changed = changed or position.naked_since != before
    return changed


def roll_day(account: AccountState, following: TradingDay) -> None:
    """Close the day's figures and begin the next: fills become past, early ones are counted."""
    if account.opening_balance is not None:
        account.opening_balance += account.realized
    for trade_id, fill in account.fills.items():
        account.past_fills[trade_id] = fill.executed_at
    forget_oldest(account.past_fills, PAST_FILLS_MAX)
    early, account.fills, account.early_fills = account.early_fills, {}, {}
    account.exits, account.realized, account.day = {}, 0, following
    for trade_id, fill in sorted(early.items()):
        if fill.executed_at >= following.end:
            account.early_fills[trade_id] = fill
            continue
        account.fills[trade_id] = fill
        if not fill.voided:
            _count(account, fill, fill.executed_at)
