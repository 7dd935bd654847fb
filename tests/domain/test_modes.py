"""The mode falls by itself and rises only by a person with evidence behind them."""

from __future__ import annotations

import pytest

from portcullis.domain.events import (
    AlertRaised,
    ModeChanged,
    VerdictRecorded,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from portcullis.domain.model import HOUR, MINUTE, SECOND, Verdict
from portcullis.domain.plan import Requirement
from tests.domain.desk import Desk

REQUIRED = (Requirement("operations"), Requirement("venue", at_start=True))


def opened() -> Desk:
    desk = Desk(required=REQUIRED)
    desk.verdict("operations")
    desk.verdict("venue", lasts=10 * MINUTE)
    assert mode(desk) == "ACTIVE"
    return desk


def mode(desk: Desk) -> str:
    return desk.engine.state.system.mode


def test_the_gate_opens_once_all_start_up_evidence_is_in():
    desk = Desk(required=REQUIRED)
    assert mode(desk) == "STARTING"
    desk.verdict("operations")
    assert mode(desk) == "STARTING"
    desk.verdict("venue")
    assert mode(desk) == "ACTIVE"


def test_a_failed_start_up_check_falls_to_observe_only():
    desk = Desk(required=REQUIRED)
    desk.verdict("venue", passed=False)
    assert mode(desk) == "OBSERVE_ONLY"


def test_start_up_evidence_that_does_not_come_falls_to_observe_only():
    desk = Desk(required=REQUIRED)
    desk.wait(10 * MINUTE)
    assert mode(desk) == "OBSERVE_ONLY"


def test_an_expired_verdict_lets_the_gate_fall_and_is_named_with_its_run():
    desk = opened()
    desk.wait(61 * SECOND)
    changed = [d for d in desk.out if isinstance(d, ModeChanged)][-1]
    assert changed.after == "OBSERVE_ONLY"
    assert "operations: expired" in changed.evidence[0]
    assert "run-1" in changed.evidence[0]


def test_nothing_but_a_person_raises_it_again():
    desk = opened()
    desk.wait(61 * SECOND)
    desk.verdict("operations")
    desk.verdict("venue", lasts=HOUR)
    assert mode(desk) == "OBSERVE_ONLY"
    assert desk.ask("open", "operator").outcome == "refused"
    assert desk.ask("open", "admin", reason=" ").outcome == "refused"
    assert desk.ask("open", "admin").outcome == "done"
    assert mode(desk) == "ACTIVE"


def test_a_release_is_refused_while_evidence_is_missing():
    desk = opened()
    desk.wait(61 * SECOND)
    answer = desk.ask("open", "admin")
    assert answer.outcome == "refused"
    assert "operations: expired" in answer.detail


@pytest.mark.parametrize(
    ("clean", "silent", "expected"),
    [(True, HOUR, "ACTIVE"), (False, 10 * SECOND, "ACTIVE"), (False, HOUR, "OBSERVE_ONLY")],
)
def test_a_start_leads_back_to_the_mode_before_unless_the_worker_was_dead(clean, silent, expected):
    desk = opened()
    if clean:
        desk.do(WorkerStopped("asked"))
    desk.now += silent
    desk.do(WorkerStarted("test", 0, clean))
    desk.verdict("operations")
    desk.verdict("venue")
    assert mode(desk) == expected


@pytest.mark.parametrize("verb", ["observe", "shutdown"])
def test_a_shut_gate_survives_a_restart(verb):
    desk = opened()
    desk.ask(verb)
    before = mode(desk)
    desk.do(WorkerStarted("test", 0, True))
    desk.verdict("operations")
    desk.verdict("venue")
    assert mode(desk) == before


def test_enforcement_stays_armed_in_every_mode():
    from portcullis.domain.rules import max_contracts

    for verb in ("observe", "shutdown"):
        desk = Desk(max_contracts.Params(limit=1))
        desk.ask(verb)
        desk.holds("ES", 2)
        assert desk.commands()


def test_a_request_is_carried_out_once():
    from portcullis.domain.events import RequestReceived

    desk = Desk()
    ask = RequestReceived("r", "lock", "me", "operator", "why", "A")
    assert desk.do(ask)
    assert desk.do(ask) == []
    assert len(desk.account.locks) == 1


@pytest.mark.parametrize("verb", ["release", "open", "reload"])
def test_verbs_that_loosen_need_the_administrator(verb):
    desk = Desk()
    desk.ask("lock")
    assert desk.ask(verb, "operator").outcome == "refused"
    assert desk.ask("lock", "readonly").outcome == "refused"


FAIL_SAFE = (
    Requirement("market_data", shutdown_after=10 * MINUTE),
    Requirement("ledger", at_start=True, shutdown_after=15 * MINUTE),
    Requirement("snapshot", lasts=5 * MINUTE),
    Requirement("capital", shutdown_when_failed=True),
)


def guarded() -> Desk:
    """Open under the fail-safe; every verdict says of itself that it lasts an hour."""
    desk = Desk(required=FAIL_SAFE)
    for need in FAIL_SAFE:
        desk.verdict(need.name, lasts=HOUR)
    assert mode(desk) == "ACTIVE"
    return desk


def shutdowns(desk: Desk) -> list[ModeChanged]:
    return [d for d in desk.out if isinstance(d, ModeChanged) and d.after == "SHUTDOWN"]


def test_evidence_holds_no_longer_than_the_configuration_lets_it():
    desk = guarded()
    desk.wait(5 * MINUTE - 1)
    assert mode(desk) == "ACTIVE"
    desk.wait(1)
    assert mode(desk) == "OBSERVE_ONLY"
    assert "snapshot: expired" in desk.engine.state.system.why


def test_evidence_that_lacks_for_too_long_shuts_down_at_that_moment_and_not_before():
    desk = guarded()
    desk.verdict("market_data", passed=False)
    assert mode(desk) == "OBSERVE_ONLY"
    desk.wait(10 * MINUTE - 1)
    assert mode(desk) == "OBSERVE_ONLY"
    desk.wait(1)
    assert mode(desk) == "SHUTDOWN"
    assert "market_data" in shutdowns(desk)[0].evidence[0]
    assert [d.alert for d in desk.out if isinstance(d, AlertRaised)].count("gate_shut") == 2


def test_evidence_that_comes_back_in_time_starts_the_clock_anew():
    desk = guarded()
    desk.verdict("market_data", passed=False)
    desk.wait(9 * MINUTE)
    desk.verdict("market_data", lasts=HOUR)
    desk.wait(9 * MINUTE)
    assert mode(desk) == "OBSERVE_ONLY"
    desk.verdict("market_data", passed=False)
    desk.wait(MINUTE)
    assert mode(desk) == "SHUTDOWN"


def test_what_still_holds_trips_nothing_however_old_it_is():
    desk = guarded()
    desk.wait(30 * MINUTE)
    assert mode(desk) == "OBSERVE_ONLY"  # snapshot, which has no bound
    desk.wait(30 * MINUTE)
    assert mode(desk) == "SHUTDOWN"


def test_inconsistent_capital_shuts_down_at_once_also_at_a_start():
    desk = guarded()
    desk.verdict("capital", passed=False)
    assert mode(desk) == "SHUTDOWN"
    starting = Desk(required=FAIL_SAFE)
    starting.verdict("capital", passed=False)
    assert mode(starting) == "SHUTDOWN"


def test_a_start_is_given_its_allowance_whatever_is_old():
    desk = guarded()
    desk.do(WorkerStopped("asked"))
    desk.now += 2 * 24 * HOUR
    desk.do(WorkerStarted("test", 0, True))
    desk.wait(10 * MINUTE)
    assert mode(desk) == "OBSERVE_ONLY"  # nothing came in the time that a start has
    desk.wait(10 * MINUTE - 1)
    assert mode(desk) == "OBSERVE_ONLY"
    desk.wait(1)
    assert mode(desk) == "SHUTDOWN"


def test_a_ledger_that_took_nothing_for_too_long_comes_back_shut_down():
    desk = guarded()
    desk.now += 16 * MINUTE
    desk.do(WorkerStarted("test", 0, False))
    for need in FAIL_SAFE:
        desk.verdict(need.name, lasts=HOUR)
    assert mode(desk) == "SHUTDOWN"


@pytest.mark.parametrize("restarts", [1, 3])
def test_a_worker_that_an_error_ended_comes_back_shut_down_and_stays_so(restarts):
    desk = guarded()
    for n in range(restarts):
        desk.do(WorkerStarted("test", 0, False))
        if n == 0:
            desk.do(WorkerFailed("StoreError: disk is full"))
        assert mode(desk) in ("SHUTDOWN", "STARTING")
        for need in FAIL_SAFE:
            desk.verdict(need.name, lasts=HOUR)
        assert mode(desk) == "SHUTDOWN"
    assert "disk is full" in shutdowns(desk)[0].why
    assert desk.ask("open", "operator").outcome == "refused"
    assert desk.ask("open", "admin").outcome == "done"
    assert mode(desk) == "ACTIVE"


def test_what_is_overdue_when_a_start_ends_trips_the_fail_safe_then():
    required = (Requirement("operations", shutdown_after=SECOND), Requirement("backup"))
    desk = Desk(required=required)
    desk.do(WorkerStarted("test", 0, True))
    desk.do(VerdictRecorded(Verdict("operations", True, desk.now, desk.now + SECOND, "s")))
    desk.wait(5 * SECOND)
    modes = [desk.engine.state.system.mode]
    desk.verdict("backup", passed=False)
    modes.append(desk.engine.state.system.mode)
    assert modes == ["STARTING", "SHUTDOWN"]
