"""`portcullis event`: what the ledger says."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
import typer

from portcullis.cli import context
from portcullis.cli.brief import brief
from portcullis.cli.output import Form, FormOption, console, show, table
from portcullis.cli.times import instant
from portcullis.config.source import nearest
from portcullis.domain.events import KINDS
from portcullis.errors import UsageError
from portcullis.ports import StoredEvent
from portcullis.store.export import as_plain, base_line, checkpoint_line, evidence_of, line_of
from portcullis.store.note import position_of

app = typer.Typer(no_args_is_help=True, help="List, follow and export the ledger's events.")
POLL_SECONDS = 0.3
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOISE = frozenset(("quote", "verdict_recorded", "time_passed"))


def _known_kind(kind: str | None) -> str | None:
    if kind is not None and kind not in KINDS:
        close = nearest(kind, tuple(sorted(KINDS)))
        hint = f"did you mean {close}? " if close else ""
        raise UsageError(
            f"--kind: there are no events of the kind {kind!r}",
            remedy=f"{hint}`event list --all` shows what there is",
        )
    return kind


AccountOption = typer.Option(None, "--account", help="only this account's")
KindOption = typer.Option(
    None, "--kind", help="only this kind, such as breach_found", callback=_known_kind
)
SinceOption = typer.Option(None, "--since", help="from this UTC time on, ISO form")
AllOption = typer.Option(False, "--all", help="quotes, verdicts and timers too")
LimitOption = typer.Option(50, "--limit", min=1, max=100_000, help="the newest so many")


@app.command("list")
def list_events(
    account: str = AccountOption,
    kind: str = KindOption,
    since: str = SinceOption,
    everything: bool = AllOption,
    limit: int = LimitOption,
    output: Form = FormOption,
) -> None:
    """The newest events, oldest first."""
    with context.open_ledger() as reader:
        stream = f"account/{account}" if account else None
        rows = [row for row in reader.read(stream=stream) if _wanted(row, kind, since, everything)][
            -limit:
        ]
    show(
        [as_plain(row) for row in rows],
        output,
        lambda found: console.print(
            table(
                "",
                ("event", "time", "stream", "kind", "what"),
                (
                    (r["position"], r["at"][11:23], r["stream"], r["kind"], brief(r["payload"]))
                    for r in found
                ),
            )
        ),
    )


@app.command("tail")
def tail(
    account: str = AccountOption,
    kind: str = KindOption,
    everything: bool = AllOption,
    output: Form = FormOption,
) -> None:
    """Follow the ledger until Control-C."""
    with context.open_ledger() as reader:
        after = reader.head().position
        stream = f"account/{account}" if account else None
        while True:
            for row in reader.read(after=after, stream=stream):
                after = max(after, row.position)
                if _wanted(row, kind, None, everything):
                    _print_line(as_plain(row), output)
            time.sleep(POLL_SECONDS)


@app.command("export")
def export(
    account: str = AccountOption,
    kind: str = KindOption,
    since: str = SinceOption,
    evidence: bool = typer.Option(
        False, "--evidence", help="all of them as stored, with checkpoints: for portcullis-verify"
    ),
) -> None:
    """Every event as a line of JSON on standard output."""
    if evidence:
        if account or kind or since:
            raise UsageError("evidence is of the whole ledger", remedy="leave the filters out")
        _evidence()
        return
    with context.open_ledger() as reader:
        stream, base = f"account/{account}" if account else None, reader.base()
        for row in reader.read(after=base.position if base else 0, stream=stream):
            if _wanted(row, kind, since, everything=True):
                sys.stdout.buffer.write(line_of(row))
        sys.stdout.flush()


def _evidence() -> None:
    """Events as stored, each kept checkpoint behind the events it states, and the signed head."""
    with context.open_ledger() as reader:
        last, notes = reader.checkpoint(), reader.checkpoints()
        end, base, row_of_base = position_of(last), reader.base(), reader.base_row()
        if base is not None and row_of_base is not None:
            sys.stdout.buffer.write(base_line(base, row_of_base.note))
        for row in reader.read(after=base.position if base else 0, through=end):
            sys.stdout.buffer.write(evidence_of(row))
            if row.position in notes and row.position != end:
                sys.stdout.buffer.write(checkpoint_line(notes[row.position]))
    sys.stdout.buffer.write(checkpoint_line(last))
    sys.stdout.flush()


def _wanted(row: StoredEvent, kind: str | None, since: str | None, everything: bool) -> bool:
    if kind is not None:
        return row.kind == kind and _late_enough(row, since)
    return (everything or row.kind not in NOISE) and _late_enough(row, since)


def _late_enough(row: StoredEvent, since: str | None) -> bool:
    return since is None or row.at >= instant(since, "--since")


def _print_line(row: dict[str, Any], output: Form) -> None:
    if output is Form.JSON:
        sys.stdout.buffer.write(msgspec.json.encode(row) + b"\n")
        sys.stdout.flush()
    else:
        console.print(
            f"{row['position']:>8} {row['at'][11:23]} {row['stream']:<20} "
            f"{row['kind']:<18} {brief(row['payload'])}",
            markup=False,
            highlight=False,
        )
