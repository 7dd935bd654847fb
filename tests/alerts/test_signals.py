"""What the ledger's events mean to a person."""

from __future__ import annotations

from typing import Any

import pytest

from portcullis.alerts.alert import Signal
from portcullis.alerts.memory import Memory, Place
from portcullis.alerts.signals import AWAY_TOO_LONG, SILENT_AFTER, elapsed, observe
from portcullis.domain.commands import Flatten
from portcullis.domain.events import (
    AlertRaised,
    AuthorizationLost,
    BoundReached,
    BreachFound,
    CommandConcluded,
    CommandIssued,
    DataFault,
    LedgerRestored,
    LockSet,
    ModeChanged,
    Reconciled,
    RulesLoaded,
    TimePassed,
    VenueLinked,
    VerdictRecorded,
    WorkerFailed,
    WorkerStarted,
    WorkerStopped,
)
from portcullis.domain.model import HOUR, MINUTE, SECOND, Lock, Reason, Verdict
from portcullis.domain.plan import AccountPlan, Plan, Requirement, encode_plan

NOW = 1_764_500_000 * SECOND
PLAN = Plan(
    (AccountPlan("ACCOUNT-1", ()),),
    (Requirement("backup"), Requirement("operations"), Requirement("clock")),
)


class History:
    """Events one after the other, and what is known after them."""

    def __init__(self) -> None:
        self.memory, self.position, self.now = Memory(), 0, NOW
        self.say(WorkerStarted("1", 1, True), RulesLoaded("d", encode_plan(PLAN)))

    def say(self, *events: Any, wait: int = 0) -> list[Signal]:
        self.now += wait
        found: list[Signal] = []
        for event in events:
            self.position += 1
            found += observe(self.memory, Place(self.position, self.now, "trace"), event)
        return found

    def pass_time(self, wait: int, *, alive: bool = True) -> list[Signal]:
        """The worker writes something at the end of it, where it is alive."""
        self.now += wait
        if alive:
            self.say(TimePassed())
        return elapsed(self.memory, self.now)


@pytest.fixture
def history() -> History:
    return History()


def brief(found: list[Signal]) -> list[tuple[str, str, str]]:
    return [(each.kind, each.state, each.subject) for each in found]


def verdict(name: str, *, passed: bool = True, lasts: int = HOUR, at: int = NOW) -> VerdictRecorded:
    return VerdictRecorded(Verdict(name, passed, at, at + lasts, "what it said", "run", "a link"))


ENDED = ("gate_fell", "shutdown", "start_failed", "capital_inconsistent")


@pytest.mark.parametrize(
    ("change", "kinds", "severity"),
    [
        (ModeChanged("ACTIVE", "OBSERVE_ONLY", "evidence is missing", ("backup: failed: x",)),
         [("gate_fell", "firing", "")], None),
        (ModeChanged("ACTIVE", "OBSERVE_ONLY", "a look", by="anna"),
         [("gate_fell", "firing", "")], "warning"),
        (ModeChanged("ACTIVE", "SHUTDOWN", "the fail-safe", ("capital: failed: x",)),
         [("gate_fell", "replaced", ""), ("start_failed", "replaced", ""),
          ("shutdown", "firing", "")], None),
        (ModeChanged("STARTING", "OBSERVE_ONLY", "a start-up check failed", ("backup: x",)),
         [("start_failed", "firing", "")], None),
        (ModeChanged("STARTING", "OBSERVE_ONLY", "all start-up evidence is in"),
         [("gate_fell", "firing", "")], "warning"),
        (ModeChanged("STARTING", "ACTIVE", "all start-up evidence is in"),
         [(kind, "resolved", "") for kind in ENDED], None),
        (ModeChanged("ACTIVE", "STARTING", "the worker started"), [], None),
    ],
)  # fmt: skip
def test_a_change_of_the_mode(
    history: History, change: ModeChanged, kinds: list[Any], severity: str | None
) -> None:
    found = history.say(change)
    assert brief(found) == kinds
    if found and found[-1].state == "firing":
        assert found[-1].severity == severity
        assert found[-1].subjects == tuple(e.partition(":")[0] for e in change.evidence)


def test_a_person_who_opens_the_gate_is_told_of(history: History) -> None:
    found = history.say(ModeChanged("OBSERVE_ONLY", "ACTIVE", "mended", by="anna"))
    assert [each.kind for each in found] == [*ENDED, "mode_released"]
    assert found[-1].message == "opened by anna: mended"


