"""The lines of several processes in one terminal, each with its name in front."""

from __future__ import annotations

from collections import deque
from typing import Any

from rich.console import Console
from rich.text import Text

WIDTH = 10
KEPT_LINES = 8
LINE_MAX = 2_000
COLOURS = {
    "venue": "magenta",
    "worker": "green",
    "prefect": "blue",
    "operations": "cyan",
    "gate": "bold",
    "up": "bold",
}


class Relay:
    """Prints whole lines of one process; a stream of circus, called with what was read."""

    def __init__(self, name: str, console: Console) -> None:
        self.name = name
        self.last: deque[str] = deque(maxlen=KEPT_LINES)
        self._console = console
        self._rest = b""

    def __call__(self, data: dict[str, Any]) -> None:
        *lines, self._rest = (self._rest + data["data"]).split(b"\n")
        if len(self._rest) > LINE_MAX:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            text = line.decode(errors="replace").rstrip()
            if text:
                self.last.append(text)
                say(self._console, self.name, text[:LINE_MAX])


def say(console: Console, name: str, text: str, style: str = "") -> None:
    """One line with a name of fixed width in front; no colours where there is no terminal."""
    line = Text(f"{name:<{WIDTH}} ", style=COLOURS.get(name, ""))
    line.append("| ", style="dim")
    line.append(Text(text, style=style))
    console.print(line, soft_wrap=True)
