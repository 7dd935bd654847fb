"""An account's book from the venue's facts: trades by id, positions, orders, the venue's word.

A position is the venue's newest row plus the fills executed after that row's own time. A trade
counts once however often it is reported, and a voided one not at all, in any order of arrival.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import msgspec

MICRO = 1_000_000
LIVE = frozenset(("working", "suspended", "pending"))
AHEAD = 300_000_000
"""A row from further ahead than this is no clock's error: it would hide every later one."""


class Trade(msgspec.Struct):
    """One fill. `net` is gross - fees - commission; `closes` says that it realized something.

    `executed_at` is the venue's time, `learnt_at` the ledger's: the venue's clock may be ahead.
    """

    trade_id: str
    order_id: str
    instrument: str
    signed: int
    price: int
    net: int
    closes: bool
    executed_at: int
    voided: bool
    key: str
    learnt_at: int


class Position(NamedTuple):
    """Signed size, average in micro-ticks, and since when it is open (venue's time)."""

    size: int
    average: int | Fraction
    opened_at: int


class Row(NamedTuple):
    """The venue's own row of a position."""

    as_of: int
    position: Position


class Book:
    """What is known of one account."""

    def __init__(self) -> None:
        self.trades: dict[str, Trade] = {}
        self.of_order: dict[str, list[Trade]] = {}
        self.positions: dict[str, Position] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.gone: set[str] = set()
        self.can_trade: bool | None = None
        self.reported = False
        self.balance: int | None = None
        self.balance_at = 0
        self._rows: dict[str, Row] = {}
        self._fills: dict[str, dict[str, Trade]] = {}
        self._live: dict[str, dict[str, Any]] = {}
        self._base: int | None = None

    # --- facts ----------------------------------------------------------------------------

    def report(self, body: dict[str, Any], at: int) -> None:
        """The venue's word on the account; an older word never overwrites a newer one."""
        told = body["reported_at"] if body["reported_at"] <= at + AHEAD else at
        if self.balance is not None and told < self.balance_at:
            return
        self.can_trade, self.reported = body["can_trade"], True
        self.balance, self.balance_at = body["balance"], told
        self._base = None

    def row(self, body: dict[str, Any], at: int) -> None:
        """The venue's row of a position."""
        name, as_of = body["instrument"], body["as_of"]
        if as_of > at + AHEAD or (name in self._rows and as_of < self._rows[name].as_of):
            return
        before = self.positions.get(name)
        opened = body.get("opened_at") or (
            before.opened_at if before and before.size * body["size"] > 0 else at
        )
        self._rows[name] = Row(as_of, Position(body["size"], body["average"], opened))
        fills = self._fills.get(name, {})
        self._fills[name] = {k: t for k, t in fills.items() if t.executed_at > as_of}
        self._derive(name)

    def trade(self, body: dict[str, Any], at: int) -> Trade | None:
        """A fill; answers it when it changed something, else None."""
        known = self.trades.get(body["trade_id"])
        self._base = None
        if known is not None:
            if not body["voided"] or known.voided:
                return None
            known.voided = True
            self._derive(known.instrument)
            return known
        gross = body["gross"]
        found = Trade(
            body["trade_id"],
            body["order_id"],
            body["instrument"],
            body["side"] * body["size"],
            body["price"],
            (gross or 0) - body["fees"] - body["commission"],
            gross is not None,
            body["executed_at"],
            body["voided"],
            body.get("key", ""),
            at,
        )
        self.trades[found.trade_id] = found
        self.of_order.setdefault(found.order_id, []).append(found)
        row = self._rows.get(found.instrument)
        if row is None or found.executed_at > row.as_of:
            self._fills.setdefault(found.instrument, {})[found.trade_id] = found
            self._derive(found.instrument)
        return found

    def order(self, body: dict[str, Any]) -> None:
        """An order in the venue's own words; older versions change nothing."""
        known = self.orders.get(body["order_id"])
        if known is None or body["version"] >= known["version"]:
            self._keep(body)

    def order_gone(self, order_id: str) -> None:
        """The venue lists the order no longer."""
        if order_id in self.orders:
            self._keep(self.orders[order_id] | {"status": "gone"})

    def _keep(self, order: dict[str, Any]) -> None:
        self.orders[order["order_id"]] = order
        if order["status"] in LIVE:
            self._live[order["order_id"]] = order
        else:
            self._live.pop(order["order_id"], None)

    def forget_before(self, moment: int) -> None:
        """Let go of what no figure of today or tomorrow can need."""
        self.trades = {k: t for k, t in self.trades.items() if t.executed_at >= moment}
        self.of_order = {}
        for trade in self.trades.values():
            self.of_order.setdefault(trade.order_id, []).append(trade)
        self.orders = {
            k: o
            for k, o in self.orders.items()
            if o["status"] in LIVE or o["reported_at"] >= moment
        }

    # --- figures --------------------------------------------------------------------------

    def live(self, name: str | None = None) -> list[dict[str, Any]]:
        """Orders that may still fill, in an instrument or anywhere."""
        return [each for each in self._live.values() if name in (None, each["instrument"])]

    def size(self, name: str) -> int:
        """Signed size held in an instrument."""
        return self.positions[name].size if name in self.positions else 0

    def between(self, start: int, end: int) -> list[Trade]:
        """Trades that count, executed in [start, end)."""
        return [t for t in self.trades.values() if not t.voided and start <= t.executed_at < end]

    def equity_base(self) -> int | None:
        """Newest balance and the trades executed since, micro-units; None while none is known."""
        if self.balance is None:
            return None
        if self._base is None:
            newer = (t for t in self.trades.values() if t.executed_at > self.balance_at)
            self._base = self.balance + sum(t.net for t in newer if not t.voided)
        return self._base

    def _derive(self, name: str) -> None:
        row = self._rows.get(name)
        held = row.position if row else Position(0, 0, 0)
        fills = self._fills.get(name, {}).values()
        for fill in sorted(fills, key=lambda t: (t.executed_at, t.trade_id)):
            # The venue says which fills realized something: those only close.
            opens = not fill.closes or held.size * fill.signed < 0
            if opens and not fill.voided:
                held = after(held, fill)
        if held.size:
            self.positions[name] = held
        else:
            self.positions.pop(name, None)


def after(held: Position, fill: Trade) -> Position:
    """The position after a fill; an average stays exact, as a fraction where it must."""
    size = held.size + fill.signed
    price = fill.price * MICRO
    if held.size == 0:
        return Position(size, price, fill.executed_at)
    if held.size * fill.signed > 0:
        total = held.average * abs(held.size) + price * abs(fill.signed)
        mean = Fraction(total) / abs(size)
        return Position(size, int(mean) if mean.denominator == 1 else mean, held.opened_at)
    if size * held.size < 0:
        return Position(size, price, fill.executed_at)
    return Position(size, held.average, held.opened_at)


def could_open(order: dict[str, Any], held: int) -> bool:
    """Whether an order by itself could open risk beside this position."""
    return bool(order["side"] * held >= 0 or order["remaining"] > abs(held))
