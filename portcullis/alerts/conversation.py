"""What somebody said to a bot, and what is to be done about it. Pure.

Whoever is not named as an operator is refused, in groups as well: what counts is who says it, never
where. Nothing here releases, raises or loosens: there is no such verb.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import msgspec

from portcullis.domain.model import MICRO

SILENCE_FOR = 3600 * MICRO
CONFIRM_WITHIN = 60 * MICRO
"""How long a question whether to lock can be answered. In microseconds."""

DATA_MAX = 64
"""Bytes of what a button carries back: Telegram's limit."""

ACCOUNT_MAX = 64
QUESTIONS_MAX = 20
"""Open questions at once; the oldest goes first."""

HELP = (
    "/status - mode, accounts, what is wrong\n"
    "/alerts - what is open\n"
    "/acknowledge ALERT\n"
    "/silence ALERT - for an hour\n"
    "/lock ACCOUNT - asks once more"
)
EXPIRED = "This question is no longer open. Ask again with /lock ACCOUNT."
STRANGER = "You may not do this: your Telegram user is none of the operators."

Verb = Literal["acknowledge", "silence", "status", "alerts", "lock"]
_ALERT = re.compile(r"[A-Za-z0-9_.:-]{1,40}")


class Button(NamedTuple):
    """What it says, and what Telegram gives back when it is pressed."""

    words: str
    data: str


