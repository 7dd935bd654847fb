"""What the audit keeps of one account while it reads."""

from __future__ import annotations

from typing import Any

import msgspec

from portcullis.audit.book import Book
from portcullis.audit.calendar_days import Hours, TradingDay, trading_day
from portcullis.audit.finding import Number
from portcullis.audit.market import Market
from portcullis.audit.outbox import Outbox
from portcullis.audit.rows import Locks

NEVER = 2**62
UNCLIPPED = {"zone": "UTC", "flat_by": None, "calendar": None, "holidays": False}


class Uncovered(msgspec.Struct):
    """Since when a position has had no covering stop: by the strictest and by the mildest reading;
    None where it has one by that reading. `size` is the position it was judged for.
    """

    size: int
    opened_at: int
    earliest: int | None = None
    latest: int | None = None


class Best(msgspec.Struct):
    """The best price a position has seen, in ticks, and the best open profit, micro-units."""

    size: int
    mark: int
    profit: Number
    opened_at: int


def _trails_within(plan: dict[str, Any]) -> bool:
    """Whether a drawdown trails within the day."""
    return any(
        rule["rule"] == "trailing_drawdown" and rule["trail"] == "intraday"
        for rule in plan["rules"]
    )


class Account:
    """One watched account: its plan, its book, its locks, its commands, its day."""

    def __init__(self, name: str, plan: dict[str, Any], at: int) -> None:
        self.name = name
        self.book, self.locks, self.outbox = Book(), Locks(), Outbox()
        self.day: TradingDay = trading_day(at, plan)
        self.standing: dict[tuple[str, str | None], bool] = {}
        self.forgiven: dict[str, Number] = {}
        self.last_announced: dict[str, Number] = {}
        self.uncovered: dict[str, Uncovered] = {}
        self.best: dict[str, Best] = {}
        self.best_before: dict[str, Best] = {}
        self.best_total: Number = 0
        self.highs: tuple[Number, Number] | None = None
        self.closes: tuple[Number, Number] | None = None
        self.is_planned = False
        self.is_lost = False
        self.is_compared = False
        self.is_current = False  # compared since the worker started
        self.awaited: set[str] = set()
        self.pardoned: set[str] = set()
        self.day_base: int | None = None
        self.moved: dict[str, int] = {}
        self.stop_moved: dict[tuple[str, str], int] = {}
        self.approved_at: dict[tuple[str, int], int] = {}
        self.owed: set[str] = set()
        self.planned: set[str] = set()
        self.locked_out: set[str] = set()
        self.withdrawn: set[str] = set()
        self.bare_since: dict[str, int] = {}
        self.complained: set[tuple[str, str | None]] = set()
        self.due = 0
        self._realized: int | None = None
        self.plan = plan
        self.take(plan)

    def take(self, plan: dict[str, Any]) -> None:
        """The account's part of a configuration."""
        if _trails_within(plan) and not _trails_within(self.plan):
            # From now on the highs of every moment count, and before this those of closed days.
            base = self.day_base
            self.highs = self.closes or (None if base is None else (base, base))
        self.plan = plan
        self.rules: dict[str, dict[str, Any]] = {r["rule"]: r for r in plan["rules"]}
        self.max_age: int = plan["quote_max_age"]
        self.hours: Hours | None = None
        self.instrument_hours: dict[str, Hours] = {}
        self.block_hours: Hours | None = None
        blocks = self.rules.get("symbol_blocks")
        if blocks is not None and blocks["during"]:
            self.block_hours = Hours(blocks["during"], UNCLIPPED)
        session = self.rules.get("session_block_outside")
        if session is not None:
            self.hours = Hours(session["sessions"], session)
            self.instrument_hours = {
                ticker: Hours(sessions, session)
                for ticker, sessions in session["instruments"].items()
            }

    # --- the day's money ------------------------------------------------------------------

    def touched(self) -> None:
        """Trades changed, or the day: figures made of them are made anew."""
        self._realized = None

    @property
    def realized(self) -> int:
        """Net of the day's trades, micro-units."""
        if self._realized is None:
            self._realized = sum(t.net for t in self.book.between(self.day.start, self.day.end))
        return self._realized

    def open_total(self, market: Market, at: int) -> Number | None:
        """Open profit or loss of all positions; None where one of them cannot be judged."""
        total: Number = 0
        for name, held in self.book.positions.items():
            pnl = market.open_pnl(name, held, at, self.max_age)
            if pnl is None:
                return None
            total += pnl
        return total

    def equities(self, market: Market, at: int) -> tuple[Number, ...]:
        """The account's equity by both readings the text allows, empty where it cannot be judged.

        The newest balance and the trades since, or the balance the day began with and what the
        day realized; both with what is open.
        """
        base, pnl = self.book.equity_base(), self.open_total(market, at)
        if base is None or pnl is None:
            return ()
        begun = () if self.day_base is None else (self.day_base + self.realized + pnl,)
        return (base + pnl, *begun)
