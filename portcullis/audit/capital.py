"""Pools and strategies by the text: what an account has lost of its part, and who may trade."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from portcullis.audit.account import Account
from portcullis.audit.book import Trade
from portcullis.audit.finding import CENT, NUMBER, Number, money
from portcullis.audit.market import Market
from portcullis.audit.reading import Event, Group
from portcullis.audit.report import Difference, Kind, Report

NEXT = {
    "DRAFT": "PROBATION RETIRED",
    "PROBATION": "ACTIVE PAUSED RETIRED",
    "ACTIVE": "PROBATION PAUSED RETIRED",
    "PAUSED": "PROBATION ACTIVE RETIRED",
    "RETIRED": "",
}
LOOSER = re.compile("(DRAFT|PAUSED) PROBATION|(DRAFT|PAUSED|PROBATION) ACTIVE")
SPENT, STRATEGIES = "allocation_spent", "strategy"


class Part:
    """An account's part of a pool, and what it has realized since it joined.

    `doubtful`: voids of trades of ended days, which may count as trades or as movements.
    """

    def __init__(self, pool: str, allocated: int) -> None:
        self.pool, self.allocated = pool, allocated
        self.has_joined = False
        self.earned = 0
        self.doubtful = 0


class Capital:
    """What is known of pools and strategies so far."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.parts: dict[str, Part] = {}
        self.planned: dict[str, dict[str, Any]] = {}
        self.states: dict[str, str] = {}
        self._trades: dict[tuple[str, str], int] = {}

    def load(self, plan: dict[str, Any]) -> None:
        """The pools and strategies of a configuration; an older one has none."""
        before, self.parts = self.parts, {}
        for pool in plan.get("pools", ()):
            for name, allocated in pool["allocated"].items():
                part = before.get(name)
                if part is None or part.pool != pool["pool"]:
                    part = Part(pool["pool"], allocated)
                part.allocated = allocated
                self.parts[name] = part
        self.planned = {each["strategy"]: each for each in plan.get("strategies", ())}

    # --- money ----------------------------------------------------------------------------

    def follow(self, a: Account, fill: Trade | None) -> None:
        """Count a fill that is news, and let the account join once it was compared."""
        part = self.parts.get(a.name)
        if fill is not None:
            self._count(a, part, fill)
        if part is not None and not part.has_joined:
            part.has_joined = a.is_planned and a.is_compared

    def _count(self, a: Account, part: Part | None, fill: Trade) -> None:
        known = self._trades.get((a.name, fill.trade_id))
        net = (0 if fill.voided else fill.net) if known is None else -known
        self._trades[a.name, fill.trade_id] = 0 if fill.voided else fill.net
        if part is None or not part.has_joined:
            return
        if known is not None and fill.executed_at < a.day.start:
            part.doubtful += net
        else:
            part.earned += net

    def results(self, a: Account, market: Market, at: int) -> tuple[Number, ...]:
        """Realized since it joined and what is open, by every reading; empty: cannot be told."""
        part, pnl = self.parts.get(a.name), a.open_total(market, at)
        if part is None or not part.has_joined or pnl is None:
            return ()
        return (part.earned + pnl, part.earned + part.doubtful + pnl)

    # --- moves ----------------------------------------------------------------------------

    def take(self, group: Group) -> None:
        """The moves behind a fact: each with its cause, along the table."""
        moves = [event for event in group.decisions if event.kind == "strategy_moved"]
        fact = group.fact
        if fact.kind == "rules_loaded":
            fresh = {name for name in self.planned if name not in self.states}
            for name in sorted(fresh - {event.body["strategy"] for event in moves}):
                self._differ(fact, "missing", f"{name} begins", "no move")
        elif fact.kind == "request_received" and fact.body["verb"] == "strategy":
            self._answered(group, bool(moves))
        for event in moves:
            self._moved(fact, event)

    def _answered(self, group: Group, has_moved: bool) -> None:
        done = any(
            event.kind == "request_answered" and event.body["outcome"] == "done"
            for event in group.decisions
        )
        if done != has_moved:
            found = "answered as done without" if done else "a move with a refusal"
            self._differ(group.fact, "missing", "a move and its answer", found)

    def _moved(self, fact: Event, event: Event) -> None:
        body = event.body
        name, before, after = body["strategy"], body["before"], body["after"]
        fault = self._unjustified(fact, body)
        if fault:
            self._differ(event, "unjustified", fault, f"{name}: {before or 'none'} to {after}")
        self.states[name] = after

    def _unjustified(self, fact: Event, body: dict[str, Any]) -> str:
        name, before, after = body["strategy"], body["before"], body["after"]
        if before != self.states.get(name, ""):
            return f"{name} is {self.states.get(name, 'not known')}"
        if name not in self.planned:
            return f"{name} is in no configuration"
        if not before:
            starts = self.planned[name]["starts"]
            return "" if (fact.kind, after) == ("rules_loaded", starts) else f"starts as {starts}"
        if fact.kind != "request_received" or fact.body["verb"] != "strategy":
            return "a person's request"
        asked = fact.body["arguments"]
        if (asked.get("strategy"), asked.get("to")) != (name, after):
            return f"{asked.get('strategy')} to {asked.get('to')} was asked"
        if after not in NEXT[before].split():
            return f"{before} leads to {NEXT[before] or 'nothing'}"
        role = fact.body["role"]
        needed = ("admin",) if LOOSER.fullmatch(f"{before} {after}") else ("admin", "operator")
        return "" if role in needed else f"not a {role}'s to ask"

    def _differ(self, where: Event, kind: Kind, expected: str, found: str) -> None:
        self.report.differences.append(
            Difference(where.position, where.at, "-", kind, STRATEGIES, None, expected, found)
        )

    # --- the gate -------------------------------------------------------------------------

    def faults(self, a: Account, market: Market, fact: Event) -> list[str]:
        """Why an approved entry is wrong by pools and strategies."""
        found = []
        results = self.results(a, market, fact.at)
        if results and all(self.parts[a.name].allocated + each < -CENT for each in results):
            found.append(f"its part of pool {self.parts[a.name].pool} is spent")
        name = fact.body.get("strategy", "")
        if not name:
            return found
        planned, state = self.planned.get(name), self.states.get(name, "")
        if planned is None:
            return [*found, f"strategy {name} is not known"]
        if state not in ("PROBATION", "ACTIVE"):
            found.append(f"strategy {name} is {state or 'not known'}")
        if a.name not in planned["accounts"]:
            found.append(f"strategy {name} is not for this account")
        most = planned["probation_contracts"]
        if state == "PROBATION" and fact.body["order"]["size"] > most:
            found.append(f"in PROBATION an order of {name} is at most {most}")
        return found

    def denied(self, a: Account, market: Market, at: int, reason: dict[str, Any]) -> str:
        """What is wrong with a denial because of a spent part; empty when it is right."""
        results = self.results(a, market, at)
        if reason["code"] != SPENT or not results:
            return ""
        part, number = self.parts[a.name], NUMBER.search(reason["measured"])
        told = Fraction(number.group().replace(",", "")) * 1_000_000 if number else None
        if told is None or all(abs(told - Fraction(each)) > CENT for each in results):
            return f"a result of {' or '.join(money(each) for each in results)}"
        if all(part.allocated + each > CENT for each in results):
            return f"{money(part.allocated)} of pool {part.pool} are not spent"
        return ""
