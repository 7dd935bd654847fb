"""The bot and its listener, against a Telegram on loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from portcullis.alerts.channels import send
from portcullis.alerts.conversation import Action, buttons_of
from portcullis.alerts.message import Message, Outcome
from portcullis.alerts.telegram import Bot, bot_of
from portcullis.alerts.telegram_poller import Poller
from portcullis.clock import ManualClock
from portcullis.domain.model import MICRO
from portcullis.errors import UsageError
from tests.alerts.sinks import TOKEN, HttpSink, addresses, within
from tests.alerts.test_conversation import NOON, OPERATORS, STRANGE, message, press

MESSAGE = Message("01HX", "critical", "Lost 500", "body", ("k3jd82ma",), answerable=True)


@pytest.fixture
def bot(sink: HttpSink) -> Bot:
    found = bot_of(addresses(sink)["telegram"])
    assert found is not None
    return found


# --- the bot --------------------------------------------------------------------------------------


def test_only_a_telegram_address_has_a_bot_and_its_name_is_no_secret(
    sink: HttpSink, bot: Bot
) -> None:
    assert bot.name == "123456789"
    assert TOKEN.partition(":")[2] not in repr(bot)
    assert bot_of(addresses(sink)["slack bot"]) is None
    with pytest.raises(UsageError):
        bot_of("tgram://nothing")


def test_a_delivered_message_gets_its_buttons(sink: HttpSink, bot: Bot) -> None:
    sent = send(addresses(sink)["telegram"], MESSAGE)
    assert bot.put_buttons(sent.receipt, buttons_of(MESSAGE.alerts)).kind == "delivered"
    request = sink.received[-1]
    assert request.path == f"/bot{TOKEN}/editMessageReplyMarkup"
    assert request.json() == {
        "chat_id": 4242,
        "message_id": 101,
        "reply_markup": {
            "inline_keyboard": [
                [
                    {"text": "Acknowledge", "callback_data": "a:k3jd82ma"},
                    {"text": "Silence 1 h", "callback_data": "s:k3jd82ma"},
                ]
            ]
        },
    }


def test_an_edit_that_changes_nothing_is_done(sink: HttpSink, bot: Bot) -> None:
    sink.unmodified = True
    assert bot.edit("4242:101", "the same").kind == "delivered"


def test_a_receipt_of_another_service_is_refused_without_a_call(sink: HttpSink, bot: Bot) -> None:
    assert bot.edit("C0OPS", "text").kind == "refused"
    assert sink.received == []


@pytest.mark.parametrize("mode", ["hang", "drip head", "drip body"])
def test_no_call_outlasts_its_bound(sink: HttpSink, bot: Bot, mode: Any) -> None:
    sink.behave(mode)
    answered = within(1.5, lambda: bot.call("sendMessage", _within=0.5, chat_id=1, text="x"))
    assert answered.outcome.kind == "unknown"


def test_a_call_that_is_asked_to_wait_says_how_long(sink: HttpSink, bot: Bot) -> None:
    sink.behave("busy", retry_after=9)
    outcome = bot.say(4242, "text")
    assert (outcome.kind, outcome.wait) == ("busy", 9 * MICRO)


# --- the listener ---------------------------------------------------------------------------------


class Heard:
    """What a listener was given to do, and where it got to."""

    def __init__(self) -> None:
        self.actions: list[Action] = []
        self.offsets: list[int] = []
        self.refused: list[str] = []
        self.result: str | Exception = "recorded"
        self.changed = threading.Condition()

    def handle(self, action: Action) -> str:
        self.actions.append(action)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def keep(self, offset: int) -> None:
        with self.changed:
            self.offsets.append(offset)
            self.changed.notify_all()

    def wait(self, done: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(done, 10), (self.actions, self.offsets)


@contextmanager
def listening(
    bot: Bot, heard: Heard, *, offset: int = 0, clock: ManualClock | None = None
) -> Iterator[Poller]:
    poller = Poller(
        bot,
        OPERATORS,
        clock or ManualClock(NOON),
        handle=heard.handle,
        offset=offset,
        keep_offset=heard.keep,
        refused=heard.refused.append,
        first_pause=0.05,
    )
    poller.start()
    try:
        yield poller
    finally:
        poller.stop()
        assert not poller.is_alive()


def test_a_pressed_button_is_carried_out_answered_and_shown_in_the_message(
    sink: HttpSink, bot: Bot
) -> None:
    heard = Heard()
    with listening(bot, heard):
        sink.tell(press("a:k3jd82ma", number=10))
        heard.wait(lambda: heard.offsets == [11])
    assert [action.verb for action in heard.actions] == ["acknowledge"]
    (answer,) = sink.those("/answerCallbackQuery")
    assert answer.json() == {"callback_query_id": "777", "text": "recorded"}
    (edit,) = sink.those("/editMessageText")
    assert edit.json()["text"] == ("Lost 500\nbody\n\n✓ acknowledged by Anna, 12:00 UTC\nrecorded")
    assert edit.json()["message_id"] == 101
    assert edit.json()["reply_markup"] == {"inline_keyboard": []}


def test_a_lock_takes_two_steps_and_the_second_only_once(sink: HttpSink, bot: Bot) -> None:
    heard = Heard()
    with listening(bot, heard):
        sink.tell(message("/lock LIVE-1", number=10))
        heard.wait(lambda: heard.offsets == [11])
        assert heard.actions == []
        question = sink.those("/sendMessage")[-1].json()
        yes = question["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
        assert len(yes.encode()) <= 64
        sink.tell(press(yes, STRANGE, number=11))
        sink.tell(press(yes, number=12))
        sink.tell(press(yes, number=13))
        heard.wait(lambda: heard.offsets[-1:] == [14])
    assert [(each.verb, each.account, each.by) for each in heard.actions] == [
        ("lock", "LIVE-1", "Anna")
    ]
    assert heard.refused == [f"Telegram user 666 in chat 4242: button {yes!r}"]
    toasts = [each.json()["text"] for each in sink.those("/answerCallbackQuery")]
    assert toasts[0].startswith("You may not")
    assert toasts[1] == "recorded"
    assert "no longer open" in toasts[2]


def test_a_lock_not_confirmed_in_a_minute_is_not_done(sink: HttpSink, bot: Bot) -> None:
    heard, clock = Heard(), ManualClock(NOON)
    with listening(bot, heard, clock=clock):
        sink.tell(message("/lock LIVE-1", number=10))
        heard.wait(lambda: heard.offsets == [11])
        question = sink.those("/sendMessage")[-1].json()
        yes = question["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
        clock.advance(60 * MICRO)
        sink.tell(press(yes, number=11))
        heard.wait(lambda: heard.offsets[-1:] == [12])
    assert heard.actions == []


def test_a_stranger_gets_nothing_done_and_no_words(sink: HttpSink, bot: Bot) -> None:
    heard = Heard()
    with listening(bot, heard):
        sink.tell(message("/status", STRANGE, chat=-5, number=3))
        heard.wait(lambda: heard.offsets == [4])
    assert heard.actions == []
    assert sink.those("/sendMessage") == []
    assert heard.refused == ["Telegram user 666 in chat -5: '/status'"]


def test_the_answer_to_a_command_comes_where_it_was_asked(sink: HttpSink, bot: Bot) -> None:
    heard = Heard()
    heard.result = "ACTIVE, 2 accounts"
    update = message("/status", chat=-100, number=3)
    update["message"] |= {"is_topic_message": True, "message_thread_id": 9}
    with listening(bot, heard):
        sink.tell(update)
        heard.wait(lambda: heard.offsets == [4])
    said = sink.those("/sendMessage")[0].json()
    assert (said["chat_id"], said["message_thread_id"], said["text"]) == (
        -100,
        9,
        "ACTIVE, 2 accounts",
    )
    assert "parse_mode" not in said


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (
            UsageError("no such alert", remedy="see /alerts"),
            "Not done: no such alert. see /alerts.",
        ),
        (RuntimeError("password=hunter2"), "Not done: RuntimeError."),
    ],
)
def test_what_cannot_be_done_is_said_and_the_listener_goes_on(
    sink: HttpSink, bot: Bot, problem: Exception, words: str
) -> None:
    heard = Heard()
    heard.result = problem
    with listening(bot, heard) as poller:
        sink.tell(press("a:k3jd82ma", number=1))
        sink.tell(message("/status", number=2))
        heard.wait(lambda: heard.offsets == [2, 3])
        assert poller.is_alive()
    assert sink.those("/editMessageText") == []
    assert [each.json()["text"] for each in sink.those("/sendMessage")] == [words, words]


def test_it_goes_on_where_it_was_and_asks_for_nothing_older(sink: HttpSink, bot: Bot) -> None:
    for number in (5, 6, 7):
        sink.tell(message("/status", number=number))
    heard = Heard()
    with listening(bot, heard, offset=6):
        heard.wait(lambda: heard.offsets == [7, 8])
    assert [action.key for action in heard.actions] == ["telegram-4242-6", "telegram-4242-7"]
    first = sink.those("/getUpdates")[0].json()
    assert first["offset"] == 6
    assert first["allowed_updates"] == ["message", "callback_query"]


def test_an_update_repeated_after_a_kill_has_the_same_key(sink: HttpSink, bot: Bot) -> None:
    sink.tell(press("a:k3jd82ma", number=5))
    keys = []
    for _ in range(2):
        heard = Heard()
        with listening(bot, heard):
            heard.wait(lambda heard=heard: heard.offsets == [6])  # type: ignore[misc]
        keys.append(heard.actions[0].key)
    assert keys[0] == keys[1]


@pytest.mark.parametrize(
    ("mode", "words"),
    [("refused", "409 Conflict"), ("broken", "500 Internal"), ("busy", "429 Too Many")],
)
def test_it_outlives_conflicts_limits_and_failures(
    sink: HttpSink, bot: Bot, mode: Any, words: str
) -> None:
    heard = Heard()
    sink.behave(mode, retry_after=1)
    sink.tell(message("/status", number=1))
    with listening(bot, heard) as poller:
        sink.wait_for(2, "/getUpdates")
        assert poller.trouble.startswith(words)
        sink.behave("ok")
        heard.wait(lambda: heard.offsets == [2])
        sink.wait_for(4, "/getUpdates")
        assert poller.trouble == ""


def test_it_outlives_a_telegram_that_is_away(sink: HttpSink, bot: Bot) -> None:
    heard = Heard()
    away = Bot(TOKEN, "http://127.0.0.1:1/bot")
    with listening(away, heard) as poller:
        deadline = time.monotonic() + 10
        while not poller.trouble and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        assert poller.trouble == "no connection (connection refused)"
        assert poller.is_alive()


def test_it_outlives_a_place_that_cannot_keep_how_far_it_got(sink: HttpSink, bot: Bot) -> None:
    heard = Heard()
    full = OSError("no space left on the device")

    def keep(offset: int) -> None:
        heard.keep(offset)
        if offset == 2:
            raise full

    poller = Poller(
        bot, OPERATORS, ManualClock(NOON), handle=heard.handle, keep_offset=keep, first_pause=0.05
    )
    poller.start()
    sink.tell(message("/status", number=1))
    sink.tell(message("/status", number=2))
    heard.wait(lambda: heard.offsets == [2, 3])
    poller.stop()
    assert len(heard.actions) == 2


def test_it_ends_at_once_while_telegram_holds_its_question(sink: HttpSink, bot: Bot) -> None:
    with listening(bot, Heard()) as poller:
        sink.wait_for(1, "/getUpdates")
        within(2, poller.stop)


def test_pauses_grow_and_are_bounded(bot: Bot) -> None:
    heard = Heard()
    poller = Poller(bot, {}, ManualClock(NOON), handle=heard.handle, keep_offset=heard.keep)
    pauses = [poller._pause(Outcome("failed")) for _ in range(12)]
    assert pauses[:4] == [1, 2, 4, 8]
    assert pauses[-1] == 60
    assert poller._pause(Outcome("busy", wait=7 * MICRO)) == 7
    assert poller._pause(Outcome("refused")) == 300
