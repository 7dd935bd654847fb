"""Carrying one message to its channel, with what its service can do besides sending."""

from __future__ import annotations

from collections.abc import Callable

from portcullis.alerts import channels
from portcullis.alerts.conversation import buttons_of
from portcullis.alerts.message import Message, Outcome
from portcullis.alerts.telegram import bot_of


class Carrier:
    """Sends, changes and puts buttons below. `can_answer`: whether anybody may press one."""

    def __init__(self, can_answer: Callable[[], bool]) -> None:
        self._can_answer = can_answer

    def carry(self, address: str, message: Message) -> Outcome:
        """One attempt, in the channel's own thread. Never raises for what a service does."""
        if message.changes:
            bot = bot_of(address)
            text = f"{message.title}\n{message.body}"
            return bot.edit(message.changes, text) if bot else Outcome("refused", "cannot change")
        outcome = channels.send(address, message)
        if outcome.kind == "delivered" and message.answerable and self._can_answer():
            self._put_buttons(address, message, outcome.receipt)
        return outcome

    def _put_buttons(self, address: str, message: Message, receipt: str) -> None:
        """Without them it is delivered as well: what becomes of this is of no account."""
        buttons = buttons_of(message.alerts)
        bot = bot_of(address) if buttons and receipt else None
        if bot is not None:
            bot.put_buttons(receipt, buttons)
