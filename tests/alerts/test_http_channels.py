"""One message to services over HTTP, in every mood they have."""

from __future__ import annotations

import threading
import time
import tracemalloc

import pytest

from portcullis.alerts.channels import send
from portcullis.alerts.message import Message, Outcome
from portcullis.domain.model import MICRO
from tests.alerts.sinks import BLUE, HttpSink, Mode, addresses, within

KINDS = ("telegram", "slack hook", "slack bot", "bluebubbles", "json")
MESSAGE = Message(
    "01HXAMPLE", "critical", "Lost <500> & locked", "LIVE-1 lost 512.50\n- a < b & c", ("A1",)
)


def outcome(sink: HttpSink, kind: str, mode: Mode, *, limit: float = 5.0) -> Outcome:
    sink.behave(mode)
    return send(addresses(sink)[kind], MESSAGE, within=limit)


# --- delivered ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "receipt"),
    [
        ("telegram", "4242:101"),
        ("slack hook", ""),
        ("slack bot", "C0OPS:1700000000.000101"),
        ("bluebubbles", "p:0/101"),
        ("json", ""),
    ],
)
def test_a_message_is_accepted_once_with_what_the_service_calls_it(
    sink: HttpSink, kind: str, receipt: str
) -> None:
    assert outcome(sink, kind, "ok") == Outcome("delivered", receipt=receipt)
    assert len(sink.received) == 1


def test_telegram_gets_the_text_as_it_is_and_no_tag_of_it_counts(sink: HttpSink) -> None:
    outcome(sink, "telegram", "ok")
    (request,) = sink.received
    assert request.path.endswith("/sendMessage")
    assert request.json() == {
        "chat_id": 4242,
        "text": "Lost &lt;500&gt; &amp; locked\nLIVE-1 lost 512.50\n- a &lt; b &amp; c",
        "parse_mode": "HTML",
        "disable_notification": False,
        "disable_web_page_preview": True,
    }


@pytest.mark.parametrize("kind", ["slack hook", "slack bot"])
def test_slack_reads_no_mention_out_of_a_text(sink: HttpSink, kind: str) -> None:
    sneaky = Message("01", "warning", "<!channel>", "account <!here> & <https://x|y>")
    send(addresses(sink)[kind], sneaky)
    (request,) = sink.received
    (attached,) = request.json()["attachments"]
    assert attached["title"] == "&lt;!channel&gt;"
    assert attached["text"] == "account &lt;!here&gt; &amp; &lt;https://x|y&gt;"


def test_bluebubbles_can_drop_a_repeat_since_it_has_the_same_name(sink: HttpSink) -> None:
    outcome(sink, "bluebubbles", "broken")
    outcome(sink, "bluebubbles", "ok")
    first, second = sink.received
    assert first.json() == second.json()
    assert first.json() == {
        "chatGuid": "iMessage;-;+15551234567",
        "tempGuid": "portcullis-01HXAMPLE",
        "message": "Lost <500> & locked\nLIVE-1 lost 512.50\n- a < b & c",
        "method": "private-api",
    }
    assert first.query == {"password": [BLUE]}


def test_a_webhook_gets_its_headers_and_plain_text(sink: HttpSink) -> None:
    outcome(sink, "json", "ok")
    (request,) = sink.received
    assert request.path == "/hooks/pathsecret99"
    assert request.headers["X-Auth"] == "headersecret77"
    assert request.json()["title"] == MESSAGE.title
    assert request.json()["message"] == MESSAGE.body
    assert request.json()["type"] == "failure"


def test_what_is_too_long_all_the_same_is_cut_with_a_mark_and_goes_in_one_piece(
    sink: HttpSink,
) -> None:
    long = Message("01", "info", "t" * 300, "b" * 5000)
    assert send(addresses(sink)["telegram"], long).kind == "delivered"
    (request,) = sink.received
    text = request.json()["text"]
    assert len(text) == 4096
    assert text.endswith("b…")


