"""`portcullis slo`: objectives as data, and the files that Prometheus and Grafana read."""

from __future__ import annotations

from typing import Any

import typer

from portcullis.cli.output import Form, FormOption, console, show, table
from portcullis.slo import dashboard
from portcullis.slo.objectives import OBJECTIVES
from portcullis.slo.rules import rules

app = typer.Typer(no_args_is_help=True, help="Objectives, and what monitors are told of them.")


@app.command("list")
def list_objectives(output: Form = FormOption) -> None:
    """Every objective with its target."""
    rows = [
        {"objective": each.name, "target": each.target, "what": each.title} for each in OBJECTIVES
    ]
    show(rows, output, _draw)


def _draw(rows: list[dict[str, Any]]) -> None:
    cells = ((row["objective"], f"{row['target']:.1%}", row["what"]) for row in rows)
    console.print(table("", ("objective", "target", "what"), cells))


@app.command("rules")
def print_rules() -> None:
    """Prometheus's rules: recorded shares, burn rates and alerts."""
    print(rules(), end="")


@app.command("dashboard")
def print_dashboard() -> None:
    """Grafana's board as JSON."""
    print(dashboard.board(), end="")
