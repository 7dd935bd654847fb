"""`portcullis approver`: second persons, who may agree that a limit is loosened before its time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from portcullis.alerts.words import clock
from portcullis.cli import context
from portcullis.cli.output import Form, FormOption, ReasonOption, console, messages, show, table
from portcullis.domain.loosening import ENROLLED_FOR
from portcullis.store import credential

app = typer.Typer(
    no_args_is_help=True, help="Second persons, who agree to a limit being loosened at once."
)


@app.command("list")
def list_approvers(output: Form = FormOption) -> None:
    """Every approver: since when, made so by whom, and from when on an agreement counts."""
    columns = ("name", "enrolled", "by", "may agree from", "key")

    def draw(rows: list[dict[str, Any]]) -> None:
        cells = (
            [
                row["name"],
                clock(row["enrolled_at"]),
                row["enrolled_by"],
                clock(row["enrolled_at"] + ENROLLED_FOR),
                row["key"],
            ]
            for row in rows
        )
        console.print(table("", columns, cells) if rows else "no approver: what is looser waits")

    show(context.status()["approvers"], output, draw)


@app.command("make")
def make(
    path: Path = typer.Argument(help="where the key is to lie; not beside the administrator's"),
) -> None:
    """Make an approver's key; prints its public half, which `approver enrol` takes."""
    public = credential.make(path)
    messages.print(f"{path}: keep it where only the approver reads it", markup=False)
    print(public)


@app.command("enrol")
def enrol(
    name: str,
    key: str = typer.Argument(help="the public half, as `approver make` prints it"),
    reason: str = ReasonOption,
    output: Form = FormOption,
) -> None:
    """Make somebody an approver, a day from now. Needs the administrator's credential."""
    answer = context.request("enrol", reason, name=name, key=key)
    show(answer._asdict(), output, lambda body: console.print(body["detail"], markup=False))


@app.command("dismiss")
def dismiss(name: str, reason: str = ReasonOption, output: Form = FormOption) -> None:
    """Let somebody be an approver no more. Tightens: needs no credential."""
    answer = context.request("dismiss", reason, name=name)
    show(answer._asdict(), output, lambda body: console.print(body["detail"], markup=False))
