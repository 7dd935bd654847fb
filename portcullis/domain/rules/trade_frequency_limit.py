"""RULE-006: no more trades in a minute, an hour or a session than allowed; then a cooldown.

A trade is an order that filled, however many fills it took; entries and exits both count, as the
venue's own trade limits count them. Positions stay.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Literal

import msgspec

from portcullis.domain.breach import UNLIMITED, Breach, Distance, LockSpec, Response
from portcullis.domain.model import HOUR, MINUTE, Reason
from portcullis.domain.money import duration
from portcullis.domain.state import AccountState, State
from portcullis.domain.units import Count, Span

NAME = "trade_frequency_limit"
CODE = "RULE-006"
TRIGGERS = ("trade",)
OF_A_FILL = True  # judged when it comes, by the rules of then; not again when others are loaded


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag=NAME):
    """Limits per rolling window, and the cooldown that exceeding each of them starts."""

    per_minute: Count = 3
    per_hour: Count = 10
    per_session: Count = 50
    minute_cooldown: Span = MINUTE
    hour_cooldown: Span = 30 * MINUTE
    session_cooldown: Literal["next_session"] | Span = "next_session"


def evaluate(account: AccountState, params: Params, world: State) -> tuple[Breach, ...]:
    newest = account.entries[-1] if account.entries else 0
    if newest < account.day.start and (newest or not account.exits):
        return ()  # a trade breaches when it comes, not when the next day does
    # What is found again without another trade is the same breach, while the window moves on.
    # Trades learnt more than an hour late are in no window but the session's.
    count = _windows(account, params, newest)[1][1] if newest else len(account.exits)
    episode = f"{newest}:{count}"
    worst: tuple[int, LockSpec, Reason] | None = None
    # A venue's clock that is ahead of ours must not hide the trade that has just come.
    for name, count, limit, cooldown in _windows(account, params, max(world.now, newest)):
        if count > limit:
            spec, length = _lock(cooldown, world.now)
            if worst is None or length > worst[0]:
                worst = (length, spec, _reason(name, count, limit))
    if worst is None:
        return ()
    _, spec, reason = worst
    return (
        Breach(NAME, CODE, None, reason, Response(locks=(spec,)), episode=episode, level=False),
    )


def allowance(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> int:
    for _, count, limit, _ in _windows(account, params, world.now):
        if count >= limit:
            return 0
    return UNLIMITED


def explain(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> Reason:
    rows = _windows(account, params, world.now)
    name, count, limit, _ = max(rows, key=lambda row: row[1] - row[2])
    return _reason(name, count + 1, limit)


def distance(account: AccountState, params: Params, world: State) -> tuple[Distance, ...]:
    return tuple(
        Distance(
            NAME,
            CODE,
            None,
            f"{count} per {name}",
            f"{limit} per {name}",
            str(max(0, limit - count)),
            100 * count // limit,
            _formula(name),
        )
        for name, count, limit, _ in _windows(account, params, world.now)
    )


def _windows(
    account: AccountState, params: Params, at: int
) -> tuple[tuple[str, int, int, int | str], ...]:
    entries = account.entries
    last = bisect_right(entries, at)
    minute = last - bisect_right(entries, at - MINUTE)
    hour = last - bisect_right(entries, at - HOUR)
    return (
        ("minute", minute, params.per_minute, params.minute_cooldown),
        ("hour", hour, params.per_hour, params.hour_cooldown),
        ("session", len(account.exits), params.per_session, params.session_cooldown),
    )


def _lock(cooldown: int | str, now: int) -> tuple[LockSpec, int]:
    if isinstance(cooldown, int):
        return LockSpec("at", now + cooldown), cooldown
    return LockSpec("next_session"), 1 << 62


def _formula(name: str) -> str:
    if name == "session":
        return "orders that filled since the day began"
    return f"orders that filled in the last {duration(MINUTE if name == 'minute' else HOUR)}"


def _reason(name: str, count: int, limit: int) -> Reason:
    return Reason(
        code=NAME,
        message=f"{count} trades in one {name}, allowed are {limit}",
        measured=f"{count} trades",
        limit=f"{limit} per {name}",
        allowed=str(max(0, limit - count)),
        formula=_formula(name),
    )
