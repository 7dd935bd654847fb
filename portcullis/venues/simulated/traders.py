"""Scripted traders: people at the venue's own screen, as lists of steps.

A step waits for its condition and then acts; steps happen in order, and several may happen at one
moment. Times are microseconds since the trader's first look at the market. What the venue
refuses is noted and the script goes on, as people do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from portcullis.domain.model import STOP_TYPES, OrderRequest, OrderType
from portcullis.errors import VenueRefused
from portcullis.venues.simulated.contracts import instrument
from portcullis.venues.simulated.exchange import Exchange
from portcullis.venues.simulated.orders import best_price


class When(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition; everything given must hold.

    `at`: not before this time; `after`: this long after the step before; `flat`: there is no
    position (False: there is one); `profit_at_least`, `profit_at_most`: gross open profit of the
    account in micro-units; `price_at_least`, `price_at_most`: last price of `ticker` in ticks.
    """

    at: int = 0
    after: int = 0
    flat: bool | None = None
    profit_at_least: int | None = None
    profit_at_most: int | None = None
    ticker: str = ""
    price_at_least: int | None = None
    price_at_most: int | None = None


class _Act(msgspec.Struct, frozen=True, tag_field="act", forbid_unknown_fields=True):
    """What a trader does."""


class Place(_Act, frozen=True, tag="place"):
    """Send an order. `offset` sets a limit or stop price in ticks from the best price."""

    ticker: str
    side: int
    size: int
    type: OrderType = "market"
    offset: int = 0
    trail: int | None = None


class Move(_Act, frozen=True, tag="move"):
    """Move the working stops of an instrument to `offset` ticks from the best price."""

    ticker: str
    offset: int


class Cancel(
    msgspec.Struct, frozen=True, tag_field="act", tag="cancel", forbid_unknown_fields=True
):
    """Cancel every live order of an instrument."""

    ticker: str


class Close(_Act, frozen=True, tag="close"):
    """Close the position in an instrument."""

    ticker: str


class Allow(_Act, frozen=True, tag="allow"):
    """The venue itself allows or forbids the account to trade."""

    can_trade: bool


Act = Place | Move | Cancel | Close | Allow


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One act; `breaks` names the rule it is meant to break."""

    when: When
    do: Act
    breaks: str = ""


class Done(NamedTuple):
    """A step that happened: when, which one, and what the venue said if it refused."""

    at: int
    step: Step
    refused: str


class Trader:
    """Plays a script in one account. Call `look` after every change of the market."""

    def __init__(self, exchange: Exchange, account: str, script: Sequence[Step]) -> None:
        self.exchange = exchange
        self.account = account
        self.script = tuple(script)
        self.done: list[Done] = []
        self._began: int | None = None

    @property
    def finished(self) -> bool:
        return len(self.done) == len(self.script)

    def look(self, at: int) -> None:
        """Do every step that is due at `at` (microseconds)."""
        if self._began is None:
            self._began = at
        while not self.finished:
            step = self.script[len(self.done)]
            if not self._holds(step.when, at):
                return
            refused = ""
            try:
                self._do(step.do)
            except VenueRefused as error:
                refused = error.code
            self.done.append(Done(at, step, refused))

    def _holds(self, when: When, at: int) -> bool:
        assert self._began is not None
        before = self.done[-1].at if self.done else self._began
        if at < self._began + when.at or at < before + when.after:
            return False
        if when.flat is not None and when.flat == bool(self.exchange.positions(self.account)):
            return False
        return self._profit_holds(when) and self._price_holds(when)

    def _profit_holds(self, when: When) -> bool:
        profit = self.exchange.open_profit(self.account)
        return _between(when.profit_at_least, profit, when.profit_at_most)

    def _price_holds(self, when: When) -> bool:
        if not when.ticker:
            return True
        wanted = instrument(when.ticker).id
        for quote in self.exchange.quotes():
            if quote.instrument == wanted and quote.last is not None:
                return _between(when.price_at_least, quote.last, when.price_at_most)
        return False

    def _do(self, act: Act) -> None:
        match act:
            case Place():
                self.exchange.place_order(self._order(act))
            case Close():
                self.exchange.close_position(self.account, instrument(act.ticker).id)
            case Allow():
                self.exchange.set_can_trade(self.account, act.can_trade)
            case Cancel():
                for order in self.exchange.orders(self.account):
                    if order.instrument == instrument(act.ticker).id:
                        self.exchange.cancel_order(self.account, order.order_id)
            case Move():
                self._move(act)

    def _move(self, act: Move) -> None:
        for order in self.exchange.orders(self.account):
            if order.instrument == instrument(act.ticker).id and order.type in STOP_TYPES:
                price = self._price(act.ticker, order.side, act.offset)
                self.exchange.modify_order(self.account, order.order_id, stop_price=price)

    def _order(self, act: Place) -> OrderRequest:
        price = self._price(act.ticker, act.side, act.offset)
        return OrderRequest(
            self.account,
            instrument(act.ticker).id,
            act.side,
            act.size,
            act.type,
            limit_price=price if act.type in ("limit", "stop_limit") else None,
            stop_price=price if act.type in ("stop", "stop_limit") else None,
            trail=act.trail,
        )

    def _price(self, ticker: str, side: int, offset: int) -> int | None:
        wanted = instrument(ticker).id
        for quote in self.exchange.quotes():
            if quote.instrument == wanted:
                best = best_price(side, quote)
                return None if best is None else best + offset
        return None


def _between(least: int | None, value: int, most: int | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)
