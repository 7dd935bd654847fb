"""RULE-009 session_block_outside, RULE-010 auth_loss_guard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from portcullis.audit.account import Account
from portcullis.audit.calendar_days import Hours
from portcullis.audit.finding import Finding
from portcullis.audit.market import Market
from portcullis.audit.rows import LockWanted


def hours_of(a: Account, ticker: str) -> Hours | None:
    """The sessions that bind an instrument: its own, else the account's."""
    return a.instrument_hours.get(ticker, a.hours)


def session_block_outside(
    a: Account, p: dict[str, Any], market: Market, at: int
) -> Iterator[Finding]:
    """Something held or resting outside its session: close, cancel, lock until it opens.

    The text does not say whether the account's own sessions lock the account or the instrument, nor
    whether an instrument with its own is bound by the account's too: either is accepted.
    """
    touched = {*a.book.positions, *(order["instrument"] for order in a.book.live())}
    for name in sorted(touched):
        ticker = market.ticker(name)
        hours = hours_of(a, ticker)
        closed = [each for each in {hours, a.hours} if each is not None and not each.is_open(at)]
        if closed:
            opens = {each.next_opening(at) for each in closed}
            yield Finding(
                "session_block_outside",
                name,
                hours in closed and not any(each.doubtful(at) for each in closed),
                (),
                False,
                f"the session of {ticker} is closed",
                "close",
                LockWanted("at", tuple(sorted(each for each in opens if each is not None)), name),
            )


def due(a: Account, market: Market, at: int) -> list[int]:
    """When a session of something that is held or resting next opens or closes."""
    touched = {*a.book.positions, *(order["instrument"] for order in a.book.live())}
    found = (hours_of(a, market.ticker(name)) for name in touched)
    return [hours.next_change(at) for hours in found if hours is not None]


def auth_loss_guard(a: Account, p: dict[str, Any], lost: bool) -> Iterator[Finding]:
    """The venue says the account may not trade, or authorization is lost.

    Where the venue did not say (None), nothing is demanded: that is no word, and no yes.
    """
    forbids = a.book.reported and a.book.can_trade is not True
    if forbids or lost:
        yield Finding(
            "auth_loss_guard",
            None,
            lost or a.book.can_trade is False,
            (),
            False,
            "the venue does not let the account trade",
            "flatten",
            LockWanted("venue" if p["auto_unlock"] else "person", (), None),
        )