Buttons = Sequence[Button]


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator wants. `key` is the same whenever the same words arrive again.

    `alerts` for acknowledge and silence, `for_us` (microseconds) for silence, `account` for lock.
    """

    verb: Verb
    by: str
    user: int
    key: str
    alerts: tuple[str, ...] = ()
    account: str = ""
    for_us: int = 0


class Question(msgspec.Struct, frozen=True):
    """Whether to lock an account: who was asked, and until when (microseconds) it is open."""

    account: str
    user: int
    until: int


Questions = Mapping[str, Question]
"""By the one-time word that the buttons carry."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A message or a pressed button, reduced to what matters."""

    update: int
    user: int
    is_bot: bool
    chat: int
    thread: int = 0
    message: int = 0
    text: str = ""
    pressed: str = ""
    data: str = ""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done.

    `action` is to be carried out first, and its result shown. `reply` is a new message with
    `buttons`; `toast` answers a pressed button; with `edits`, the message that has the button gets
    the result, signed by `signed`, and keeps only `buttons`; without, `signed` is the answer where
    the action has none. `refused` says who was refused what.
    """

    questions: Questions
    action: Action | None = None
    reply: str = ""
    toast: str = ""
    buttons: tuple[Button, ...] = ()
    edits: bool = False
    signed: str = ""
    refused: str = ""


def buttons_of(alerts: Sequence[str]) -> tuple[Button, ...]:
    """[Acknowledge] [Silence 1 h] for a message that tells of these; none where they do not fit."""
    names = ",".join(alerts)
    if not alerts or len(names.encode()) + 2 > DATA_MAX or not all(map(_ALERT.fullmatch, alerts)):
        return ()
    return (Button("Acknowledge", f"a:{names}"), Button("Silence 1 h", f"s:{names}"))


def said_in(update: Mapping[str, Any]) -> Said | None:
    """The part of an update of Telegram that matters here; None where there is none."""
    number, query = update.get("update_id"), update.get("callback_query")
    pressed = isinstance(query, dict)
    outer = query if isinstance(query, dict) else update.get("message")
    if not isinstance(outer, dict) or not isinstance(number, int):
        return None
    user, message = outer.get("from"), outer.get("message") if pressed else outer
    if not isinstance(user, dict) or not isinstance(message, dict):
        return None
    chat = message.get("chat")
    numbers = (user.get("id"), chat.get("id") if isinstance(chat, dict) else None)
    if not all(isinstance(one, int) for one in numbers):
        return None
    return Said(
        update=number,
        user=int(user["id"]),
        is_bot=bool(user.get("is_bot")),
        chat=int(message["chat"]["id"]),
        thread=_number(message.get("message_thread_id")) if message.get("is_topic_message") else 0,
        message=_number(message.get("message_id")),
        text=_text(message.get("text")),
        pressed=_text(outer.get("id")) if pressed else "",
        data=_text(outer.get("data")) if pressed else "",
    )


def turn_of(
    said: Said, operators: Mapping[int, str], questions: Questions, now: int, fresh: str
) -> Turn:
    """What is to be done about it at `now` (microseconds).

    `operators` is the allow-list: Telegram's number of a user and what we call that person. `fresh`
    is a word that nobody can guess and that was never used; a question takes it as its name.
    """
    open_now = {name: each for name, each in questions.items() if each.until > now}
    name = operators.get(said.user)
    if name is None or said.is_bot:
        return _refused(said, open_now)
    if said.pressed:
        return _pressed(said, name, open_now, now)
    return _commanded(said, name, open_now, now, fresh)


def _refused(said: Said, questions: Questions) -> Turn:
    """A stranger learns so from a button, which must be answered; their words get no answer."""
    if not said.pressed and not said.text.startswith("/"):
        return Turn(questions=questions)
    what = f"button {said.data[:DATA_MAX]!r}" if said.pressed else repr(said.text[:DATA_MAX])
    return Turn(
        questions=questions,
        toast=STRANGER if said.pressed else "",
        refused=f"Telegram user {said.user} in chat {said.chat}: {what}",
    )


def _pressed(said: Said, name: str, questions: Questions, now: int) -> Turn:
    kind, _, rest = said.data.partition(":")
    alerts = tuple(rest.split(","))
    if kind == "a" and all(map(_ALERT.fullmatch, alerts)):
        action = _action("acknowledge", said, name, alerts=alerts)
        return Turn(
            questions=questions,
            action=action,
            edits=True,
            signed=_signed("acknowledged", name, now),
        )
    if kind == "s" and all(map(_ALERT.fullmatch, alerts)):
        action = _action("silence", said, name, alerts=alerts, for_us=SILENCE_FOR)
        return Turn(
            questions=questions,
            action=action,
            edits=True,
            signed=_signed("silenced for 1 h", name, now),
            buttons=buttons_of(alerts)[:1],
        )
    if kind in {"l", "n"}:
        return _answered(said, name, kind == "l", rest, questions, now)
    return Turn(questions=questions, toast="This button is not known here any more.")


def _answered(
    said: Said, name: str, is_yes: bool, word: str, questions: Questions, now: int
) -> Turn:
    """The answer to a question whether to lock: once, in time, by who was asked."""
    question = questions.get(word)
    if question is None:
        return Turn(questions=questions, toast=EXPIRED)
    if question.user != said.user:
        return Turn(questions=questions, toast="Only who asked can answer this.")
    left = {each: one for each, one in questions.items() if each != word}
    if not is_yes:
        return Turn(questions=left, edits=True, signed=_signed("left as it is", name, now))
    action = _action("lock", said, name, account=question.account)
    return Turn(
        questions=left,
        action=action,
        edits=True,
        signed=_signed(f"lock of {question.account} asked for", name, now),
    )


def _commanded(said: Said, name: str, questions: Questions, now: int, fresh: str) -> Turn:
    word, _, rest = said.text.strip().partition(" ")
    rest = " ".join(rest.split())
    if not word.startswith("/"):
        return Turn(questions=questions)
    command = word[1:].partition("@")[0].lower()
    if command in {"status", "alerts"}:
        return Turn(questions=questions, action=_action(command, said, name))  # type: ignore[arg-type]
    if command in {"acknowledge", "ack", "silence"}:
        verb: Verb = "silence" if command == "silence" else "acknowledge"
        if not _ALERT.fullmatch(rest):
            return Turn(questions=questions, reply=f"Which alert? /{command} ALERT; see /alerts")
        for_us = SILENCE_FOR if verb == "silence" else 0
        action = _action(verb, said, name, alerts=(rest,), for_us=for_us)
        did = "silenced for 1 h" if for_us else "acknowledged"
        return Turn(questions=questions, action=action, signed=_signed(f"{rest} {did}", name, now))
    if command == "lock":
        return _asked(said, rest, questions, now, fresh)
    return Turn(questions=questions, reply=HELP)


def _asked(said: Said, account: str, questions: Questions, now: int, fresh: str) -> Turn:
    """A lock is asked about once more: a word typed by mistake must not stop an account."""
    if not account or len(account) > ACCOUNT_MAX or not account.isprintable():
        return Turn(questions=questions, reply="Which account? /lock ACCOUNT")
    newest = list(questions.items())[-(QUESTIONS_MAX - 1) :]
    question = Question(account, said.user, now + CONFIRM_WITHIN)
    return Turn(
        questions={**dict(newest), fresh: question},
        reply=f"Lock {account}? It will not be allowed to add risk. Open for 60 s.",
        buttons=(Button(f"Lock {account}"[:40], f"l:{fresh}"), Button("No", f"n:{fresh}")),
    )


def _action(verb: Verb, said: Said, name: str, **what: Any) -> Action:
    return Action(
        verb=verb, by=name, user=said.user, key=f"telegram-{said.chat}-{said.update}", **what
    )


def _signed(what: str, name: str, now: int) -> str:
    at = datetime.fromtimestamp(now / MICRO, UTC)
    return f"{what} by {name}, {at:%H:%M} UTC"


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
