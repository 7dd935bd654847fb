"""`portcullis capital`: pools, what each account was given of them, and whether the books agree."""

from __future__ import annotations

from typing import Any

import typer
from rich.console import RenderableType

from portcullis.cli import context
from portcullis.cli.output import Form, FormOption, console, show, table

SHOWN = ("pools", "allocations", "capital_faults")


def capital(output: Form = FormOption) -> None:
    """Pools with their accounts, results and what is left; ends with 1 when books disagree."""
    found = context.status()
    body = {"live": found["live"], **{key: found[key] for key in SHOWN}}
    show(body, output, _draw)
    if body["capital_faults"]:
        raise typer.Exit(1)


def pools_table(rows: list[dict[str, Any]]) -> RenderableType:
    """One line per pool."""
    columns = ("pool", "capital", "allocated", "left", "brought", "result", "moved", "total")
    return table("Pools", columns, ([row[column] for column in columns] for row in rows))


def _draw(body: dict[str, Any]) -> None:
    if not body["pools"]:
        console.print("no pool: there is no capital.yaml, or it names none", markup=False)
        return
    console.print(pools_table(body["pools"]))
    columns = ("pool", "account", "allocated", "result", "left", "booked")
    rows = ([row[column] for column in columns] for row in body["allocations"])
    console.print()
    console.print(table("Allocations", columns, rows))
    for fault in body["capital_faults"]:
        text = "{check} of {about}: {expected} expected, {found} found".format(**fault)
        console.print(text, markup=False, style="bold red")
