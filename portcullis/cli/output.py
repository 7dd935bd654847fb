"""How answers leave: tables for people on a terminal, plain JSON for programs; never both."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

import msgspec
import typer
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

from portcullis.alerts.readable import seen
from portcullis.errors import PortcullisError, UsageError


class Form(StrEnum):
    """The forms of an answer."""

    TEXT = "text"
    JSON = "json"


class Declined(PortcullisError):
    """A person said no, or what was asked conflicts with what is."""

    exit_code = 6


class WaitedTooLong(PortcullisError):
    """The answer did not come in time; the request stands."""

    exit_code = 7


class WorkerAway(PortcullisError):
    """The worker cannot be reached."""

    exit_code = 3


class NotPermitted(PortcullisError):
    """The credential is missing or wrong."""

    exit_code = 4


FormOption = typer.Option(Form.TEXT, "--output", "-o", help="text for people, json for programs")
ReasonOption = typer.Option(..., "--reason", help="why; kept in the ledger for ever")
YesOption = typer.Option(False, "--yes", help="do not ask; needed where nobody can answer")

PIPED = 160
"""Columns of what goes into a file or a pipe, where nobody sees a width."""


def _width() -> int | None:
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPED


class _Plain(Console):
    """Reasons, names and a venue's words go to a terminal, which must not take them for orders."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        for each in super().render(renderable, options):
            yield each if each.control else Segment(seen(each.text), each.style)


console = _Plain(soft_wrap=False, width=_width())
messages = _Plain(stderr=True)


def show(body: Any, form: Form, text: Callable[[Any], None]) -> None:
    """Print data: JSON by plain print, otherwise as `text` draws it."""
    if form is Form.JSON:
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(body), indent=2) + b"\n")
        sys.stdout.flush()
    else:
        text(body)


WHOLE = frozenset(
    (
        "code",
        "rule",
        "account",
        "event",
        "time",
        "kind",
        "took",
        "at",
        "command",
        "outcome",
        "name",
        "state",
        "realized",
        "open",
        "equity",
        "pool",
        "strategy",
        "row",
        "row id",
    )
)
"""Columns that are never broken over lines."""


READABLE = 24
"""Characters under which a column of prose is no longer read with ease."""


class Listing(Table):
    """A table where the terminal is wide enough, else each row as a short list of its own."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        gaps = 2 * (len(self.columns) - 1)
        needed = sum(self._needed(column, console, options) for column in self.columns) + gaps
        if needed <= options.max_width:
            yield from super().__rich_console__(console, options)
        else:
            if self.title:
                yield Text(str(self.title), style="bold")
            yield self._stacked()

    @staticmethod
    def _needed(column: Column, console: Console, options: ConsoleOptions) -> int:
        cells = (column.header, *column.cells)
        widest = max(Measurement.get(console, options, cell).maximum for cell in cells)
        return widest if column.no_wrap else min(widest, READABLE)

    def _stacked(self) -> Table:
        drawn = Table.grid(padding=(0, 2))
        drawn.add_column(no_wrap=True, style="dim")
        drawn.add_column(overflow="fold")
        headers = [column.header for column in self.columns]
        for cells in zip(*(column.cells for column in self.columns), strict=True):
            for header, cell in zip(headers, cells, strict=True):
                if str(cell) not in ("", "-"):
                    drawn.add_row(header, cell)
            drawn.add_row()
        return drawn


def table(title: str, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Listing:
    """A plain listing; cells are shown as they are, without markup."""
    drawn = Listing(
        title=title or None,
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="bold",
        title_style="bold",
    )
    for column in columns:
        drawn.add_column(column, overflow="fold", no_wrap=column in WHOLE)
    for row in rows:
        drawn.add_row(*(_cell(value) for value in row))
    return drawn


def _cell(value: Any) -> str:
    from rich.markup import escape

    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escape(str(value))


def confirm(name: str, what: str, yes: bool) -> None:
    """Have a person type the name of what a dangerous verb will hit; programs must say --yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            f"{what}: a confirmation is needed and nobody can answer here", remedy="add --yes"
        )
    if typer.prompt(f"{what}. Type {name} to go on", err=True) != name:
        raise Declined("not confirmed; nothing was done", remedy="type the name exactly")
