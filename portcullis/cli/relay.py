"""The lines of several processes in one terminal, each with its name in front."""

from __future__ import annotations

import logging
from collections import deque
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

WIDTH = 10
KEPT_LINES = 8
LINE_MAX = 2_000
LOG_BYTES = 5_000_000
COLOURS = {
    "api": "yellow",
    "venue": "magenta",
    "worker": "green",
    "prefect": "blue",
    "operations": "cyan",
    "gate": "bold",
    "up": "bold",
}


TRACEBACK = "Traceback (most recent"
FRAMES = (" ", TRACEBACK, "The above", "During handling", "[SQL:", "[parameters:", "(Background on")


class Relay:
    """Prints whole lines of one process; a stream of circus, called with what was read.

    Of a traceback only the errors are shown, which is what a person can read; `log` gets it whole.
    """

    def __init__(self, name: str, console: Console, log: logging.Handler | None = None) -> None:
        self.name = name
        self._log = log
        self._in_trace = False
        self.only_logs = False
        """Whether the terminal is spared the lines; the log gets them still."""
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
                if self._log is not None:
                    self._log.handle(logging.makeLogRecord({"msg": text[:LINE_MAX]}))
                if not self._is_frame(text) and not self.only_logs:
                    say(self._console, self.name, text[:LINE_MAX])

    def _is_frame(self, text: str) -> bool:
        """Whether a line belongs to a traceback and is not the error at its end."""
        self._in_trace = text.startswith(TRACEBACK) or (
            self._in_trace and (text.startswith(FRAMES) or _names_an_error(text))
        )
        return self._in_trace and text.startswith(FRAMES)


def _names_an_error(text: str) -> bool:
    """Whether a line is an error's own: its dotted name, a colon, what it says."""
    return text.partition(":")[0].replace(".", "").replace("_", "").isalnum()


def log_to(folder: Path, name: str) -> logging.Handler:
    """A log of the lines of one process, `<folder>/<name>.log`, with the file before it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handler = RotatingFileHandler(folder / f"{name}.log", maxBytes=LOG_BYTES, backupCount=1)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    return handler


def say(console: Console, name: str, text: str, style: str = "") -> None:
    """Each line with a name of fixed width in front; no colours where there is no terminal."""
    for each in text.splitlines():
        line = Text(f"{name:<{WIDTH}} ", style=COLOURS.get(name, ""))
        line.append("| ", style="dim")
        line.append(Text(each, style=style))
        console.print(line, soft_wrap=True)
