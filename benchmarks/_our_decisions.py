"""Our gate on the list of orders: real facts make the state, a proposal is parsed and judged."""

from __future__ import annotations

import time
from typing import Any

from portcullis.domain import gate
from portcullis.domain.engine import Engine
from portcullis.domain.events import (
    AccountReported,
    AnyFact,
    InstrumentListed,
    LedgerCreated,
    OrderReported,
    PositionReported,
    ProposalReceived,
    Quote,
    Reconciled,
    RequestReceived,
    RulesLoaded,
    TimePassed,
    TradeReported,
    VenueLinked,
    WorkerStarted,
)
from portcullis.domain.hours import Hours
from portcullis.domain.model import HOUR, MICRO, MINUTE, SECOND
from portcullis.domain.plan import AccountPlan, Plan, digest, encode_plan
from portcullis.domain.rules import (
    cooldown_after_loss,
    daily_realized_loss,
    daily_unrealized_loss,
    max_contracts,
    max_contracts_per_instrument,
    session_block_outside,
    symbol_blocks,
    trade_frequency_limit,
)
from portcullis.domain.session import DAY, Calendar, CalendarDay
from portcullis.venues.simulated.contracts import instrument
from portcullis.worker.gate_server import Malformed, Proposal, as_order

TUESDAY = 1_772_550_000 * MICRO  # 2026-03-03 15:00 UTC
ES = instrument("ES")
SESSION = Hours(17 * 60, 16 * 60, days=(0, 1, 2, 3, 6), overnight=True)


class Desk:
    """One account in the state a case asks for."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.engine, self.position = Engine(), 0
        self.now = TUESDAY + (4 * DAY if given.get("closed") else 0)
        plan = encode_plan(Plan((self._plan(given),)))
        self.enter(LedgerCreated("L", "bench"))
        self.enter(WorkerStarted("bench", 0, True))
        self.enter(RulesLoaded(digest(plan), plan))
        self.enter(VenueLinked("bench", True))
        if not given.get("unknown_instrument"):
            self.enter(InstrumentListed(ES))
        if given.get("quote") != "none":
            self.enter(Quote(ES.id, 20_000, 20_001, 20_000, self.now))
        balance = given.get("balance", 10_000_000) * MICRO
        self.enter(AccountReported("A", not given.get("forbidden"), balance, "USD", self.now))
        self.enter(Reconciled("A", 0, True))
        self._history(given)
        self._switches(given)

    def _plan(self, given: dict[str, Any]) -> AccountPlan:
        holiday = (CalendarDay("2026-03-03", "a holiday"),) if given.get("holiday") else ()
        calendar = Calendar("America/Chicago", holiday)
        rules = [
            max_contracts.Params(limit=given.get("contracts", 5), micro_ratio=None),
            daily_realized_loss.Params(500 * MICRO),
            daily_unrealized_loss.Params(500 * MICRO, scope="total"),
            trade_frequency_limit.Params(3, 100, 1_000),
            cooldown_after_loss.Params((cooldown_after_loss.Tier(100 * MICRO, 5 * MINUTE),)),
            session_block_outside.Params((SESSION,), calendar=calendar),
        ]
        if "per_instrument" in given:
            limits = {"ES": given["per_instrument"]}
            rules.append(max_contracts_per_instrument.Params(limits=limits))
        if given.get("blocked"):
            rules.append(symbol_blocks.Params(("ES",)))
        return AccountPlan("A", tuple(rules), calendar=calendar)

    def _history(self, given: dict[str, Any]) -> None:
        if size := given.get("position", 1 if "open_loss" in given else 0):
            fact = PositionReported("A", ES.id, size, 20_000 * MICRO, self.now, self.now)
            self.enter(fact)
        if size := given.get("resting"):
            fact = OrderReported(
                "A", "o", ES.id, 1, "limit", size, size, "working", 1, self.now, 19_900
            )
            self.enter(fact)
        if "open_loss" in given:
            bid = 20_000 - given["open_loss"] * 10 // 125
            self.enter(Quote(ES.id, bid, bid + 1, bid, self.now))
        for name in ("loss", "cooldown"):
            if name in given:
                self.trade(name, -given[name] * MICRO)
        for number in range(given.get("trades", 0)):
            self.trade(f"t{number}", MICRO)

    def trade(self, name: str, gross: int) -> None:
        fact = TradeReported("A", name, f"o-{name}", ES.id, -1, 1, 20_000, gross, 0, 0, self.now)
        self.enter(fact)

    def _switches(self, given: dict[str, Any]) -> None:
        if given.get("locked"):
            self.enter(RequestReceived("r1", "lock", "me", "operator", "enough", "A"))
        if given.get("shut"):
            self.enter(RequestReceived("r2", "observe", "me", "operator", "enough"))
        if given.get("disconnected"):
            self.enter(VenueLinked("bench", False))
        if given.get("quote") == "stale":
            self.now += HOUR
            self.enter(TimePassed())

    def enter(self, fact: AnyFact) -> Any:
        self.position += 1
        decisions = self.engine.apply(self.position, self.now, fact)
        self.position += len(decisions)
        return decisions

    def ask(self, case: dict[str, Any], name: str) -> tuple[bool, str]:
        """Whether the order is approved, and the first reason where not."""
        account = "NOBODY" if case["given"].get("unknown_account") else "A"
        kind = "market" if case["price"] is None else "limit"
        proposal = Proposal(account, "ES", case["side"], case["size"], kind, case["price"])
        try:
            order = as_order(proposal, self.engine.world)
        except Malformed as error:
            return False, str(error)
        self.position += 1
        self.engine.world.position = self.position
        engine = self.engine
        answer = gate.judge(
            ProposalReceived(name, "bench", order), engine.world, engine.plan, engine.watches
        )
        return answer.approved, answer.reasons[0].code if answer.reasons else ""

    def forget(self) -> None:
        """Let go of the room held for what was approved."""
        self.engine.world.accounts["A"].reservations.clear()


def decide(case: dict[str, Any], calls: int) -> dict[str, Any]:
    """The verdict on one case, and the median time of deciding it, in microseconds."""
    given, laps = case["given"], []
    desk = Desk(given)
    for number in range(given.get("burst", 0)):
        desk.now += SECOND // 200
        desk.ask(case, f"burst{number}")
        desk.forget()
    if given.get("repeated"):
        desk.ask(case, "the same")
        desk.forget()
    approved, why = False, ""
    for number in range(calls):
        name = "the same" if given.get("repeated") else f"p{number}"
        begun = time.perf_counter_ns()
        approved, why = desk.ask(case, name)
        laps.append(time.perf_counter_ns() - begun)
        desk.forget()
    laps.sort()
    verdict = "approve" if approved else "deny"
    return {"verdict": verdict, "us": laps[calls // 2] / 1000, "why": why}
