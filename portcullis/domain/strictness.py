"""Which way a setting is stricter, as data; and of two plans the strictest of both.

A setting that is not known to be stricter is taken for looser: whatever cannot be compared waits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from portcullis.domain.hours import Hours, windows_of
from portcullis.domain.plan import AccountPlan
from portcullis.domain.rules import RULES, RuleParams
from portcullis.domain.session import DAY_MINUTES, CalendarDay, Window

NoLooser = Callable[[Any, Any], bool]
"""Whether the second rule, which differs from the first in one setting, lets through no more."""


def _lower(setting: str) -> NoLooser:
    return lambda now, new: bool(getattr(new, setting) <= getattr(now, setting))


def _higher(setting: str) -> NoLooser:
    return lambda now, new: bool(getattr(new, setting) >= getattr(now, setting))


def _along(setting: str, *values: Any) -> NoLooser:
    """Values from the loosest to the strictest; any other must stay what it is."""

    def compare(now: Any, new: Any) -> bool:
        before, after = getattr(now, setting), getattr(new, setting)
        if before in values and after in values:
            return values.index(after) >= values.index(before)
        return bool(before == after)

    return compare


def _same(setting: str) -> NoLooser:
    return lambda now, new: bool(getattr(now, setting) == getattr(new, setting))


def _any(_now: Any, _new: Any) -> bool:
    """No limit: a description or a warning."""
    return True


def _limits_by_ticker(now: Any, new: Any) -> bool:
    def allowed(params: Any, ticker: str) -> int:
        other = 0 if params.unknown == "deny" else params.unknown
        return int(params.limits.get(ticker, other))

    names = (*now.limits, *new.limits)
    others = 0 if new.unknown == "deny" else new.unknown
    known = 0 if now.unknown == "deny" else now.unknown
    return others <= known and all(allowed(new, name) <= allowed(now, name) for name in names)


def _tiers(now: Any, new: Any) -> bool:
    """Every loss that led to a pause still does, to one as long or longer."""
    return all(
        any(tier.loss <= old.loss and tier.cooldown >= old.cooldown for tier in new.tiers)
        for old in now.tiers
    )


def _session_cooldown(now: Any, new: Any) -> bool:
    before, after = now.session_cooldown, new.session_cooldown
    if isinstance(before, int) and isinstance(after, int):
        return after >= before
    return bool(before == after)


def _open_hours(now: Any, new: Any) -> bool:
    """No moment is open that was not, in the account's hours and in those of every ticker."""
    for name in now.instruments:
        own = new.instruments.get(name)
        if own is None or not _within(_windows(new, own), _windows(now, now.instruments[name])):
            return False
    return _within(_windows(new, new.sessions), _windows(now, now.sessions))


def _windows(params: Any, hours: tuple[Hours, ...]) -> tuple[Window, ...]:
    return windows_of(hours, params.flat_by, params.zone)


def _within(inner: Sequence[Window], outer: Sequence[Window]) -> bool:
    """Whether each of the first lies in one of the second."""
    return all(any(_lies_in(each, wide) for wide in outer) for each in inner)


def _lies_in(inner: Window, outer: Window) -> bool:
    if inner.zone != outer.zone or not set(inner.days) <= set(outer.days):
        return False
    if _runs_over(inner) != _runs_over(outer):  # holidays of another date close it
        return False
    return outer.start <= inner.start and _end(inner) <= _end(outer)


def _runs_over(window: Window) -> bool:
    return window.end <= window.start


def _end(window: Window) -> int:
    return window.end + (DAY_MINUTES if _runs_over(window) else 0)


def _closed_days(now: Any, new: Any) -> bool:
    """Each day that was closed still is, and one that closes early does so no later."""
    before, after = now.calendar, new.calendar
    if before is None:
        return True
    if after is None or after.zone != before.zone:
        return False
    return all(_closes_by(after.find(date.fromisoformat(day.date)), day) for day in before.days)


def _closes_by(new: CalendarDay | None, now: CalendarDay) -> bool:
    if new is None or new.closes_minute is None:
        return new is not None
    return now.closes_minute is not None and new.closes_minute <= now.closes_minute


def _blocked(now: Any, new: Any) -> bool:
    return set(now.blocked) <= set(new.blocked)


