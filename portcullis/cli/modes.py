"""`portcullis mode` and `portcullis evidence`: what holds the gate, and who raises it."""

from __future__ import annotations

from typing import Any

import typer

from portcullis.cli import context, evidence_report
from portcullis.cli.output import (
    Form,
    FormOption,
    ReasonOption,
    YesOption,
    confirm,
    console,
    show,
    table,
)
from portcullis.cli.status import why_shut

app = typer.Typer(no_args_is_help=True, help="Show the mode; shut the gate; raise it again.")
evidence = typer.Typer(no_args_is_help=True, help="What holds the gate open.")


@app.command("show")
def show_mode(output: Form = FormOption) -> None:
    """The mode, why, and what evidence is lacking."""
    found = context.status()
    body = {key: found[key] for key in ("mode", "gate_open", "why", "shut", "lacking", "live")}

    def text(shown: dict[str, Any]) -> None:
        state, why = ("open", shown["why"]) if shown["gate_open"] else ("shut", why_shut(shown))
        console.print(f"{shown['mode']}: the gate is {state} ({why})", markup=False)
        for each in found["lacking"]:
            console.print(f"  lacking {each}", markup=False)

    show(body, output, text)


@app.command("observe")
def observe(reason: str = ReasonOption, output: Form = FormOption) -> None:
    """Shut the gate; protective enforcement stays armed. Tightens: needs no credential."""
    answer = context.request("observe", reason)
    show(answer._asdict(), output, lambda body: console.print(body["detail"], markup=False))


@app.command("release")
def release(reason: str = ReasonOption, yes: bool = YesOption, output: Form = FormOption) -> None:
    """Raise the gate. Needs the administrator's credential; refused while evidence is missing."""
    confirm("release", "This opens the gate", yes)
    answer = context.request("open", reason)
    show(answer._asdict(), output, lambda body: console.print(body["detail"], markup=False))


@evidence.command("list")
def list_evidence(output: Form = FormOption) -> None:
    """Every verdict: what it says, how long it still holds, and the run behind it."""
    found = context.status()["evidence"]
    columns = ("name", "required", "state", "expires_in", "run_id", "summary")
    show(
        found,
        output,
        lambda rows: console.print(
            table("", columns, ([row[column] for column in columns] for row in rows))
        ),
    )


@evidence.command("show")
def show_evidence(
    name: str = typer.Argument(help="the verdict, as `evidence list` names it"),
    output: Form = FormOption,
) -> None:
    """What one verdict is made of: its checks, what failed with its rows, and what to do next."""
    found = evidence_report.read(context.settings(), name)
    show(found, output, lambda body: console.print(evidence_report.draw(body)))
