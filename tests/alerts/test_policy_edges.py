"""Where silences, quiet hours, second persons, returns and subscriptions meet in the policy."""

from __future__ import annotations

import pytest

from portcullis.alerts.alert import SeverityTerms, Silence, Subscription, Terms
from portcullis.alerts.policy import Policy
from portcullis.domain.model import DAY, HOUR, MINUTE, SECOND
from portcullis.domain.session import Window
from tests.alerts.test_policy import ALL, NIGHT, NOW, berlin, policy, run, signal, told

PARTNER = Subscription("partner", "info", (), None, after=15 * MINUTE)


def silence(**more: object) -> Silence:
    fields = {"id": "s", "start": NOW, "end": NOW + HOUR, "by": "anna", "reason": "r"} | more
    return Silence(**fields)  # type: ignore[arg-type]


def test_what_one_channel_is_spared_is_news_on_another_and_no_digest() -> None:
    quiet = Subscription("mail", "warning", (), None, quiet=NIGHT)
    subject = policy(quiet, ALL)
    now = berlin(23)
    subject.take(signal("evidence_lacking", now, subject="x"), now)
    found = run(subject, now + 12 * HOUR, now)
    assert [(t.channel, t.why) for _, t in found] == [("phone", "new"), ("mail", "digest")]


def test_the_second_person_is_not_told_because_the_first_was_spared() -> None:
    subject = policy(ALL, PARTNER)
    subject.silence(silence(kind="evidence_lacking", end=NOW + 5 * MINUTE))
    subject.take(signal("evidence_lacking", subject="x"), NOW)
    subject.take(signal("evidence_lacking", subject="x", state="resolved"), NOW + MINUTE)
    assert {t.channel for _, t in run(subject, NOW + HOUR)} <= {"phone"}
    subject = policy(ALL, PARTNER)
    subject.silence(silence(kind="evidence_lacking"))
    subject.take(signal("evidence_lacking", subject="x"), NOW)
    assert run(subject, NOW + MINUTE) == []
    subject.take(signal("evidence_lacking", subject="x", state="resolved"), NOW + 2 * MINUTE)
    assert {t.channel for _, t in run(subject, NOW + 3 * HOUR, NOW + 2 * MINUTE)} == {"phone"}


