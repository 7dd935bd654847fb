"""The lines of several processes in one terminal, each with its name in front."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from portcullis.clock import SystemClock
from portcullis.daily_log import DailyLog

WIDTH = 10
KEPT_LINES = 8
LINE_MAX = 2_000
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

    def __init__(self, name: str, console: Console, log: DailyLog | None = None) -> None:
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
                    with suppress(OSError):  # a full disk must not end what is still running
                        self._log.write(f"{_moment()} {text[:LINE_MAX]}".encode())
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


def _moment() -> str:
    at = SystemClock().now()
    return datetime.fromtimestamp(at / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def say(console: Console, name: str, text: str, style: str = "") -> None:
    """Each line with a name of fixed width in front; no colours where there is no terminal."""
    for each in text.splitlines():
        line = Text(f"{name:<{WIDTH}} ", style=COLOURS.get(name, ""))
        line.append("| ", style="dim")
        line.append(Text(each, style=style))
        console.print(line, soft_wrap=True)
