"""An export that was tampered with, or an engine that forgot something: the audit says so."""

from __future__ import annotations

import copy

import msgspec
import pytest

from portcullis.config.files import read_configuration
from portcullis.domain.model import HOUR, MICRO, MINUTE, SECOND
from portcullis.domain.rules import (
    cooldown_after_loss,
    daily_realized_loss,
    max_contracts,
)
from portcullis.staging import demonstrate
from portcullis.store.export import line_of
from portcullis.wiring import defaults_folder
from tests.audit.doctor import audited, changed, found, parsed, places, without
from tests.audit.stage import Stage

USD = MICRO


@pytest.fixture(scope="module")
def honest():
    plan = msgspec.structs.replace(read_configuration(defaults_folder()).plan, required=())
    return parsed(line_of(row) for row in demonstrate(7, plan).read())


def fresh(events):
    """The audit may keep what it is given."""
    return copy.deepcopy(events)


@pytest.mark.parametrize(
    "kind", ["breach_found", "lock_set", "lock_ended", "command_issued", "command_concluded"]
)
def test_whatever_is_left_out_is_missed(honest, kind):
    """Each decision of the demonstration in turn, and each end of a command."""
    where = places(honest, kind)
    assert len(where) >= 6
    for index in where:
        report = audited(without(fresh(honest), index))
        assert report.differences, f"{kind} at {index + 1} is not missed"
        account = honest[index]["payload"]["account"]
        assert {each.account for each in report.differences} == {account}


def test_a_breach_left_out_is_named_with_its_figures(honest):
    (index,) = places(honest, "breach_found", lambda p: p["rule"] == "daily_realized_loss")
    report = audited(without(fresh(honest), index))
    first = report.differences[0]
    assert (first.kind, first.rule, first.account) == (
        "unjustified",
        "daily_realized_loss",
        "DEMO-LOSS",
    )
    missed = [each for each in report.differences if each.kind == "missing"]
    assert missed or "lock_set" not in first.found
    lock = places(honest, "lock_set", lambda p: p["lock"]["rule"] == "daily_realized_loss")[0]
    report = audited(without(without(fresh(honest), lock), index))
    told = [each for each in report.differences if each.kind == "missing"]
    assert told[0].position == index
    assert "399.82 of the day, limit 350.00" in told[0].expected


def test_a_breach_nobody_committed_is_not_justified(honest):
    index = places(honest, "breach_found", lambda p: p["rule"] == "max_contracts")[0]
    forged = [*fresh(honest)[:40], honest[index] | {"at": honest[39]["at"]}, *fresh(honest)[40:]]
    assert ("unjustified", "max_contracts") in found(audited(forged))


@pytest.mark.parametrize("rule", ["daily_realized_loss", "max_contracts", "trailing_drawdown"])
def test_another_figure_differs(honest, rule):
    index = places(honest, "breach_found", lambda p: p["rule"] == rule)[0]
    reason = honest[index]["payload"]["reason"] | {"measured": "7.77"}
    assert ("differs", rule) in found(audited(changed(fresh(honest), index, reason=reason)))


def test_a_trade_counted_twice_changes_the_figures(honest):
    """Under an id of its own; the same id again is the same trade."""
    index = places(honest, "trade_reported", lambda p: p["account"] == "DEMO-LOSS" and p["gross"])[
        0
    ]
    again = copy.deepcopy(honest[index])
    end = places(honest, "position_reported", lambda p: p["account"] == "DEMO-LOSS")
    after = next(place for place in end if place > index)
    twice = [*fresh(honest)[:after], again, *fresh(honest)[after:]]
    assert audited(copy.deepcopy(twice)).differences == []
    twice[after]["payload"]["trade_id"] = "another"
    assert audited(twice).differences


def test_a_lock_that_ends_later_or_otherwise_is_not_the_one_that_is_wanted(honest):
    index = places(honest, "lock_set", lambda p: p["lock"]["rule"] == "cooldown_after_loss")[0]
    lock = honest[index]["payload"]["lock"]
    for other in ({"until": lock["until"] - SECOND}, {"ends": "config", "until": None}):
        report = audited(changed(fresh(honest), index, lock=lock | other))
        assert ("missing", "cooldown_after_loss") in found(report) or (
            "unjustified",
            "cooldown_after_loss",
        ) in found(report)


# --- stories of one account -----------------------------------------------------------------------


def test_a_day_that_rolls_at_midnight_is_seen():
    stage = Stage(1, daily_realized_loss.Params(limit=500 * USD))
    stage.quote("ES", 0)
    stage.fill("ES", 1, 1)
    stage.wait(20 * HOUR)
    events = parsed(stage.lines())
    assert audited(fresh(events)).differences == []
    assert audited(fresh(events)).days == 1
    (index,) = places(events, "day_rolled")
    roll = events[index]
    midnight = "2026-03-04T06:00:00.000000+00:00"
    later = next(n for n, event in enumerate(events) if event["at"] >= midnight)
    moved = fresh(events)
    moved.insert(later + 1, roll | {"at": events[later]["at"]})
    report = audited(without(moved, index))
    assert found(report) >= {("missing", "trading_day"), ("unjustified", "trading_day")}
    assert ("unjustified", "trading_day") in found(audited([*fresh(events), roll]))


def locked_story():
    """A lock until the next session, then a shorter one beside it, proposals, an expiry."""
    stage = Stage(
        3,
        daily_realized_loss.Params(limit=100 * USD),
        cooldown_after_loss.Params(tiers=(cooldown_after_loss.Tier(50 * USD, 5 * MINUTE),)),
    )
    stage.quote("ES", 0)
    stage.fill("ES", 1, 1)
    stage.quote("ES", -20)
    stage.fill("ES", -1, 1)
    stage.wait(SECOND)
    stage.quote("ES", 0)
    stage.propose("ES", 1, 1)
    stage.wait(10 * MINUTE)
    return parsed(stage.lines())


def test_an_approval_under_a_lock_is_seen():
    events = locked_story()
    assert audited(fresh(events)).differences == []
    (index,) = places(events, "proposal_answered")
    assert events[index]["payload"]["approved"] is False
    report = audited(changed(fresh(events), index, approved=True, reasons=[]))
    assert found(report) == {("unjustified", "gate")}
    assert "locked by" in report.differences[0].expected


def test_an_expiry_ends_its_own_row_only():
    events = locked_story()
    (index,) = places(events, "lock_ended")
    rows = {
        e["payload"]["lock"]["rule"]: e["payload"]["lock"]["id"]
        for e in events
        if e["kind"] == "lock_set"
    }
    other = rows["daily_realized_loss"]
    report = audited(changed(fresh(events), index, lock_id=other, rule="daily_realized_loss"))
    assert ("unjustified", "daily_realized_loss") in found(report)
    assert ("missing", "cooldown_after_loss") in found(report)


def test_an_approval_while_the_gate_is_shut_is_seen_and_an_exit_is_none():
    stage = Stage(4, max_contracts.Params(limit=5))
    stage.quote("ES", 0)
    stage.fill("ES", 1, 1)
    stage.ask("observe")
    stage.propose("ES", 1, 1)
    stage.propose("ES", -1, 1)
    events = parsed(stage.lines())
    assert audited(fresh(events)).differences == []
    entry, way_out = places(events, "proposal_answered")
    report = audited(changed(fresh(events), entry, approved=True, reasons=[]))
    assert found(report) == {("unjustified", "gate")}
    assert "OBSERVE_ONLY" in report.differences[0].expected
    report = audited(changed(fresh(events), way_out, approved=False))
    assert found(report) == {("missing", "gate")}
