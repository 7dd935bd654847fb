"""From what was seen to what became of a message: the table, and that it has no holes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.alerts.channels.answers import LONGEST_WAIT, NO_WAIT_GIVEN, outcome_of, wait_of
from portcullis.alerts.channels.watching import Answer, Fault, Seen
from portcullis.alerts.message import Outcome
from portcullis.domain.model import MICRO

DATE = "Tue, 14 Nov 2023 12:00:00 GMT"


def by(status: int, service: str = "json", body: str = "", **headers: str) -> str:
    seen = Seen(accepted=status < 300, answers=(Answer(status, body, **headers),))
    return outcome_of(seen, service).kind


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        ("delivered", [200, 201, 202, 204]),
        ("refused", [301, 302, 307, 400, 401, 403, 404, 405, 410, 413, 415, 422, 451]),
        ("busy", [429]),
        ("failed", [408, 409, 423, 425, 500, 502, 503, 504, 599]),
    ],
)
def test_a_status_says_whether_to_come_again(kind: str, statuses: list[int]) -> None:
    assert {status: by(status) for status in statuses} == dict.fromkeys(statuses, kind)


def test_a_service_that_is_away_and_says_how_long_is_busy() -> None:
    assert by(503, retry_after="120") == "busy"


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (Answer(429, retry_after="12"), 12),
        (Answer(429, retry_after="1.5"), 1.5),
        (Answer(429, retry_after="Tue, 14 Nov 2023 12:02:05 GMT", date=DATE), 125),
        (Answer(429, '{"parameters": {"retry_after": 33}}'), 33),
        (Answer(429, '{"retry_after": 0.65}'), 1),
        (Answer(429), NO_WAIT_GIVEN),
        (Answer(429, retry_after="soon"), NO_WAIT_GIVEN),
        (Answer(429, retry_after="-5"), 1),
        (Answer(429, retry_after="99999999"), LONGEST_WAIT),
        (Answer(429, retry_after="nan"), NO_WAIT_GIVEN),
        (Answer(429, retry_after="inf"), NO_WAIT_GIVEN),
        (Answer(429, "[1]"), NO_WAIT_GIVEN),
    ],
)
def test_how_long_to_stay_away(answer: Answer, seconds: float) -> None:
    assert wait_of(answer) == seconds * MICRO


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ('{"ok": false, "error_code": 429, "parameters": {"retry_after": 3}}', "busy"),
        ('{"ok": false, "error_code": 400, "description": "Bad Request"}', "refused"),
        ('{"ok": false, "error_code": 502}', "failed"),
        ('{"ok": false, "error": "ratelimited"}', "busy"),
        ('{"ok": false, "error": "internal_error"}', "failed"),
        ('{"ok": false, "error": "invalid_auth"}', "refused"),
        ('{"ok": false}', "refused"),
    ],
)
@pytest.mark.parametrize("service", ["tgram", "slack"])
def test_a_no_inside_a_yes(service: str, body: str, kind: str) -> None:
    assert by(200, service, body) == kind


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("unreachable", "refused"), "failed"),
        (Fault("silent", "no answer"), "unknown"),
        (Fault("broken", "reset"), "unknown"),
        (Fault("invalid", "bad URL"), "refused"),
        (Fault("mail", "535 no", 535, by_mail=True), "refused"),
        (Fault("mail", "421 later", 421, by_mail=True), "failed"),
        (Fault("silent", "no answer", by_mail=True), "failed"),
    ],
)
def test_a_fault_says_whether_the_message_may_be_there(fault: Fault, kind: str) -> None:
    assert outcome_of(Seen(accepted=False, faults=(fault,)), "json").kind == kind


def test_a_mail_that_was_handed_over_and_not_answered_is_unknown() -> None:
    fault = Fault("broken", "closed", by_mail=True)
    replies = (220, 250, 250, 250, 354)
    found = outcome_of(Seen(accepted=False, faults=(fault,), replies=replies), "mailto")
    assert found.kind == "unknown"


def test_of_several_requests_the_last_decides() -> None:
    found = outcome_of(Seen(accepted=True, answers=(Answer(404), Answer(200))), "slack")
    assert found.kind == "delivered"
    last = Seen(accepted=True, answers=(Answer(200), Answer(404)))
    assert outcome_of(last, "matrix").kind == "delivered", "its plugin knows what may fail"
    lost = Seen(accepted=False, answers=(Answer(200),), faults=(Fault("silent", "no answer"),))
    assert outcome_of(lost, "matrix").kind == "unknown"


def test_a_plugin_of_ours_may_know_better() -> None:
    stated = Outcome("unknown", "imsg did not end")
    assert outcome_of(Seen(accepted=True, stated=stated), "imsg") == stated


def test_a_service_that_is_not_watched_counts_by_what_apprise_says() -> None:
    assert outcome_of(Seen(accepted=True), "mqtt") == Outcome("delivered")
    failed = outcome_of(Seen(accepted=False, lines=("no broker", "no broker")), "mqtt")
    assert failed == Outcome("failed", "no broker")


def test_a_group_that_moved_says_where_to() -> None:
    body = '{"ok": false, "error_code": 400, "parameters": {"migrate_to_chat_id": -100500}}'
    found = outcome_of(Seen(accepted=False, answers=(Answer(400, body),)), "tgram")
    assert found.kind == "refused"
    assert found.detail.endswith("; its chat is -100500 now")


ANSWERS = st.builds(
    Answer,
    status=st.integers(100, 599),
    body=st.text(max_size=20)
    | st.sampled_from(['{"ok": false}', '{"ok": true, "result": 5}', "[]", '{"ts": 1}', "<html>"]),
    retry_after=st.text(max_size=5),
    date=st.text(max_size=5),
)
FAULTS = st.builds(
    Fault,
    kind=st.sampled_from(["unreachable", "silent", "broken", "invalid", "mail"]),
    words=st.text(max_size=400),
    code=st.integers(0, 600),
    by_mail=st.booleans(),
)
SEEN = st.builds(
    Seen,
    accepted=st.booleans(),
    late=st.booleans(),
    answers=st.lists(ANSWERS, max_size=3).map(tuple),
    replies=st.lists(st.integers(100, 599), max_size=3).map(tuple),
    faults=st.lists(FAULTS, max_size=2).map(tuple),
    lines=st.lists(st.text(max_size=400), max_size=3).map(tuple),
)


@given(SEEN, st.sampled_from(["tgram", "slack", "bbub", "mailto", "json"]))
def test_everything_that_can_be_seen_has_an_outcome(seen: Seen, service: str) -> None:
    found = outcome_of(seen, service)
    assert found.kind in {"delivered", "refused", "busy", "failed", "unknown"}
    assert len(found.detail) <= 320
    assert (found.wait > 0) == (found.kind == "busy")
    if found.kind == "delivered":
        assert seen.accepted
        assert not (seen.late and seen.answers), "an answer that was cut off proves nothing"
