"""Which rules watch which account on which kind of fact: compiled from the plan, never stored."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

from portcullis.domain.breach import Band, Breach
from portcullis.domain.plan import AccountPlan
from portcullis.domain.rules import RULES, no_stop_loss_grace, trailing_drawdown
from portcullis.domain.session import DAY
from portcullis.domain.state import AccountState, Position, State

MODULES: dict[str, ModuleType] = {rule.NAME: rule for rule in RULES}
TRIGGERS = ("quote", "position", "order", "trade", "account", "time")
Evaluate = Callable[[AccountState, Any, State], tuple[Breach, ...]]
QuietPosition = Callable[[AccountState, Position, Any, State], Band | None]
QuietTotal = Callable[[AccountState, Any], Band | None]
NextCheck = Callable[[AccountState, Any, State], int | None]
Allowance = Callable[[AccountState, Any, State, str, int], int]


class RuleWatch(NamedTuple):
    """One rule of one account, ready to be asked."""

    name: str
    evaluate: Evaluate
    params: Any


class PositionWatch(NamedTuple):
    """A rule that a new price concerns through one position only: the hot path of a quote."""

    name: str
    judge: Callable[[AccountState, Position, Any, State], Breach | None]
    params: Any


class AccountWatch:
    """The rules of one account by trigger, and what asking them needs."""

    def __init__(self, plan: AccountPlan) -> None:
        self.plan = plan
        rules = [(MODULES[str(params.__struct_config__.tag)], params) for params in plan.rules]
        self.rules: tuple[tuple[ModuleType, Any], ...] = tuple(rules)
        self.by_trigger: dict[str, tuple[RuleWatch, ...]] = {
            trigger: tuple(
                RuleWatch(rule.NAME, rule.evaluate, params)
                for rule, params in rules
                if trigger in rule.TRIGGERS
            )
            for trigger in TRIGGERS
        }
        on_price = [(r, p) for r, p in rules if "quote" in r.TRIGGERS]
        alone = [
            (r, p) for r, p in on_price if hasattr(r, "of_one_position") and r.of_one_position(p)
        ]
        self.on_position_price = tuple(
            PositionWatch(rule.NAME, rule.judge_position, params) for rule, params in alone
        )
        self.on_account_price = tuple(
            RuleWatch(rule.NAME, rule.evaluate, params)
            for rule, params in on_price
            if (rule, params) not in alone
        )
        self.quiet_positions: tuple[tuple[QuietPosition, Any], ...] = tuple(
            (rule.quiet_position, params) for rule, params in alone
        )
        self.quiet_totals: tuple[tuple[QuietTotal, Any], ...] = tuple(
            (rule.quiet_total, params) for rule, params in on_price if (rule, params) not in alone
        )
        timed = [(rule, params) for rule, params in rules if hasattr(rule, "next_check")]
        by_calendar = [row for row in timed if getattr(row[0], "BY_CALENDAR", False)]
        self.timed: tuple[tuple[NextCheck, Any], ...] = tuple(
            (rule.next_check, params) for rule, params in timed if (rule, params) not in by_calendar
        )
        self.by_calendar: tuple[tuple[NextCheck, Any], ...] = tuple(
            (rule.next_check, params) for rule, params in by_calendar
        )
        self._calendar: tuple[int, int, int | None] = (0, 0, None)
        self.everything = tuple(
            RuleWatch(rule.NAME, rule.evaluate, params)
            for rule, params in rules
            if not getattr(rule, "OF_A_FILL", False)
        )
        self.allowances: tuple[tuple[ModuleType, Allowance, Any], ...] = tuple(
            (rule, rule.allowance, params)
            for rule, params in rules
            if getattr(rule, "DENIES", True)
        )
        self.needs_quotes = any(getattr(rule, "NEEDS_QUOTES", False) for rule, _ in rules)
        self.trails_intraday = any(
            isinstance(params, trailing_drawdown.Params) and params.trail == "intraday"
            for _, params in rules
        )
        on_stops = [p for _, p in rules if isinstance(p, no_stop_loss_grace.Params)]
        self.needs_stops = bool(on_stops)
        self.any_stop = any(params.cover == "any" for params in on_stops)

    def next_check(self, account: AccountState, world: State) -> int | None:
        """When a rule may answer otherwise by the passing of time alone."""
        soonest = self._next_by_calendar(account, world) if self.by_calendar else None
        for check, params in self.timed:
            at = check(account, params, world)
            if at is not None and (soonest is None or at < soonest):
                soonest = at
        return soonest

    def _next_by_calendar(self, account: AccountState, world: State) -> int | None:
        """What the calendar says next is known until then, and never for longer than a UTC day."""
        since, until, at = self._calendar
        if since <= world.now < until:
            return at
        times = [check(account, params, world) for check, params in self.by_calendar]
        at = min((each for each in times if each is not None), default=None)
        until = (world.now // DAY + 1) * DAY
        self._calendar = (world.now, until if at is None else min(at, until), at)
        return at
