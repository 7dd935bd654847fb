"""RULE-011: instruments that this account does not touch."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache

import msgspec

from portcullis.domain.breach import UNLIMITED, Breach, Distance, LockSpec, Response
from portcullis.domain.hours import Hours, contradictions, windows_of
from portcullis.domain.model import Reason
from portcullis.domain.session import opening
from portcullis.domain.state import AccountState, State
from portcullis.domain.units import TickerPattern

NAME = "symbol_blocks"
CODE = "RULE-011"
TRIGGERS = ("position", "order", "time")
BY_CALENDAR = True  # next_check depends on nothing but the time


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag=NAME):
    """`blocked`: tickers, or patterns with * and ?; `during`: only in these hours (none: always).

    A plain ticker matches itself only: ES does not block MES.
    """

    blocked: tuple[TickerPattern, ...]
    during: tuple[Hours, ...] = ()


def impossible(params: Params) -> tuple[tuple[str, str], ...]:
    """Settings that contradict each other: (key, what is wrong)."""
    if not params.blocked:
        return (("blocked", "an empty list blocks nothing; leave the rule out"),)
    return contradictions("during", params.during) if params.during else ()


def evaluate(account: AccountState, params: Params, world: State) -> tuple[Breach, ...]:
    if not account.positions and not account.orders:
        return ()
    touched = set(account.positions)
    for order in account.orders.values():
        touched.add(order.instrument)
    patterns = {name: _blocking(params, world, name) for name in sorted(touched)}
    found: tuple[Breach, ...] = ()
    for instrument, pattern in patterns.items():
        if pattern is not None:
            response = Response(
                close=instrument,
                cancel_in=instrument,
                locks=(LockSpec("config", instrument=instrument),),
            )
            reason = _reason(world, instrument, pattern)
            found += (Breach(NAME, CODE, instrument, reason, response),)
    return found


def allowance(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> int:
    return UNLIMITED if _blocking(params, world, instrument) is None else 0


def explain(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> Reason:
    return _reason(world, instrument, _blocking(params, world, instrument) or "")


def distance(account: AccountState, params: Params, world: State) -> tuple[Distance, ...]:
    return ()


def next_check(account: AccountState, params: Params, world: State) -> int | None:
    if not params.during:
        return None
    return opening(world.now, windows_of(params.during, None, ""), None)[1]


def blocks(params: Params, world: State, instrument: str) -> bool:
    """Whether the instrument is in the list, whatever the hour."""
    return _matching(params, world, instrument) is not None


def _matching(params: Params, world: State, instrument: str) -> str | None:
    listed = world.instruments.get(instrument)
    return _first_match(params.blocked, listed.ticker if listed else instrument)


@lru_cache(maxsize=4096)
def _first_match(patterns: tuple[str, ...], ticker: str) -> str | None:
    for pattern in patterns:
        if fnmatchcase(ticker.upper(), pattern.upper()):
            return pattern
    return None


def _blocking(params: Params, world: State, instrument: str) -> str | None:
    pattern = _matching(params, world, instrument)
    if pattern is None or not params.during:
        return pattern
    is_open, _ = opening(world.now, windows_of(params.during, None, ""), None)
    return pattern if is_open else None


def _reason(world: State, instrument: str, pattern: str) -> Reason:
    listed = world.instruments.get(instrument)
    ticker = listed.ticker if listed else instrument
    return Reason(
        code=NAME,
        message=f"{ticker} is blocked on this account",
        measured=ticker,
        limit=f"not {pattern}",
        allowed="0",
        formula=f"{ticker} matches {pattern}",
    )
