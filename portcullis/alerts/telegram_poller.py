"""Listens to one bot: asks Telegram for news, has it carried out, and shows what was done."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping
from typing import Any

from portcullis.alerts.channels.watching import Watch
from portcullis.alerts.conversation import Action, Questions, Said, Turn, said_in, turn_of
from portcullis.alerts.message import Outcome
from portcullis.alerts.telegram import POLL_SECONDS, Bot
from portcullis.clock import Clock
from portcullis.domain.model import MICRO
from portcullis.errors import PortcullisError

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
REFUSED_PAUSE = 300.0
"""Seconds between attempts while Telegram cannot be reached, and while it refuses the token."""

Handle = Callable[[Action], str]
"""Carries an action out and says the result in a sentence; a PortcullisError is shown as well."""


class Poller:
    """A thread for one bot, from `start` to `stop`.

    - `handle` is called in that thread for everything an operator asks for.
    - `offset` is where to go on, as `keep_offset` was last given it: an update is handled, then its
      number handed out, so that a kill between the two repeats it (its key is the same then).
    - `refused` is called with who was refused what.
    - `trouble` says why nothing is heard now; empty while all is well.
    """

    def __init__(
        self,
        bot: Bot,
        operators: Mapping[int, str],
        clock: Clock,
        *,
        handle: Handle,
        offset: int = 0,
        keep_offset: Callable[[int], None],
        refused: Callable[[str], None] = lambda _: None,
        poll_seconds: int = POLL_SECONDS,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self.bot, self.operators = bot, operators
        self.trouble = ""
        self._clock, self._handle, self._refused = clock, handle, refused
        self._offset, self._keep_offset = offset, keep_offset
        self._poll_seconds, self._first_pause = poll_seconds, first_pause
        self._questions: Questions = {}
        self._failures = 0
        self._watch: Watch | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"telegram {bot.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, within: float = 5.0) -> None:
        """End the thread, also from the middle of a question that Telegram still holds."""
        self._stopping.set()
        watch = self._watch
        if watch is not None:
            watch.cut()
        self._thread.join(within)

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    # --- the thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set():
            outcome, news = self.bot.updates(
                self._offset, seconds=self._poll_seconds, watch=self._watching
            )
            if self._stopping.is_set():
                return
            if outcome.kind == "delivered" and isinstance(news, list):
                self.trouble, self._failures = "", 0
                self._take_all(news)
            else:
                self.trouble = outcome.detail or outcome.kind
                self._stopping.wait(self._pause(outcome))

    def _take_all(self, news: list[Any]) -> None:
        """A fault in what we were given to call is told, and the rest is taken after a pause."""
        try:
            for update in news:
                self._take(update)
        except Exception as problem:  # noqa: BLE001
            self.trouble = f"what was heard could not be kept: {type(problem).__name__}"
            self._stopping.wait(self._first_pause)

    def _watching(self, watch: Watch) -> None:
        self._watch = watch
        if self._stopping.is_set():
            watch.cut()

    def _pause(self, outcome: Outcome) -> float:
        """Longer each time; as long as Telegram asks; much longer where only a person can mend."""
        self._failures += 1
        longer = min(self._first_pause * 2 ** min(self._failures - 1, 10), LONGEST_PAUSE)
        if outcome.kind == "busy":
            return max(outcome.wait / MICRO, self._first_pause)
        return REFUSED_PAUSE if outcome.kind == "refused" else longer

    def _take(self, update: Any) -> None:
        """One update, whatever is in it: the next must not wait for it for ever."""
        if not isinstance(update, dict) or not isinstance(update.get("update_id"), int):
            return
        said = said_in(update)
        if said is not None:
            turn = turn_of(
                said, self.operators, self._questions, self._clock.now(), secrets.token_urlsafe(12)
            )
            self._questions = turn.questions
            self._do(turn, said)
        self._offset = update["update_id"] + 1
        self._keep_offset(self._offset)

    def _do(self, turn: Turn, said: Said) -> None:
        if turn.refused:
            self._refused(turn.refused)
        result, done = self._carried_out(turn.action)
        if said.pressed:
            self.bot.answer_button(said.pressed, turn.toast or result or turn.signed)
        if turn.edits and done:
            self._sign(turn, said, result)
        elif answer := turn.reply or result or turn.signed:
            buttons = turn.buttons if turn.reply else ()
            self.bot.say(said.chat, answer, buttons, thread=said.thread)

    def _carried_out(self, action: Action | None) -> tuple[str, bool]:
        """The result in words, and whether it was done."""
        if action is None:
            return "", True
        try:
            return self._handle(action), True
        except PortcullisError as problem:
            return f"Not done: {problem}. {problem.remedy}.", False
        except Exception as problem:  # noqa: BLE001  (whatever it is, the bot must go on listening)
            return f"Not done: {type(problem).__name__}.", False

    def _sign(self, turn: Turn, said: Said, result: str) -> None:
        """Show in the message itself what was done and by whom; its buttons go, or some of them."""
        lines = [said.text, "", f"✓ {turn.signed}", *([result] if result else [])]
        receipt = f"{said.chat}:{said.message}"
        if said.text:
            self.bot.edit(receipt, "\n".join(lines).strip(), turn.buttons)
        else:  # too old for Telegram to say what stood there
            self.bot.put_buttons(receipt, turn.buttons)
            self.bot.say(said.chat, "\n".join(lines[2:]), thread=said.thread)
