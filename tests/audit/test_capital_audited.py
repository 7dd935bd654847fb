"""Pools and strategies judged a second time: honest ledgers agree, tampered ones do not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from portcullis.domain import events as e
from portcullis.domain.model import MICRO, OrderRequest
from portcullis.domain.plan import AccountPlan, Plan, PoolPlan, StrategyPlan, digest, encode_plan
from portcullis.domain.rules import max_contracts
from tests.audit.doctor import Event, audited, changed, found, parsed, places, without
from tests.audit.stage import LISTED, Stage

USD = MICRO


class Desk(Stage):
    """A stage whose account has a part of a pool and two strategies."""

    def __init__(self, allocated: int = 1_000 * USD) -> None:
        super().__init__(1, max_contracts.Params(limit=9))
        self.reload(allocated)
        for ticker in ("ES", "MES"):
            self.quote(ticker, 0)

    def reload(self, allocated: int) -> None:
        plan = Plan(
            (AccountPlan("A", (max_contracts.Params(limit=9),)),),
            pools=(PoolPlan("desk", "USD", allocated, {"A": allocated}),),
            strategies=(
                StrategyPlan("fast", ("A",), starts="ACTIVE"),
                StrategyPlan("slow", ("A",), starts="DRAFT"),
            ),
        )
        data = encode_plan(plan)
        self.do(e.RulesLoaded(digest(data), data))

    def offer(self, strategy: str = "", size: int = 1) -> e.ProposalAnswered:
        self.numbers += 1
        order = OrderRequest("A", LISTED["ES"].id, 1, size, "market")
        (answer,) = self.do(e.ProposalReceived(f"q{self.numbers}", "t", order, strategy=strategy))
        return answer

    def to(self, strategy: str, state: str, role: Any = "admin") -> e.RequestAnswered:
        self.numbers += 1
        asked = {"strategy": strategy, "to": state}
        fact = e.RequestReceived(f"q{self.numbers}", "strategy", "me", role, "why", None, asked)
        return self.do(fact)[-1]

    def events(self) -> list[Event]:
        return parsed(self.lines())


@pytest.fixture(scope="module")
def honest() -> list[Event]:
    """A day on which a strategy goes up and down and the account spends its part."""
    desk = Desk()
    assert not desk.offer("slow").approved
    desk.to("slow", "PROBATION")
    assert desk.offer("slow").approved
    assert not desk.offer("slow", 2).approved
    assert desk.to("slow", "ACTIVE", "operator").outcome == "refused"
    desk.to("fast", "PAUSED", "operator")
    assert not desk.offer("fast").approved
    desk.fill("ES", 1, 1)
    desk.quote("ES", -100)
    desk.fill("ES", -1, 1)
    assert "allocation_spent" in {reason.code for reason in desk.offer().reasons}
    return desk.events()


def fresh(events: list[Event]) -> list[Event]:
    return copy.deepcopy(events)


def test_an_honest_ledger_agrees(honest):
    assert audited(fresh(honest)).differences == []


def test_a_beginning_left_out_is_missed(honest):
    first = places(honest, "strategy_moved")[0]
    assert ("missing", "strategy") in found(audited(without(fresh(honest), first)))


def test_a_move_left_out_is_missed(honest):
    for index in places(honest, "strategy_moved", lambda p: p["before"]):
        assert ("missing", "strategy") in found(audited(without(fresh(honest), index)))


@pytest.mark.parametrize(
    "forged", [{"after": "RETIRED"}, {"before": "ACTIVE"}, {"strategy": "fast"}]
)
def test_another_move_than_was_asked_is_not_justified(honest, forged):
    index = places(honest, "strategy_moved", lambda p: p["before"] == "DRAFT")[0]
    assert ("unjustified", "strategy") in found(audited(changed(fresh(honest), index, **forged)))


def test_a_move_by_somebody_who_may_not_is_not_justified(honest):
    index = places(honest, "request_received", lambda p: p["arguments"]["to"] == "PROBATION")[0]
    report = audited(changed(fresh(honest), index, role="operator"))
    assert ("unjustified", "strategy") in found(report)


@pytest.mark.parametrize("code", ["strategy_not_trading", "probation_size", "allocation_spent"])
def test_an_approval_instead_of_a_denial_is_not_justified(honest, code):
    denied = places(
        honest, "proposal_answered", lambda p: code in {each["code"] for each in p["reasons"]}
    )
    for index in denied:
        report = audited(changed(fresh(honest), index, approved=True, reasons=[]))
        assert ("unjustified", "gate") in found(report)


def test_a_denial_for_a_part_that_is_not_spent_differs(honest):
    index = places(honest, "rules_loaded")[-1]
    plan = honest[index]["payload"]["plan"]
    desk = Desk(10_000 * USD)
    richer = next(row for row in reversed(desk.events()) if row["kind"] == "rules_loaded")
    assert plan != richer["payload"]["plan"]
    report = audited(changed(fresh(honest), index, plan=richer["payload"]["plan"]))
    assert ("differs", "allocation_spent") in found(report)


def test_another_figure_of_a_spent_part_differs(honest):
    (index,) = places(
        honest, "proposal_answered", lambda p: "allocation_spent" in str(p["reasons"])
    )
    reasons = copy.deepcopy(honest[index]["payload"]["reasons"])
    reasons[-1]["measured"] = "-7,777.00 USD"
    report = audited(changed(fresh(honest), index, reasons=reasons))
    assert ("differs", "allocation_spent") in found(report)