def _blocked_during(now: Any, new: Any) -> bool:
    """Blocked at every moment at which it was; without hours it is always."""
    if not new.during:
        return True
    if not now.during:
        return False
    return _within(windows_of(now.during, None, ""), windows_of(new.during, None, ""))


OF_RULES: Mapping[str, Mapping[str, NoLooser]] = {
    "max_contracts": {
        "limit": _lower("limit"),
        "count": _along("count", "net", "gross"),
        "micro_ratio": _same("micro_ratio"),  # of a net count neither way is stricter
        "on_breach": _same("on_breach"),
    },
    "max_contracts_per_instrument": {
        "limits": _limits_by_ticker,
        "unknown": _limits_by_ticker,
        "on_breach": _along("on_breach", "reduce", "close"),
    },
    "daily_realized_loss": {"limit": _lower("limit")},
    "daily_unrealized_loss": {
        "limit": _lower("limit"),
        "scope": _same("scope"),
        "include_realized": _same("include_realized"),
    },
    "max_unrealized_profit": {
        "target": _lower("target"),
        "scope": _same("scope"),
        "mode": _same("mode"),
        "arm_at": _lower("arm_at"),
    },
    "trade_frequency_limit": {
        "per_minute": _lower("per_minute"),
        "per_hour": _lower("per_hour"),
        "per_session": _lower("per_session"),
        "minute_cooldown": _higher("minute_cooldown"),
        "hour_cooldown": _higher("hour_cooldown"),
        "session_cooldown": _session_cooldown,
    },
    "cooldown_after_loss": {"tiers": _tiers},
    "no_stop_loss_grace": {"grace": _lower("grace"), "cover": _along("cover", "any", "full")},
    "session_block_outside": {
        "sessions": _open_hours,
        "instruments": _open_hours,
        "flat_by": _open_hours,
        "holidays": _along("holidays", False, True),
        "zone": _same("zone"),
        "calendar": _closed_days,
    },
    "auth_loss_guard": {
        "check_every": _lower("check_every"),
        "auto_unlock": _along("auto_unlock", True, False),
    },
    "symbol_blocks": {"blocked": _blocked, "during": _blocked_during},
    "trade_management": {
        "auto_stop": _same("auto_stop"),
        "break_even": _same("break_even"),
        "trailing": _same("trailing"),
    },
    "daily_realized_profit": {"target": _lower("target")},
    "trailing_drawdown": {
        "start": _higher("start"),
        "allowance": _lower("allowance"),
        "trail": _along("trail", "end_of_day", "intraday"),
        "lock_at_start": _along("lock_at_start", True, False),
        "warn_at": _any,
    },
}
OF_THE_ACCOUNT: Mapping[str, NoLooser] = {
    "profile": _any,
    "zone": _same("zone"),
    "reset_minute": _same("reset_minute"),
    "days": _same("days"),
    "calendar": _same("calendar"),  # it makes days longer, whose profit pays for losses, or shorter
    "quote_max_age": _same("quote_max_age"),  # an older price allows; without one nothing is closed
}
_IMPOSSIBLE = {rule.NAME: getattr(rule, "impossible", lambda _: ()) for rule in RULES}


def rule_name(params: RuleParams) -> str:
    """The name of the rule that these are the settings of."""
    return str(params.__struct_config__.tag)


def stricter(now: AccountPlan, wanted: AccountPlan) -> AccountPlan:
    """`now` with every setting of `wanted` that is no looser; a rule that is new is taken whole,
    one that is gone stays.
    """
    known = {rule_name(each): each for each in now.rules}
    rules = [_strictest(known.pop(rule_name(each), None), each) for each in wanted.rules]
    frame: AccountPlan = _taken(now, wanted, OF_THE_ACCOUNT)
    return msgspec.structs.replace(frame, rules=(*rules, *known.values()))


def _strictest(now: RuleParams | None, wanted: RuleParams) -> RuleParams:
    if now is None or now == wanted:
        return wanted
    name = rule_name(wanted)
    mixed: RuleParams = _taken(now, wanted, OF_RULES[name])
    return now if _IMPOSSIBLE[name](mixed) else mixed


def _taken(now: Any, wanted: Any, settings: Mapping[str, NoLooser]) -> Any:
    """One setting after the other, each against what stands by then."""
    for setting, no_looser in settings.items():
        new = msgspec.structs.replace(now, **{setting: getattr(wanted, setting)})
        if new != now and no_looser(now, new):
            now = new
    return now
