"""Who may do what by chat, and that nothing there loosens."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.alerts.conversation import (
    CONFIRM_WITHIN,
    DATA_MAX,
    HELP,
    QUESTIONS_MAX,
    SILENCE_FOR,
    STRANGER,
    Action,
    Question,
    Turn,
    Verb,
    buttons_of,
    said_in,
    turn_of,
)
from portcullis.domain.model import MICRO

ANNA, STRANGE = 7001, 666
OPERATORS = {ANNA: "Anna", 7002: "Ben"}
GROUP = -100500
NOON = 1_700_049_600 * MICRO


def message(text: str, user: int = ANNA, chat: int = 4242, number: int = 1) -> dict[str, Any]:
    return {
        "update_id": number,
        "message": {
            "message_id": 55,
            "from": {"id": user, "is_bot": False, "first_name": "Anna"},
            "chat": {"id": chat, "type": "private" if chat > 0 else "supergroup"},
            "text": text,
        },
    }


def press(data: str, user: int = ANNA, chat: int = 4242, number: int = 1) -> dict[str, Any]:
    return {
        "update_id": number,
        "callback_query": {
            "id": "777",
            "from": {"id": user, "is_bot": False},
            "message": {"message_id": 101, "chat": {"id": chat}, "text": "Lost 500\nbody"},
            "data": data,
        },
    }


def turn(
    update: dict[str, Any],
    questions: dict[str, Question] | None = None,
    *,
    now: int = NOON,
    fresh: str = "fresh-word",
) -> Turn:
    said = said_in(update)
    assert said is not None
    return turn_of(said, OPERATORS, questions or {}, now, fresh)


# --- what an operator may do ----------------------------------------------------------------------


def test_a_button_acknowledges_and_the_message_says_by_whom() -> None:
    found = turn(press("a:k3jd82ma"))
    assert found.action == Action(
        verb="acknowledge", by="Anna", user=ANNA, key="telegram-4242-1", alerts=("k3jd82ma",)
    )
    assert found.edits
    assert found.signed == "acknowledged by Anna, 12:00 UTC"
    assert found.buttons == ()


def test_a_silenced_alert_can_still_be_acknowledged() -> None:
    found = turn(press("s:k3jd82ma,zzzz1111"))
    assert found.action is not None
    assert (found.action.verb, found.action.for_us) == ("silence", SILENCE_FOR)
    assert found.action.alerts == ("k3jd82ma", "zzzz1111")
    assert [each.data for each in found.buttons] == ["a:k3jd82ma,zzzz1111"]


@pytest.mark.parametrize(
    ("text", "verb", "alerts"),
    [
        ("/status", "status", ()),
        ("/alerts@GateBot", "alerts", ()),
        ("/acknowledge k3jd82ma", "acknowledge", ("k3jd82ma",)),
        ("/ack  k3jd82ma ", "acknowledge", ("k3jd82ma",)),
        ("/SILENCE k3jd82ma", "silence", ("k3jd82ma",)),
    ],
)
def test_commands_in_words(text: str, verb: str, alerts: tuple[str, ...]) -> None:
    found = turn(message(text))
    assert found.action is not None
    assert (found.action.verb, found.action.alerts) == (verb, alerts)


@pytest.mark.parametrize("text", ["/start", "/help", "/unlock LIVE-1", "/release LIVE-1", "/x"])
def test_what_is_not_known_is_answered_with_what_is(text: str) -> None:
    assert turn(message(text)) == Turn(questions={}, reply=HELP)


@pytest.mark.parametrize("text", ["hello", "", "lock LIVE-1"])
def test_talk_is_left_alone(text: str) -> None:
    assert turn(message(text, chat=GROUP)) == Turn(questions={})


@pytest.mark.parametrize("text", ["/ack", "/silence a b", "/ack ../../etc", "/lock", "/lock \x07"])
def test_a_command_without_its_object_is_asked_for_it(text: str) -> None:
    found = turn(message(text))
    assert found.action is None
    assert found.reply.startswith("Which ")


# --- locking --------------------------------------------------------------------------------------


def asked(fresh: str = "word-1") -> Turn:
    return turn(message("/lock LIVE-1"), fresh=fresh)


def test_a_lock_is_asked_about_first() -> None:
    found = asked()
    assert found.action is None
    assert found.reply.startswith("Lock LIVE-1?")
    assert [each.data for each in found.buttons] == ["l:word-1", "n:word-1"]


def test_a_confirmed_lock_is_carried_out_once() -> None:
    questions = dict(asked().questions)
    yes = turn(press("l:word-1", number=2), questions, now=NOON + CONFIRM_WITHIN - 1)
    assert yes.action == Action(
        verb="lock", by="Anna", user=ANNA, key="telegram-4242-2", account="LIVE-1"
    )
    assert yes.signed == "lock of LIVE-1 asked for by Anna, 12:00 UTC"
    again = turn(press("l:word-1", number=3), dict(yes.questions))
    assert again.action is None
    assert "no longer open" in again.toast


@pytest.mark.parametrize(
    ("data", "user", "late"),
    [
        ("l:word-1", ANNA, CONFIRM_WITHIN),  # too late
        ("l:word-2", ANNA, 0),  # another word
        ("l:word-1", 7002, 0),  # another operator
        ("l:word-1", STRANGE, 0),  # nobody
        ("n:word-1", ANNA, 0),  # no
        ("l:", ANNA, 0),
    ],
)
def test_nothing_else_locks(data: str, user: int, late: int) -> None:
    questions = dict(asked().questions)
    assert turn(press(data, user), questions, now=NOON + late).action is None


def test_no_ends_the_question() -> None:
    questions = dict(asked().questions)
    no = turn(press("n:word-1"), questions)
    assert (no.action, no.edits, no.questions) == (None, True, {})


def test_open_questions_are_bounded() -> None:
    questions: dict[str, Question] = {}
    for number in range(50):
        found = turn(message("/lock LIVE-1"), questions, fresh=f"w{number}")
        questions = dict(found.questions)
    assert len(questions) == QUESTIONS_MAX
    assert list(questions)[-1] == "w49"


# --- who may not ----------------------------------------------------------------------------------


@pytest.mark.parametrize("chat", [4242, GROUP])
def test_a_stranger_is_refused_in_private_and_in_groups(chat: int) -> None:
    pressed = turn(press("a:k3jd82ma", STRANGE, chat))
    assert (pressed.action, pressed.toast) == (None, STRANGER)
    assert pressed.refused == f"Telegram user 666 in chat {chat}: button 'a:k3jd82ma'"
    said = turn(message("/lock LIVE-1", STRANGE, chat))
    assert (said.action, said.reply, said.questions) == (None, "", {})
    assert said.refused.endswith("'/lock LIVE-1'")


def test_no_bot_is_an_operator_whatever_its_number() -> None:
    update = message("/status")
    update["message"]["from"]["is_bot"] = True
    assert turn(update).action is None


def test_nobody_named_means_nobody_may() -> None:
    said = said_in(message("/status"))
    assert said is not None
    assert turn_of(said, {}, {}, NOON, "w").action is None


def test_there_is_no_verb_that_loosens() -> None:
    assert get_args(Verb) == ("acknowledge", "silence", "status", "alerts", "lock")


@given(
    text=st.text(max_size=80) | st.sampled_from(["/lock A", "/unlock A", "/status", "/ack b"]),
    data=st.text(max_size=70) | st.sampled_from(["a:x", "s:x", "l:w", "n:w", "u:x"]),
    user=st.sampled_from([ANNA, 7002, STRANGE]),
    pressed=st.booleans(),
)
def test_whatever_is_said_only_operators_act_and_only_a_confirmed_lock_locks(
    text: str, data: str, user: int, *, pressed: bool
) -> None:
    questions = {"w": Question("LIVE-1", ANNA, NOON + 1)}
    update = press(data, user) if pressed else message(text, user)
    found = turn(update, questions)
    if user == STRANGE:
        assert found.action is None
    if found.action is not None and found.action.verb == "lock":
        assert (data, user, pressed) == ("l:w", ANNA, True)
    assert all(len(each.data.encode()) <= DATA_MAX for each in found.buttons)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                ["update_id", "message", "callback_query", "from", "chat", "id", "text"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(st.dictionaries(st.sampled_from(["update_id", "message", "callback_query"]), JSON))
def test_no_update_is_too_strange(update: dict[str, Any]) -> None:
    said = said_in(update)
    if said is not None:
        assert isinstance(turn_of(said, OPERATORS, {}, NOON, "w"), Turn)


# --- buttons --------------------------------------------------------------------------------------


@given(st.lists(st.text(min_size=1, max_size=12), max_size=12))
def test_buttons_fit_into_what_telegram_carries_back(alerts: list[str]) -> None:
    for button in buttons_of(alerts):
        assert len(button.data.encode()) <= DATA_MAX
        found = turn(press(button.data))
        assert found.action is not None
        assert found.action.alerts == tuple(alerts)


def test_seven_alerts_of_ours_fit_and_eight_have_no_buttons() -> None:
    names = [f"k3jd82m{number}" for number in range(8)]
    assert len(buttons_of(names[:7])) == 2
    assert buttons_of(names) == ()
    assert buttons_of([]) == ()
