"""`portcullis strategy`: the states of strategies, and moving them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import RenderableType

from portcullis.cli import context
from portcullis.cli.output import Form, FormOption, ReasonOption, console, show, table
from portcullis.domain.model import MICRO
from portcullis.domain.strategies import MOVES, loosens
from portcullis.errors import NotFound, UsageError

app = typer.Typer(no_args_is_help=True, help="Look at strategies; move them between states.")


@app.command("list")
def list_strategies(output: Form = FormOption) -> None:
    """Every strategy: its state, since when, where it trades, and what it may become."""
    show(context.status()["strategies"], output, _draw)


@app.command("move")
def move(
    strategy: str,
    state: str = typer.Argument(help="PROBATION, ACTIVE, PAUSED or RETIRED"),
    reason: str = ReasonOption,
    output: Form = FormOption,
) -> None:
    """Move a strategy; what lets it do more needs the administrator's credential."""
    rows = {row["strategy"]: row for row in context.status()["strategies"]}
    after = state.upper()
    if strategy not in rows:
        names = ", ".join(rows) or "none"
        raise NotFound(f"strategy {strategy!r} is not known here", remedy=f"known are: {names}")
    if after not in MOVES:
        raise UsageError(f"{state!r} is no state", remedy=f"give one of {', '.join(MOVES)}")
    wider = loosens(rows[strategy]["state"], after)
    answer = context.request("strategy", reason, loosens=wider, strategy=strategy, to=after)
    show(
        answer._asdict(),
        output,
        lambda body: console.print(f"{body['detail']} (event {body['position']})", markup=False),
    )


def strategies_table(rows: list[dict[str, Any]]) -> RenderableType:
    """One line per strategy."""
    columns = ("strategy", "state", "trades", "since (UTC)", "accounts", "may become")
    return table("Strategies", columns, (_cells(row) for row in rows))


def _cells(row: dict[str, Any]) -> tuple[Any, ...]:
    since = datetime.fromtimestamp(row["since"] / MICRO, UTC)
    state = row["state"]
    if state == "PROBATION":
        state += f", at most {row['probation_contracts']} an order"
    return (
        row["strategy"],
        state if row["planned"] else f"{state} (no longer configured)",
        row["trades"],
        f"{since:%Y-%m-%d %H:%M:%S}",
        ", ".join(row["accounts"]),
        ", ".join(row["may_become"]),
    )


def _draw(rows: list[dict[str, Any]]) -> None:
    if rows:
        console.print(strategies_table(rows))
    else:
        console.print("no strategy: there is no capital.yaml, or it names none", markup=False)
