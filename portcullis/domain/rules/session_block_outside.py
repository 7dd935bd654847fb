"""RULE-009: positions and orders only inside the session; everything is out at its end."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from portcullis.domain.breach import UNLIMITED, Breach, Distance, LockSpec, Response
from portcullis.domain.hours import Hours, contradictions, windows_of
from portcullis.domain.model import Reason
from portcullis.domain.money import duration
from portcullis.domain.session import Calendar, opening
from portcullis.domain.state import AccountState, State
from portcullis.domain.units import Minute, Ticker, Zone

NAME = "session_block_outside"
CODE = "RULE-009"
TRIGGERS = ("position", "order", "time")
BY_CALENDAR = True  # next_check depends on nothing but the time


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag=NAME):
    """`sessions` of the account, `instruments` of single tickers (within the account's).

    `flat_by` (wall time of the account's zone) ends every session of the day; None: no such time.
    `zone` and `calendar` are the account's own.
    """

    __hidden__: ClassVar[tuple[str, ...]] = ("zone", "calendar")

    sessions: tuple[Hours, ...]
    instruments: dict[Ticker, tuple[Hours, ...]] = {}
    flat_by: Minute | None = None
    holidays: bool = True
    zone: Zone = "America/Chicago"
    calendar: Calendar | None = None


def impossible(params: Params) -> tuple[tuple[str, str], ...]:
    """Settings that contradict each other: (key, what is wrong)."""
    faults = contradictions("sessions", params.sessions)
    for ticker, hours in params.instruments.items():
        faults += contradictions(f"instruments.{ticker}", hours)
    return faults


def evaluate(account: AccountState, params: Params, world: State) -> tuple[Breach, ...]:
    if not account.positions and not account.orders:
        return ()
    is_open, changes_at = _account_session(params, world.now)
    if not is_open:
        reason = _reason(params, world.now, "the account's session is closed", changes_at)
        lock = LockSpec("person") if changes_at is None else LockSpec("at", changes_at)
        response = Response(flatten=True, cancel=True, locks=(lock,))
        return (Breach(NAME, CODE, None, reason, response),)
    if not params.instruments:
        return ()
    found: tuple[Breach, ...] = ()
    for instrument in _concerned(account):
        hours = params.instruments.get(_ticker(world, instrument))
        if hours is None:
            continue
        is_open, changes_at = _session(hours, params, world.now)
        if not is_open:
            text = f"the session of {_ticker(world, instrument)} is closed"
            lock = (
                LockSpec("person", instrument=instrument)
                if changes_at is None
                else LockSpec("at", changes_at, instrument)
            )
            response = Response(close=instrument, cancel_in=instrument, locks=(lock,))
            reason = _reason(params, world.now, text, changes_at)
            found += (Breach(NAME, CODE, instrument, reason, response),)
    return found


def allowance(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> int:
    if not _account_session(params, world.now)[0]:
        return 0
    hours = params.instruments.get(_ticker(world, instrument))
    return UNLIMITED if hours is None or _session(hours, params, world.now)[0] else 0


def explain(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> Reason:
    is_open, changes_at = _account_session(params, world.now)
    if not is_open:
        return _reason(params, world.now, "the account's session is closed", changes_at)
    hours = params.instruments.get(_ticker(world, instrument), ())
    text = f"the session of {_ticker(world, instrument)} is closed"
    return _reason(params, world.now, text, _session(hours, params, world.now)[1])


def distance(account: AccountState, params: Params, world: State) -> tuple[Distance, ...]:
    is_open, changes_at = _account_session(params, world.now)
    left = "no change ahead" if changes_at is None else duration(changes_at - world.now)
    state = "open" if is_open else "closed"
    return (
        Distance(
            NAME,
            CODE,
            None,
            state,
            "open",
            left,
            0 if is_open else 100,
            "time until the session ends" if is_open else "time until it opens",
        ),
    )


def next_check(account: AccountState, params: Params, world: State) -> int | None:
    changes = [_account_session(params, world.now)[1]]
    changes += [_session(hours, params, world.now)[1] for hours in params.instruments.values()]
    return min((at for at in changes if at is not None), default=None)


def _concerned(account: AccountState) -> list[str]:
    return sorted({*account.positions, *(o.instrument for o in account.orders.values())})


def _ticker(world: State, instrument: str) -> str:
    listed = world.instruments.get(instrument)
    return listed.ticker if listed else instrument


def _account_session(params: Params, now: int) -> tuple[bool, int | None]:
    return _session(params.sessions, params, now)


def _session(hours: tuple[Hours, ...], params: Params, now: int) -> tuple[bool, int | None]:
    windows = windows_of(hours, params.flat_by, params.zone)
    return opening(now, windows, params.calendar if params.holidays else None)


def _reason(params: Params, now: int, text: str, changes_at: int | None) -> Reason:
    opens = (
        "it does not open again"
        if changes_at is None
        else (f"it opens in {duration(changes_at - now)}")
    )
    return Reason(
        code=NAME,
        message=f"{text}; {opens}",
        measured="closed",
        limit="open",
        allowed="0",
        formula="sessions, holidays, early closes and flat_by",
    )