# --- not delivered --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_that_is_busy_says_how_long(sink: HttpSink, kind: str) -> None:
    sink.behave("busy", retry_after=13)
    found = send(addresses(sink)[kind], MESSAGE)
    assert (found.kind, found.wait) == ("busy", 13 * MICRO)


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_that_breaks_may_take_it_later(sink: HttpSink, kind: str) -> None:
    found = outcome(sink, kind, "broken")
    # BlueBubbles says 500 for messages it has sent.
    assert found.kind == ("unknown" if kind == "bluebubbles" else "failed")
    assert found.detail.startswith("500 ")
    assert len(sink.received) == 1, "no attempt of Apprise's own"


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_is_for_good(sink: HttpSink, kind: str) -> None:
    found = outcome(sink, kind, "refused")
    assert found.kind == "refused"
    assert found.detail.startswith("400 ")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("telegram", Outcome("refused", "403 Forbidden: bot was blocked by the user")),
        ("slack bot", Outcome("refused", "not_in_channel")),
        ("slack hook", Outcome("failed", "an answer that is not the service's: no_team")),
    ],
)
def test_a_yes_of_http_with_a_no_inside_is_no(sink: HttpSink, kind: str, expected: Outcome) -> None:
    assert outcome(sink, kind, "not ok") == expected


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["hang", "drip head", "drip body", "drop"])
def test_no_answer_is_unknown_and_the_attempt_ends(sink: HttpSink, kind: str, mode: Mode) -> None:
    found = within(1.5, lambda: outcome(sink, kind, mode, limit=0.5))
    assert found.kind == "unknown"


def test_a_wrong_password_of_bluebubbles_is_refused(sink: HttpSink) -> None:
    address = addresses(sink)["bluebubbles"].replace(BLUE, "another")
    assert send(address, MESSAGE) == Outcome("refused", "401 You are not authorized")


def test_nobody_listening_is_failed_since_nothing_was_sent(sink: HttpSink) -> None:
    address = addresses(sink)["json"]
    sink.stop()
    found = send(address, MESSAGE)
    assert found == Outcome("failed", "no connection (connection refused)")


def test_an_answer_that_cannot_be_read_is_unknown(sink: HttpSink) -> None:
    sink.garbled = True
    found = send(addresses(sink)["slack bot"], MESSAGE)
    assert (found.kind, found.detail) == (
        "unknown",
        "the answer cannot be read (ContentDecodingError)",
    )


def test_an_answer_without_end_is_not_taken_in(sink: HttpSink) -> None:
    """A service that sends as fast as it can, and more than anybody has memory for."""
    sink.behave("flood")
    tracemalloc.start()
    found = within(10, lambda: send(addresses(sink)["json"], MESSAGE))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.kind == "unknown"
    assert peak < 10_000_000


def test_what_is_only_for_information_makes_no_sound_at_telegram(sink: HttpSink) -> None:
    for severity in ("info", "warning"):
        send(addresses(sink)["telegram"], Message("01", severity, "title", "body"))  # type: ignore[arg-type]
    assert [each.json()["disable_notification"] for each in sink.received] == [True, False]


def test_an_empty_message_is_refused_without_a_call(sink: HttpSink) -> None:
    found = send(addresses(sink)["json"], Message("01", "info", "", " "))
    assert found == Outcome("refused", "the message is empty")
    assert sink.received == []


def test_a_redirect_is_not_followed_since_it_would_lose_the_text(sink: HttpSink) -> None:
    sink.moved = f"{sink.url}/elsewhere"
    found = send(addresses(sink)["json"], MESSAGE)
    assert found.kind == "refused"
    assert found.detail.startswith("302")
    assert len(sink.received) == 1


def test_a_hanging_service_delays_only_its_own_thread(sink: HttpSink) -> None:
    """Twelve that hang beside one that works."""
    sink.behave("hang")
    hanging = [
        threading.Thread(target=send, args=(addresses(sink)["json"], MESSAGE), kwargs={"within": 2})
        for _ in range(12)
    ]
    for thread in hanging:
        thread.start()
    sink.wait_for(12, within=5)
    sink.behave("ok")
    start = time.monotonic()
    assert send(addresses(sink)["slack bot"], MESSAGE).kind == "delivered"
    assert time.monotonic() - start < 1
    for thread in hanging:
        thread.join()


def test_what_one_thread_meets_is_not_told_of_another(sink: HttpSink) -> None:
    """A refusal and an acceptance at the same moment, many times."""
    bad = addresses(sink)["bluebubbles"].replace(BLUE, "another")
    good = addresses(sink)["bluebubbles"]
    found: dict[str, set[str]] = {bad: set(), good: set()}

    def work(address: str) -> None:
        found[address].update(send(address, MESSAGE).kind for _ in range(25))

    threads = [threading.Thread(target=work, args=(address,)) for address in (bad, good) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {bad: {"refused"}, good: {"delivered"}}
