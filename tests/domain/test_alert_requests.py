"""Requests about alerts are judged for their shape, answered, and change nothing else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.domain.alert_requests import RECORDED, VERBS
from portcullis.domain.events import RequestReceived
from portcullis.domain.model import DAY, HOUR, MINUTE
from portcullis.domain.state import freeze, thaw
from tests.domain.desk import START, Desk

WELL_FORMED: dict[str, dict[str, Any]] = {
    "acknowledge": {"alert": "01K9ZC"},
    "silence": {"topic": "venue", "for_us": HOUR, "start_at": START + DAY, "critical": True},
    "unsilence": {"silence": "r7"},
    "redeliver": {"alert": "01K9ZC", "channel": "phone"},
    "subscribe": {
        "channel": "phone",
        "severity": "warning",
        "topics": "mode,breach",
        "accounts": "A, B",
        "quiet": "22:00-07:00 America/Chicago",
        "after_us": 5 * MINUTE,
    },
    "unsubscribe": {"channel": "phone"},
    "alert": {
        "kind": "flow_failed",
        "state": "firing",
        "subject": "backup",
        "account": "A",
        "severity": "warning",
        "message": "backup: Crashed",
        "cause": "the disk\nis full",
        "action": "see the run",
        "link": "http://127.0.0.1:4210/runs",
    },
    "alert_test": {"channel": "phone"},
}
MALFORMED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("acknowledge", {}, "alert is missing; give 1 to 64 characters"),
    ("acknowledge", {"alert": None}, "alert is missing"),
    ("acknowledge", {"alert": 7}, "alert: 7 is not allowed"),
    ("acknowledge", {"alert": " x"}, "characters that can be printed"),
    ("acknowledge", {"alert": "x" * 65}, "(67 characters)"),
    ("acknowledge", {"alert": "x", "not": "y"}, "no argument 'not'; known are alert"),
    ("silence", {"topic": "venue"}, "for_us is missing"),
    ("silence", {"for_us": HOUR}, "name at least one of alert, topic, account, kind"),
    ("silence", {"topic": "venue", "for_us": 0}, "from 1 to"),
    ("silence", {"topic": "venue", "for_us": 31 * DAY}, "from 1 to"),
    ("silence", {"topic": "venue", "for_us": True}, "from 1 to"),
    ("silence", {"topic": "venue", "for_us": 1.5}, "from 1 to"),
    ("silence", {"severity": "info", "for_us": HOUR}, "no argument 'severity'"),
    ("silence", {"topic": "venue", "for_us": HOUR, "critical": 1}, "true or false"),
    ("subscribe", {"channel": "phone", "severity": "all"}, "one of critical, warning, info"),
    ("silence", {"kind": "Gate fell", "for_us": HOUR}, "a kind of alert"),
    ("silence", {"topic": "venue", "for_us": HOUR, "start_at": -1}, "since 1970"),
    ("silence", {"topic": "venue", "for_us": HOUR, "start_at": START * 2}, "since 1970"),
    ("unsilence", {}, "silence is missing"),
    ("redeliver", {"channel": "phone"}, "name at least one of alert, delivery"),
    ("redeliver", {"delivery": 0}, "a whole number from 1"),
    ("redeliver", {"delivery": True}, "a whole number from 1"),
    ("subscribe", {"severity": "info"}, "channel is missing"),
    ("subscribe", {"channel": "a\nb"}, "characters that can be printed"),
    ("subscribe", {"channel": "phone", "after_us": -1}, "from 0 to"),
    ("alert", {"kind": "flow_failed"}, "state is missing; give one of firing, resolved"),
    ("alert", {"kind": "flow_failed", "state": ["firing"]}, "one of firing, resolved"),
    ("alert", {"kind": "x", "state": "firing", "cause": "y" * 2_001}, "at most 2000"),
    ("alert_test", {}, "channel is missing"),
)


def test_every_verb_has_an_example():
    assert set(WELL_FORMED) == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_a_well_formed_request_is_an_operators_and_is_recorded(verb):
    desk = Desk()
    answer = desk.ask(verb, "operator", **WELL_FORMED[verb])
    assert (answer.outcome, answer.detail) == ("done", RECORDED)


@pytest.mark.parametrize("verb", VERBS)
def test_a_reader_may_not_and_a_reason_is_needed(verb):
    desk = Desk()
    assert desk.ask(verb, "readonly", **WELL_FORMED[verb]).outcome == "refused"
    assert desk.ask(verb, "operator", reason=" ", **WELL_FORMED[verb]).outcome == "refused"


@pytest.mark.parametrize(("verb", "arguments", "told"), MALFORMED)
def test_a_malformed_request_is_refused_with_what_is_wrong_and_what_is_allowed(
    verb, arguments, told
):
    answer = Desk().ask(verb, "operator", **arguments)
    assert answer.outcome == "refused"
    assert told in answer.detail


def _state(desk: Desk) -> dict[str, Any]:
    """What the fold holds, without which requests were answered, and when and where it is."""
    state = msgspec.to_builtins(thaw(freeze(desk.engine.state)))
    state["system"].pop("answered")
    return {name: value for name, value in state.items() if name not in ("now", "position")}


def test_nothing_changes_but_what_was_answered():
    desk = Desk()
    before = _state(desk)
    for verb, arguments in WELL_FORMED.items():
        desk.ask(verb, "operator", **arguments)
    for verb, arguments, _ in MALFORMED:
        desk.ask(verb, "operator", **arguments)
    assert _state(desk) == before
    answered = desk.engine.state.system.answered
    assert len(answered) == len(WELL_FORMED) + len(MALFORMED)


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=80), st.just("firing")
)
names = st.one_of(
    st.sampled_from(sorted({n for t in VERBS.values() for n in t.arguments})), st.text()
)


@given(st.sampled_from(sorted(VERBS)), st.dictionaries(names, scalars, max_size=8))
def test_whatever_is_asked_is_answered_once_and_in_few_words(verb, arguments):
    desk = Desk()
    before = _state(desk)
    out = desk.do(_request(verb, arguments))
    assert len(out) == 1
    assert len(out[0].detail) < 1_000
    assert _state(desk) == before


def _request(verb: str, arguments: dict[str, Any]) -> Any:
    return RequestReceived("r", verb, "me", "operator", "why", None, arguments)
