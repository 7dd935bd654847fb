"""Who is told what, and when: tables of the policy, and what holds for any history."""

from __future__ import annotations

from typing import Any

import pytest

from portcullis.alerts.alert import SeverityTerms, Signal, Silence, Subscription, Terms
from portcullis.alerts.book import Book, Telling, Unknown
from portcullis.alerts.kinds import BY_NAME
from portcullis.alerts.policy import CRITICAL_SILENCE_MAX, Policy
from portcullis.domain.model import HOUR, MINUTE, SECOND
from portcullis.domain.session import Window, instant

NOW = 1_764_500_000 * SECOND
ALL = Subscription("phone", "info", (), None)


def policy(*subscriptions: Subscription, **terms: Any) -> Policy:
    return Policy(Book(), Terms(subscriptions or (ALL,), **terms))


def signal(kind: str = "gate_fell", at: int = NOW, **more: Any) -> Signal:
    return Signal(kind=kind, at=at, **more)


def told(tellings: list[Telling]) -> list[tuple[str, str, list[str]]]:
    return [(t.channel, t.why, [alert.kind for alert in t.alerts]) for t in tellings]


def run(subject: Policy, until: int, start: int = NOW) -> list[tuple[int, Telling]]:
    """Everything that is told up to a time, with when (microseconds after the start)."""
    found, now = [], start
    while (due := subject.next_due()) is not None and max(due, now) <= until:
        now = max(due, now)
        found += [(now - start, telling) for telling in subject.due(now)]
    return found


# --- one alert ------------------------------------------------------------------------------------


