"""A bot of Telegram, for what Apprise cannot do: buttons, edits, answers, and listening."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import requests

from portcullis.alerts.channels.addresses import plugin_of, scheme_of
from portcullis.alerts.channels.answers import outcome_of
from portcullis.alerts.channels.secrets import redact
from portcullis.alerts.channels.watching import Watch, http_fault, watching
from portcullis.alerts.conversation import Button
from portcullis.alerts.message import Outcome

CALL_WITHIN = 12.0
CONNECT_WITHIN = 4.0
POLL_SECONDS = 25
POLL_MARGIN = 10.0
"""Seconds: a call; its connection; how long Telegram holds a question for news, and how much later
its answer may come."""

TEXT_MAX = 4096
TOAST_MAX = 200
HEARD = ("message", "callback_query")


class Answered(NamedTuple):
    """What became of a call, and what Telegram gave for it."""

    outcome: Outcome
    result: Any = None


class Bot:
    """One bot; no call lasts longer than its bound, and none raises for what Telegram does."""

    def __init__(self, token: str, base: str, *, within: float = CALL_WITHIN) -> None:
        """`base` is the address that the token is put behind; `within` seconds bound a call."""
        self._token, self._base, self.within = token, base, within
        self.name = token.partition(":")[0]
        """The bot's number: the part of its token that is no secret."""

    def __repr__(self) -> str:
        return f"Bot({self.name})"

    def put_buttons(self, receipt: str, buttons: Sequence[Button]) -> Outcome:
        """Put buttons below a delivered message; none takes them away."""
        return self._change("editMessageReplyMarkup", receipt, reply_markup=_markup(buttons))

    def edit(self, receipt: str, text: str, buttons: Sequence[Button] = ()) -> Outcome:
        """Give a delivered message another text, and these buttons instead of those it has."""
        return self._change(
            "editMessageText",
            receipt,
            text=_cut(text, TEXT_MAX),
            reply_markup=_markup(buttons),
            disable_web_page_preview=True,
        )

    def say(
        self, chat: int, text: str, buttons: Sequence[Button] = (), *, thread: int = 0
    ) -> Outcome:
        """A message in plain text."""
        options: dict[str, Any] = {"message_thread_id": thread} if thread else {}
        if buttons:
            options["reply_markup"] = _markup(buttons)
        return self.call(
            "sendMessage",
            chat_id=chat,
            text=_cut(text, TEXT_MAX),
            disable_web_page_preview=True,
            **options,
        ).outcome

    def answer_button(self, pressed: str, words: str = "") -> Outcome:
        """Every pressed button wants an answer, else it keeps turning."""
        return self.call(
            "answerCallbackQuery", callback_query_id=pressed, text=_cut(words, TOAST_MAX)
        ).outcome

    def updates(self, offset: int, *, seconds: int = POLL_SECONDS, watch: Any = None) -> Answered:
        """News from `offset` on, as soon as there is any; an empty list after `seconds`.

        One program may ask for a bot at a time: another gets 409. `watch` is called with the watch
        of this call, by which it can be cut.
        """
        return self.call(
            "getUpdates",
            _within=seconds + POLL_MARGIN,
            _watch=watch,
            offset=offset,
            timeout=seconds,
            allowed_updates=list(HEARD),
        )

    def call(
        self, method: str, *, _within: float | None = None, _watch: Any = None, **given: Any
    ) -> Answered:
        """One call of the Bot API."""
        within = self.within if _within is None else _within
        with watching(within) as watch:
            if _watch is not None:
                _watch(watch)
            answer = self._post(method, given, within, watch)
        seen = watch.seen(accepted=answer is not None and answer.get("ok") is True)
        outcome = outcome_of(seen, "tgram")
        outcome = msgspec.structs.replace(outcome, detail=self._redacted(outcome.detail))
        return Answered(outcome, answer.get("result") if answer else None)

    def _post(
        self, method: str, given: Mapping[str, Any], within: float, watch: Watch
    ) -> dict[str, Any] | None:
        try:
            response = requests.post(
                f"{self._base}{self._token}/{method}",
                json=given,
                timeout=(min(CONNECT_WITHIN, within), within),
                allow_redirects=False,
            )
            read = response.json()
        except requests.JSONDecodeError:
            return None
        except requests.RequestException as problem:
            if not watch.faults:
                watch.faults.append(http_fault(problem))
            return None
        return read if isinstance(read, dict) else None

    def _change(self, method: str, receipt: str, **given: Any) -> Outcome:
        """Change a message; that it is so already is as good as done."""
        chat, _, number = receipt.rpartition(":")
        if not chat or not number.isdigit():
            return Outcome("refused", f"{receipt[:40]!r} names no message of Telegram")
        outcome = self.call(method, chat_id=_chat(chat), message_id=int(number), **given).outcome
        if outcome.kind == "refused" and "is not modified" in outcome.detail:
            return Outcome("delivered", receipt=receipt)
        return outcome

    def _redacted(self, words: str) -> str:
        return redact(words, f"tgram://{self._token}", f"tgram://{self.name}")


def bot_of(address: str) -> Bot | None:
    """The bot of a channel's address; None for a channel of another service. Raises UsageError."""
    plugin = plugin_of(address)
    if scheme_of(plugin) != "tgram":
        return None
    return Bot(plugin.bot_token, plugin.notify_url)


def _markup(buttons: Sequence[Button]) -> dict[str, Any]:
    row = [{"text": each.words, "callback_data": each.data} for each in buttons]
    return {"inline_keyboard": [row] if row else []}


def _chat(text: str) -> int | str:
    return int(text) if text.lstrip("-").isdigit() else text


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