def test_evidence_that_fails_and_comes_back(history: History) -> None:
    assert history.say(verdict("backup")) == []
    (failed,) = history.say(verdict("backup", passed=False))
    assert (failed.kind, failed.subject, failed.link) == ("evidence_lacking", "backup", "a link")
    (again,) = history.say(verdict("backup", passed=False))
    assert again.fingerprint == failed.fingerprint
    (over,) = history.say(verdict("backup"))
    assert (over.state, over.fingerprint) == ("resolved", failed.fingerprint)
    assert history.say(verdict("backup")) == []


def test_required_evidence_that_nobody_renews_is_late_once(history: History) -> None:
    history.say(verdict("backup", lasts=MINUTE), verdict("unrequired", lasts=MINUTE))
    assert history.pass_time(MINUTE - 1) == []
    (late,) = history.pass_time(2)
    assert (late.kind, late.subject, late.at) == ("evidence_lacking", "backup", NOW + MINUTE)
    assert history.pass_time(HOUR) == []
    assert brief(history.say(verdict("backup", at=history.now))) == [
        ("evidence_lacking", "resolved", "backup")
    ]


def test_a_late_heartbeat_is_silence_and_ends_as_what_it_was(history: History) -> None:
    history.say(verdict("operations", lasts=MINUTE))
    (late,) = history.pass_time(2 * MINUTE)
    assert late.kind == "operations_silent"
    assert brief(history.say(verdict("operations", at=history.now))) == [
        ("operations_silent", "resolved", "operations")
    ]


def test_a_dead_worker_is_one_alert_and_nothing_else_is_late(history: History) -> None:
    history.say(verdict("backup", lasts=MINUTE), verdict("clock", lasts=15 * SECOND))
    assert history.pass_time(SILENT_AFTER, alive=False) == []
    assert brief(history.pass_time(SECOND, alive=False)) == [("worker_silent", "firing", "")]
    assert history.pass_time(HOUR, alive=False) == []
    found = history.say(WorkerStarted("1", 2, False), ModeChanged("ACTIVE", "STARTING", "x"))
    assert brief(found) == [("worker_silent", "resolved", "")]
    (crashed,) = history.say(TimePassed())
    assert (crashed.kind, crashed.severity) == ("worker_crashed", "warning")


def test_a_worker_that_was_stopped_is_not_silent(history: History) -> None:
    history.say(WorkerStopped("asked to stop"))
    assert history.pass_time(24 * HOUR, alive=False) == []
    assert history.say(WorkerStarted("1", 2, True), TimePassed()) == []


def test_a_worker_that_left_last_words_says_them(history: History) -> None:
    found = history.say(
        WorkerStarted("1", 2, False),
        ModeChanged("ACTIVE", "STARTING", "the worker started"),
        WorkerFailed("ValueError: x"),
        TimePassed(),
    )
    (crashed,) = found
    assert (crashed.kind, crashed.severity) == ("worker_crashed", None)
    assert "ValueError: x" in crashed.message


def test_a_venue_that_is_away_for_more_than_five_minutes(history: History) -> None:
    history.say(VenueLinked("projectx", False, "refused"))
    assert history.pass_time(AWAY_TOO_LONG) == []
    (away,) = history.pass_time(SECOND)
    assert (away.kind, away.subject) == ("venue_disconnected", "projectx")
    assert "refused" in away.message
    assert history.pass_time(HOUR) == []
    found = history.say(VenueLinked("projectx", True))
    assert ("venue_disconnected", "resolved", "projectx") in brief(found)
    assert "1 h 05 min" in found[-1].message
    history.say(VenueLinked("projectx", False))
    assert history.pass_time(MINUTE) == []
    assert ("venue_disconnected", "resolved", "projectx") not in brief(
        history.say(VenueLinked("projectx", True))
    )


def breach(rule: str = "max_contracts", account: str = "ACCOUNT-1") -> BreachFound:
    reason = Reason("001", "6 contracts, limit 4", "6", "4", formula="4 + 2")
    return BreachFound(account, rule, "RULE-001", None, reason)


def issued(key: str, *rules: str) -> CommandIssued:
    return CommandIssued("ACCOUNT-1", key, Flatten("ACCOUNT-1"), rules, NOW)


def concluded(key: str, outcome: str = "confirmed") -> CommandConcluded:
    return CommandConcluded(
        "ACCOUNT-1", key, outcome, "", 1, 3, NOW, NOW + 1, NOW + 2, NOW + 400_000
    )