def test_what_is_critical_is_told_at_once_and_again_until_somebody_has_seen_it() -> None:
    subject = policy(critical=SeverityTerms(0, 15 * MINUTE, 3))
    alert = subject.take(signal(), NOW)
    times = [at // MINUTE for at, _ in run(subject, NOW + 3 * HOUR)]
    assert times == [0, 15, 30]
    assert alert.told["phone"].times == 3


def test_an_acknowledged_alert_is_not_told_again_and_the_end_of_it_is() -> None:
    subject = policy()
    alert = subject.take(signal(), NOW)
    subject.due(NOW)
    subject.acknowledge(alert.id, "anna", "mine", NOW + MINUTE)
    assert run(subject, NOW + HOUR, NOW + MINUTE) == []
    subject.take(signal(state="resolved", message="open"), NOW + HOUR)
    ((after, telling),) = run(subject, NOW + 2 * HOUR, NOW + HOUR)
    assert (after, telling.why) == (10 * SECOND, "over")
    assert telling.alerts[0].acknowledged_by == "anna"


def test_what_the_first_said_stays_when_a_second_acknowledges() -> None:
    subject = policy()
    alert = subject.take(signal(), NOW)
    for by, note in (("anna", "calling the venue"), ("ben", "at the desk")):
        subject.acknowledge(alert.id, by, note, NOW)
    assert (alert.acknowledged_by, alert.note) == ("ben", "calling the venue; ben: at the desk")
    subject.acknowledge(alert.id, "cleo", "x" * 1_990, NOW)
    assert (len(alert.note), alert.note[:9]) == (2_000, "sk; cleo:")


@pytest.mark.parametrize(
    ("accounts", "left", "touched"),
    [("A", [("B", "C")], 1), ("C", [("A", "B")], 1), (None, [], 1), ("D", [("A", "B", "C")], 0)],
)
def test_one_account_is_taken_out_of_a_row_and_the_others_are_told_on(
    accounts: str | None, left: list[tuple[str, ...]], touched: int
) -> None:
    subject = policy()
    subject.subscribe(Subscription("desk", "info", (), ("A", "B", "C")))
    assert subject.unsubscribe("desk", accounts) == touched
    assert [each.accounts for each in subject.book.subscriptions] == left


def test_an_acknowledgement_lapses_while_the_cause_stays() -> None:
    subject = policy(critical=SeverityTerms(0, 15 * MINUTE, 2, 4 * HOUR))
    alert = subject.take(signal(), NOW)
    subject.due(NOW)
    subject.acknowledge(alert.id, "anna", "", NOW)
    times = [at // MINUTE for at, _ in run(subject, NOW + 10 * HOUR)]
    assert times == [240, 255]
    assert alert.state == "firing"


def test_the_same_cause_is_one_alert_however_often_it_is_seen() -> None:
    subject = policy()
    first = subject.take(signal("evidence_lacking", subject="backup", message="one"), NOW)
    for minute in range(1, 50):
        subject.take(
            signal("evidence_lacking", NOW + minute * MINUTE, subject="backup", message="other"),
            NOW + minute * MINUTE,
        )
    assert (first.count, first.message) == (50, "other")
    assert len(subject.book.alerts) == 1
    assert len(run(subject, NOW + 2 * HOUR)) == 1


def test_another_subject_account_or_kind_is_another_alert() -> None:
    subject = policy()
    for found in (
        signal("breach", account="A", subject="r"),
        signal("breach", account="B", subject="r"),
        signal("breach", account="A", subject="s"),
        signal("near_limit", account="A", subject="r"),
    ):
        subject.take(found, NOW)
    assert len(subject.book.alerts) == 4


def test_only_a_worse_severity_speaks_again_after_an_acknowledgement() -> None:
    subject = policy()
    alert = subject.take(signal("evidence_lacking", subject="x"), NOW)
    run(subject, NOW + MINUTE)
    subject.acknowledge(alert.id, "anna", "", NOW + MINUTE)
    subject.take(signal("evidence_lacking", subject="x"), NOW + 2 * MINUTE)
    assert run(subject, NOW + HOUR, NOW + 2 * MINUTE) == []
    subject.take(signal("evidence_lacking", subject="x", severity="critical"), NOW + HOUR)
    assert told(subject.due(NOW + HOUR)) == [("phone", "reminder", ["evidence_lacking"])]


def test_acknowledging_what_is_over_changes_nothing_and_what_never_was_is_refused() -> None:
    subject = policy()
    alert = subject.take(signal(), NOW)
    subject.take(signal(state="resolved"), NOW)
    assert subject.acknowledge(alert.id, "anna", "", NOW).state == "resolved"
    with pytest.raises(Unknown, match="no alert 'nothing'"):
        subject.acknowledge("nothing", "anna", "", NOW)


def test_what_ends_by_a_person_ends_when_it_is_acknowledged() -> None:
    subject = policy()
    alert = subject.take(signal("worker_crashed"), NOW)
    assert BY_NAME["worker_crashed"].ends == "person"
    subject.acknowledge(alert.id, "anna", "", NOW)
    assert not alert.is_open
    again = subject.take(signal("worker_crashed", NOW + HOUR, position=9), NOW + HOUR)
    assert again.id != alert.id


def test_what_was_mended_by_hand_is_over_when_a_person_says_so() -> None:
    subject = policy()
    alert = subject.take(signal("enforcement_failed", account="A"), NOW)
    subject.due(NOW)
    subject.acknowledge(alert.id, "anna", "flat by hand", NOW + MINUTE, over=True)
    assert not alert.is_open
    assert run(subject, NOW + 10 * HOUR, NOW + MINUTE) == []


def test_a_flap_within_the_window_is_not_told_but_a_breach_always_is() -> None:
    subject = policy()
    subject.take(signal("evidence_lacking", subject="x"), NOW)
    subject.take(signal("evidence_lacking", subject="x", state="resolved"), NOW + SECOND)
    subject.take(signal("breach", account="A", subject="r"), NOW)
    subject.take(
        signal("breach", account="A", subject="r", state="resolved", flat="confirmed"),
        NOW + SECOND,
    )
    ((_, telling),) = run(subject, NOW + HOUR)
    (alert,) = telling.alerts
    assert (telling.why, alert.kind, alert.flat, alert.is_open) == (
        "new", "breach", "confirmed", False,
    )  # fmt: skip


def test_what_comes_back_soon_is_the_same_alert_and_nobody_is_told_anew() -> None:
    subject = policy(critical=SeverityTerms(0, 15 * MINUTE, 12))
    kind, minute = "operations_silent", 0
    found = []
    for minute in range(0, 12, 2):
        now = NOW + minute * MINUTE
        subject.take(signal(kind, now, subject="operations"), now)
        found += run(subject, now, now)
        subject.take(signal(kind, now, subject="operations", state="resolved"), now + MINUTE)
        found += run(subject, now + MINUTE, now + MINUTE)
    assert [t.why for _, t in found] == ["new"]
    (alert,) = subject.book.alerts.values()
    assert (alert.count, alert.state) == (6, "resolved")
    over = run(subject, NOW + HOUR, NOW + 11 * MINUTE)
    assert [(at, t.why) for at, t in over] == [(5 * MINUTE, "over")]
    again = subject.take(signal(kind, NOW + HOUR, subject="operations"), NOW + HOUR)
    assert again.id != alert.id
    assert [t.why for t in subject.due(NOW + HOUR)] == ["new"]


@pytest.mark.parametrize("seen", [True, False])
def test_a_gate_that_falls_again_is_told_at_once_whatever_was_acknowledged(seen: bool) -> None:
    subject = policy(critical=SeverityTerms())
    alert = subject.take(signal(), NOW)
    subject.due(NOW)
    if seen:
        subject.acknowledge(alert.id, "anna", "", NOW + SECOND)
    subject.take(signal(state="resolved"), NOW + 2 * SECOND)
    again = subject.take(signal(at=NOW + 5 * SECOND), NOW + 5 * SECOND)
    assert again.id != alert.id
    assert told(subject.due(NOW + 5 * SECOND)) == [("phone", "new", ["gate_fell"])]
    assert run(subject, NOW + HOUR, NOW + 6 * SECOND) == []


def test_a_breach_that_comes_again_and_again_is_told_every_five_minutes() -> None:
    subject, found = policy(), []
    for second in range(0, 1200, 20):
        now = NOW + second * SECOND
        for state in ("firing", "resolved"):
            subject.take(signal("breach", now, account="A", subject="r", state=state), now)
        found += run(subject, now + 15 * SECOND, now)
    assert len(found) == 4
    assert sum(alert.count for alert in subject.book.alerts.values()) == 60


def test_what_is_over_is_not_told_to_whom_only_its_lasting_concerns() -> None:
    second = Subscription("partner", "info", (), None, after=15 * MINUTE)
    subject = policy(ALL, second)
    for kind in ("shutdown", "breach"):
        subject.take(signal(kind, account="A"), NOW)
        subject.take(signal(kind, account="A", state="resolved"), NOW)
    assert {t.channel for _, t in run(subject, NOW + HOUR)} == {"phone"}


# --- many alerts ----------------------------------------------------------------------------------


def test_alerts_of_a_topic_within_the_window_are_one_message_the_worst_first() -> None:
    subject = policy()
    for number in range(5):
        subject.take(signal("breach", account="A", subject=f"r{number}"), NOW + number * SECOND)
    ((after, telling),) = run(subject, NOW + MINUTE)
    assert (after, len(telling.alerts)) == (10 * SECOND, 5)


def test_what_a_shut_gate_names_is_listed_and_not_told_a_second_time() -> None:
    subject = policy()
    subject.take(signal("gate_fell", subjects=("backup",)), NOW)
    lacking = subject.take(signal("evidence_lacking", subject="backup"), NOW)
    other = subject.take(signal("evidence_lacking", subject="restore"), NOW)
    kinds = [(t.why, [a.subject for a in t.alerts]) for _, t in run(subject, NOW + MINUTE)]
    assert kinds == [("new", [""]), ("new", ["restore"])]
    assert lacking.told == {}
    assert other.told.keys() == {"phone"}


def test_a_storm_becomes_one_digest_and_what_is_critical_is_not_held_back() -> None:
    subject = policy(storm_messages=5, storm_within=10 * MINUTE, warning=SeverityTerms(0))
    found = []
    for second in range(120):
        now = NOW + second * SECOND
        subject.take(signal("breach", now, account=f"A{second}", subject="r"), now)
        found += [(second, t) for t in subject.due(now)]
    subject.take(signal("shutdown", NOW + 121 * SECOND), NOW + 121 * SECOND)
    found += [(121, t) for t in subject.due(NOW + 121 * SECOND)]
    assert [t.why for _, t in found] == ["new"] * 6
    assert found[-1][1].alerts[0].kind == "shutdown"
    later = run(subject, NOW + 11 * MINUTE, NOW + 122 * SECOND)
    (digest,) = [t for _, t in later if t.why == "digest"]
    assert len(digest.alerts) == 115


# --- who and when ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subscription", "wanted"),
    [
        (Subscription("phone", "critical", (), None), ["shutdown"]),
        (Subscription("phone", "warning", ("account",), None), ["breach"]),
        (Subscription("phone", "warning", (), ("A",)), ["breach", "shutdown"]),
        (Subscription("phone", "warning", (), ("B",)), ["shutdown"]),
        (Subscription("phone", "warning", (), ()), ["shutdown"]),
        (Subscription("phone", "info", ("worker",), None), ["rules_loaded"]),
    ],
)
def test_a_channel_is_told_what_it_subscribed_to(
    subscription: Subscription, wanted: list[str]
) -> None:
    subject = policy(subscription)
    subject.take(signal("breach", account="A", subject="r"), NOW)
    subject.take(signal("shutdown"), NOW)
    subject.take(signal("rules_loaded", subject="x"), NOW)
    kinds = [alert.kind for _, t in run(subject, NOW + MINUTE) for alert in t.alerts]
    assert sorted(set(kinds)) == wanted


def test_the_second_channel_is_told_only_while_nobody_has_seen_it() -> None:
    second = Subscription("mail", "critical", (), None, after=5 * MINUTE)
    for seen, channels in ((False, ["phone", "mail"]), (True, ["phone"])):
        subject = policy(ALL, second, critical=SeverityTerms())
        alert = subject.take(signal(), NOW)
        found = subject.due(NOW)
        if seen:
            subject.acknowledge(alert.id, "anna", "", NOW + MINUTE)
        found += [t for _, t in run(subject, NOW + HOUR, NOW + MINUTE)]
        assert [t.channel for t in found] == channels


NIGHT = Window("Europe/Berlin", 22 * 60, 7 * 60, (0, 1, 2, 3, 4, 5, 6))


def berlin(hour: int, minute: int = 0) -> int:
    from datetime import date

    return instant(date(2026, 11, 30), hour * 60 + minute, "Europe/Berlin")


def test_quiet_hours_hold_back_what_is_not_critical_until_they_end() -> None:
    subject = policy(Subscription("phone", "warning", (), None, quiet=NIGHT))
    now = berlin(23)
    subject.take(signal("evidence_lacking", now, subject="x"), now)
    assert run(subject, now + HOUR, now) == []
    subject.take(signal("evidence_lacking", now, subject="x", state="resolved"), now + HOUR)
    subject.take(signal("shutdown", now), now)
    found = run(subject, now + 12 * HOUR, now)
    (late,) = [(at, t) for at, t in found if t.why == "digest"]
    assert found[0][1].alerts[0].kind == "shutdown"
    assert late[0] == 8 * HOUR
    assert not late[1].alerts[0].is_open


def test_a_silence_keeps_alerts_back_and_they_are_told_when_it_ends() -> None:
    subject = policy()
    subject.silence(
        Silence(id="s", start=NOW, end=NOW + HOUR, by="anna", reason="work", topic="evidence")
    )
    subject.take(signal("evidence_lacking", subject="x"), NOW + MINUTE)
    subject.take(signal("shutdown"), NOW + MINUTE)
    found = run(subject, NOW + 2 * HOUR)
    assert [(at // MINUTE, t.why) for at, t in found if t.why != "reminder"] == [
        (1, "new"), (60, "digest"),
    ]  # fmt: skip
    assert len(subject.book.silences["s"].kept_back) == 1


def test_a_silence_that_is_ended_early_tells_at_once() -> None:
    subject = policy()
    subject.silence(Silence(id="s", start=NOW, end=NOW + HOUR, by="a", reason="r", kind="breach"))
    subject.take(signal("breach", account="A", subject="r"), NOW)
    assert run(subject, NOW + 5 * MINUTE) == []
    subject.end_silence("s", NOW + 5 * MINUTE)
    assert [t.why for t in subject.due(NOW + 5 * MINUTE)] == ["digest"]
    with pytest.raises(Unknown, match="no silence 'x'; there are: s"):
        subject.end_silence("x", NOW)


def test_a_silence_of_what_is_critical_ends_after_four_hours() -> None:
    subject = policy(critical=SeverityTerms())
    subject.silence(
        Silence(id="s", start=NOW, end=NOW + 24 * HOUR, by="a", reason="r", kind="shutdown",
                critical=True)
    )  # fmt: skip
    subject.take(signal("shutdown"), NOW)
    assert [at for at, _ in run(subject, NOW + 30 * HOUR)] == [CRITICAL_SILENCE_MAX]


def test_an_alert_about_a_channel_does_not_go_to_it() -> None:
    subject = policy(ALL, Subscription("mail", "info", (), None))
    subject.take(signal("delivery_failed", subject="phone", excluded="phone"), NOW)
    assert {t.channel for _, t in run(subject, NOW + MINUTE)} == {"mail"}


def test_a_test_goes_to_one_channel_whatever_it_subscribed_to() -> None:
    subject = policy(Subscription("phone", "critical"), Subscription("mail", "info", (), None))
    subject.take(signal("test", subject="1", only="phone"), NOW)
    assert told(subject.due(NOW)) == [("phone", "new", ["test"])]
