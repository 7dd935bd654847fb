"""One line whenever the gate opens or falls."""

from __future__ import annotations

import asyncio
from typing import Any

from rich.console import Console

from portcullis import gate_client
from portcullis.cli.relay import say
from portcullis.config.settings import Settings
from portcullis.store.opening import is_own

EVERY_SECONDS = 0.5
ANSWER_SECONDS = 2.0
LEFT_SHUT = "as it was left before the start; `portcullis status` says by whom and why"


class GateWatch:
    """Asks the gate for its health and tells what changed."""

    def __init__(self, settings: Settings, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._known: str | None = None

    async def run(self) -> None:
        """For ever; one request at a time, each bounded."""
        while True:
            self.note(await asyncio.to_thread(ask, self._settings))
            await asyncio.sleep(EVERY_SECONDS)

    def note(self, health: dict[str, Any] | None) -> None:
        """Print a line when the state is another than before."""
        state = state_of(health)
        if state == self._known or (state == "AWAY" and self._known is None):
            return
        left = self._known == "STARTING" and state != "OPEN"
        self._known = state
        if health is None:
            say(self._console, "gate", "AWAY: the worker does not answer", "bold red")
        elif state == "OPEN":
            say(self._console, "gate", f"OPEN: {health['why']}", "bold green")
        else:
            style = "yellow" if state == "STARTING" else "bold red"
            why = LEFT_SHUT if left and not health["lacking"] else health["why"]
            say(self._console, "gate", f"SHUT, {state}: {why}", style)
            for each in health["lacking"]:
                say(self._console, "gate", f"  lacking {each}", style)


def state_of(health: dict[str, Any] | None) -> str:
    """OPEN, AWAY, or the mode that keeps it shut."""
    if health is None:
        return "AWAY"
    is_open = health["mode"] == "ACTIVE" and not health["lacking"]
    return "OPEN" if is_open else str(health["mode"])


def ask(settings: Settings) -> dict[str, Any] | None:
    """The gate's health; None when nobody answers."""
    try:
        return gate_client.health(settings, ANSWER_SECONDS, is_own)
    except gate_client.NoAnswer:
        return None