def test_the_end_of_a_silence_does_not_bring_the_second_persons_turn_forward() -> None:
    subject = policy(ALL, PARTNER)
    subject.silence(silence(kind="evidence_lacking"))
    subject.take(signal("evidence_lacking", subject="x"), NOW)
    assert run(subject, NOW + MINUTE) == []
    subject.end_silence("s", NOW + MINUTE)
    found = run(subject, NOW + HOUR, NOW + MINUTE)
    assert [(at // MINUTE, t.channel) for at, t in found] == [(0, "phone"), (14, "partner")]


def test_what_was_acknowledged_while_it_was_kept_back_is_told_as_itself_when_that_lapses() -> None:
    subject = policy(warning=SeverityTerms(0, 0, 1, 2 * HOUR))
    subject.silence(silence(kind="evidence_lacking"))
    alert = subject.take(signal("evidence_lacking", subject="x"), NOW)
    assert run(subject, NOW + MINUTE) == []
    subject.acknowledge(alert.id, "anna", "", NOW + 2 * MINUTE)
    assert told([t for _, t in run(subject, NOW + 5 * HOUR, NOW + 2 * MINUTE)]) == [
        ("phone", "new", ["evidence_lacking"])
    ]


def test_an_acknowledgement_that_lapsed_does_not_come_back_with_the_alert() -> None:
    subject = policy(critical=SeverityTerms(0, 15 * MINUTE, 2, 4 * HOUR))
    kind = "operations_silent"
    alert = subject.take(signal(kind, subject="o"), NOW)
    subject.due(NOW)
    subject.acknowledge(alert.id, "anna", "", NOW)
    found = run(subject, NOW + 5 * HOUR)
    assert [at // MINUTE for at, _ in found] == [240, 255]
    for minute in range(300, 330, 2):  # it comes and goes, and nobody is told of that
        now = NOW + minute * MINUTE
        subject.take(signal(kind, now, subject="o", state="resolved"), now)
        subject.take(signal(kind, now, subject="o"), now + MINUTE)
        assert subject.due(now + MINUTE) == []
    assert (alert.state, alert.acknowledged_at) == ("firing", 0)


def test_what_became_worse_after_it_was_seen_is_not_seen_when_it_comes_back() -> None:
    subject = policy()
    alert = subject.take(signal("evidence_lacking", subject="x"), NOW)
    run(subject, NOW + MINUTE)
    subject.acknowledge(alert.id, "anna", "", NOW + MINUTE)
    worse = signal("evidence_lacking", NOW + HOUR, subject="x", severity="critical")
    subject.take(worse, NOW + HOUR)
    assert len(subject.due(NOW + HOUR)) == 1
    subject.take(signal("evidence_lacking", subject="x", state="resolved"), NOW + HOUR)
    subject.take(worse, NOW + HOUR + MINUTE)
    assert alert.state == "firing"
    assert [t.why for _, t in run(subject, NOW + 2 * HOUR, NOW + HOUR)][:1] == ["reminder"]


def test_a_ledger_ahead_of_the_clock_does_not_undo_an_acknowledgement() -> None:
    subject = policy()
    alert = subject.take(signal("operations_silent", NOW + 3 * HOUR, subject="o"), NOW)
    subject.due(NOW)
    subject.acknowledge(alert.id, "anna", "", NOW + SECOND)
    subject.take(signal("operations_silent", subject="o", state="resolved"), NOW + MINUTE)
    subject.take(signal("operations_silent", subject="o"), NOW + 2 * MINUTE)
    assert alert.state == "acknowledged"


@pytest.mark.parametrize("seen", [False, True])
def test_whoever_was_told_that_the_gate_is_open_hears_at_once_that_it_fell_again(seen) -> None:
    subject = policy(critical=SeverityTerms(0, 15 * MINUTE, 12, 4 * HOUR))
    first = subject.take(signal(), NOW)
    subject.due(NOW)
    if seen:
        subject.acknowledge(first.id, "anna", "", NOW)
    subject.take(signal(state="resolved"), NOW + MINUTE)
    ((_, over),) = run(subject, NOW + 2 * MINUTE, NOW + MINUTE)
    assert over.why == "over"
    subject.take(signal("gate_fell", NOW + 3 * MINUTE), NOW + 3 * MINUTE)
    (again,) = subject.due(NOW + 3 * MINUTE)
    assert (again.why, again.alerts[0].state) == ("new", "firing")


def test_a_channel_that_is_no_longer_subscribed_is_told_nothing_more() -> None:
    subject = policy(critical=SeverityTerms(0, 15 * MINUTE, 12))
    alert = subject.take(signal("enforcement_failed", account="A"), NOW)
    assert len(subject.due(NOW)) == 1
    subject.terms = Terms((Subscription("phone", "info", (), ("B",)),))
    assert run(subject, NOW + 2 * HOUR) == []
    subject.take(signal("enforcement_failed", account="A", state="resolved"), NOW + 2 * HOUR)
    assert run(subject, NOW + 5 * HOUR, NOW + 2 * HOUR) == []
    assert alert.due == {}


def test_a_gate_that_a_channel_is_not_told_of_keeps_nothing_from_it() -> None:
    gates = Subscription("phone", "critical", ("gate",), None)
    evidence = Subscription("mail", "warning", ("evidence",), None)
    subject = policy(gates, evidence)
    subject.take(signal("gate_fell", subjects=("capital",)), NOW)
    subject.take(signal("capital_inconsistent", subject="capital"), NOW)
    assert told(subject.due(NOW)) == [
        ("phone", "new", ["gate_fell"]),
        ("mail", "new", ["capital_inconsistent"]),
    ]


def test_a_thousand_alerts_beside_a_shut_gate_are_one_turn() -> None:
    subject = Policy(policy().book, Terms((ALL,), warning=SeverityTerms(0), storm_messages=10**6))
    subject.take(signal("gate_fell", subjects=("e1",)), NOW)
    for number in range(1_000):
        subject.take(signal("evidence_lacking", subject=f"e{number}"), NOW)
    sizes = [len(t.alerts) for t in subject.due(NOW)]
    assert sizes == [1, 999]


def test_silence_quiet_hours_and_storm_at_once_lose_nothing_and_repeat_nothing() -> None:
    quiet = Subscription("phone", "warning", (), None, quiet=Window(NIGHT.zone, 0, 60, NIGHT.days))
    subject = policy(quiet, warning=SeverityTerms(0), storm_messages=2)
    now = berlin(0, 30)
    subject.silence(silence(topic="account", start=now, end=now + 35 * MINUTE))
    for number in range(20):
        at = now + number * 2 * MINUTE
        subject.take(signal("breach", at, account="A", subject=f"r{number}"), at)
        assert at >= now + 35 * MINUTE or run(subject, at, at) == []
    found = run(subject, now + 3 * HOUR, now + 40 * MINUTE)
    alerts = subject.book.alerts.values()
    assert all(alert.told["phone"].times == 1 and not alert.held_back for alert in alerts)
    assert len(found) <= 2


def test_a_silence_leaves_the_book_a_day_after_its_end() -> None:
    subject = policy()
    subject.silence(silence(kind="breach"))
    subject.silence(silence(id="later", kind="breach", start=NOW + 9 * DAY, end=NOW + 10 * DAY))
    for after, left in ((0, ["s", "later"]), (HOUR + DAY, ["later"]), (12 * DAY, [])):
        subject.due(NOW + after)
        assert list(subject.book.silences) == left