def test_a_breach_ends_when_the_venue_confirmed_every_command_that_answers_it(
    history: History,
) -> None:
    lock = Lock(1, "max_contracts", None, "person", None, "cause", NOW, 1)
    found = history.say(
        breach(), LockSet("ACCOUNT-1", lock), issued("k1", "max_contracts"),
        issued("k2", "max_contracts", "other"),
    )  # fmt: skip
    assert brief(found) == [
        ("breach", "firing", "max_contracts"),
        ("breach", "more", "max_contracts"),
    ]
    assert (found[0].formula, found[0].measured, found[0].limit, found[0].flat) == (
        "4 + 2", "6", "4", "not confirmed",
    )  # fmt: skip
    assert found[1].until == "locked until a person releases it"
    assert history.say(concluded("k1")) == []
    (over,) = history.say(concluded("k2"))
    assert (over.state, over.flat) == ("resolved", "confirmed")
    assert "400 ms" in over.message


def test_a_breach_that_no_command_answers_ends_by_itself(history: History) -> None:
    history.say(breach())
    assert history.pass_time(SECOND) == []
    assert brief(history.pass_time(2 * SECOND)) == [("breach", "resolved", "max_contracts")]


def test_enforcement_that_failed_is_over_when_the_venue_confirms_one(history: History) -> None:
    history.say(breach(), issued("k", "max_contracts"))
    assert history.say(concluded("k", "unconfirmed")) == []
    (failed,) = history.say(
        AlertRaised("enforcement_failed", "critical", "ACCOUNT-1", "command k", "by hand")
    )
    assert (failed.kind, failed.action, failed.flat) == ("enforcement_failed", "by hand", "unknown")
    history.say(issued("k9", "manual"))
    assert brief(history.say(concluded("k9"))) == [("enforcement_failed", "resolved", "")]


@pytest.mark.parametrize(
    ("event", "kind", "subject"),
    [
        (AlertRaised("daily_realized_loss_near", "warning", "A", "most used", "stop"),
         "near_limit", "daily_realized_loss"),
        (AlertRaised("clock_stepped", "critical", None, "moved", "check"), "clock_stepped", ""),
        (AlertRaised("balance_changed", "warning", "A", "x", "y"), "balance_changed", ""),
        (Reconciled("A", 2, True, missed=2), "lost_fills", ""),
        (AuthorizationLost("projectx", "401"), "authorization_lost", "projectx"),
        (DataFault("stream", "ES", "off its tick"), "data_fault", "stream ES"),
        (LedgerRestored("b", 5, "anna", "why"), "ledger_restored", "b"),
        (RulesLoaded("other digest", encode_plan(PLAN), ("a: 1 -> 2",)), "rules_loaded",
         "other digest"),
        (LockSet("A", Lock(1, "manual", None, "person", None, "anna: x", NOW, 1)),
         "locked_by_person", "3"),
    ],
)  # fmt: skip
def test_what_one_event_means(history: History, event: Any, kind: str, subject: str) -> None:
    (found,) = history.say(event)
    assert (found.kind, found.state, found.subject) == (kind, "firing", subject)


@pytest.mark.parametrize(
    "event",
    [
        AlertRaised("gate_shut", "critical", None, "told by the mode", "x"),
        AlertRaised("of a later version", "warning", None, "x", "y"),
        Reconciled("A", 3, True),
        VerdictRecorded(Verdict("alerts", False, NOW, NOW, "our own")),
        TimePassed(),
    ],
)
def test_what_is_no_alert(history: History, event: Any) -> None:
    assert history.say(event) == []


def test_a_breach_whose_command_failed_ends_with_the_one_that_takes_its_place(
    history: History,
) -> None:
    history.say(breach(), issued("k1", "max_contracts"), concluded("k1", "unconfirmed"))
    assert history.pass_time(MINUTE) == []
    history.say(issued("k2", "max_contracts"))
    assert brief(history.say(concluded("k2"))) == [("breach", "resolved", "max_contracts")]


def test_a_breach_ends_though_the_worker_was_killed_meanwhile(history: History) -> None:
    history.say(breach(), issued("k1", "max_contracts"), WorkerStarted("1", 2, False))
    assert ("breach", "resolved", "max_contracts") in brief(history.say(concluded("k1")))


def test_one_bound_does_not_hide_another(history: History) -> None:
    (first,) = history.say(BoundReached("dead_man", 5, "it takes no ping"))
    (other,) = history.say(BoundReached("troubles", 9, "many"))
    assert first.fingerprint != other.fingerprint
    assert first.message == "dead_man reached 5: it takes no ping"
    assert history.say(AlertRaised("bound_reached", "warning", None, "again", "x")) == []


def test_capital_that_the_worker_found_wrong_is_over_when_the_gate_is_open(
    history: History,
) -> None:
    (wrong,) = history.say(AlertRaised("capital_inconsistent", "critical", None, "x", "y"))
    found = history.say(ModeChanged("OBSERVE_ONLY", "ACTIVE", "mended", by="anna"))
    assert wrong.fingerprint in {each.fingerprint for each in found if each.state == "resolved"}
