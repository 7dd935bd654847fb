"""The frame around the trading day: one roll at each reset, with that day's figures."""

from __future__ import annotations

from portcullis.audit.account import Account
from portcullis.audit.calendar_days import trading_day
from portcullis.audit.finding import money
from portcullis.audit.moment import Moment
from portcullis.audit.reading import Event

TWO_DAYS = 2 * 86_400_000_000


def roll(a: Account, moment: Moment) -> bool:
    """Roll the day at each reset that has come; answers whether one has.

    Days that passed while nobody ran are rolled in order, each once.
    """
    recorded = moment.of("day_rolled")
    rolled = False
    while moment.at >= a.day.end:
        rolled = True
        event = recorded.pop(0) if recorded else None
        if a.is_planned:
            moment.report.days += 1
            _compare(a, moment, event)
        _next(a, moment)
    for event in recorded:
        moment.differ(
            a, "unjustified", "trading_day", None,
            f"day {a.day.label} ends at {a.day.end}", f"day {event.body['day']} rolled", event,
        )  # fmt: skip
    return rolled


def _compare(a: Account, moment: Moment, event: Event | None) -> None:
    trades = a.book.between(a.day.start, a.day.end)
    told = f"day {a.day.label}, realized {money(a.realized)}"
    if event is None:
        moment.differ(a, "missing", "trading_day", None, told, "no roll at the reset")
        return
    body = event.body
    right = body["day"] == a.day.label and body["realized"] == a.realized
    if not right or body["trades"] not in (len(trades), len({t.order_id for t in trades})):
        said = f"day {body['day']}, realized {money(body['realized'])}, {body['trades']} trades"
        told += f", {len(trades)} trades"
        moment.differ(a, "differs", "trading_day", None, told, said, event)


def _next(a: Account, moment: Moment) -> None:
    base = a.book.equity_base()
    closing = a.equities(moment.market, moment.at)
    if base is not None:
        seen = (base, *closing)
        low, high = a.closes or (min(seen), max(seen))
        a.closes = max(low, min(seen)), max(high, *seen)
        a.day_base = base
    a.day = trading_day(a.day.end, a.plan)
    a.book.forget_before(a.day.start - TWO_DAYS)
    a.forgiven = {k: v for k, v in a.forgiven.items() if k == "trailing_drawdown"}
    a.touched()
