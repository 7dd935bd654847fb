"""`portcullis flow`: what Prefect schedules, run by hand with typed parameters."""

from __future__ import annotations

from typing import Any

import typer

from portcullis.cli import context
from portcullis.cli.flow_runs import Deployment, Run, Scheduler, typed
from portcullis.cli.output import Form, FormOption, console, messages, show, table

app = typer.Typer(no_args_is_help=True, help="List flows, run them, answer one that asks.")

PAUSED_EXIT = 7
"""As for any answer that is not there yet: the run stands, and waits for a person."""

ParameterOption = typer.Option([], "--param", "-p", help="NAME=VALUE; again for each")


@app.command("list")
def list_flows(
    name: str | None = typer.Argument(None, help="one flow, with each of its parameters"),
    output: Form = FormOption,
) -> None:
    """Every flow that can be run, or the parameters of one."""
    scheduler = Scheduler(context.settings())
    if name is None:
        show([_row(each) for each in scheduler.deployments()], output, _draw)
    else:
        show(_row(scheduler.deployment(name)), output, _draw_one)


@app.command("run")
def run_flow(
    name: str,
    param: list[str] = ParameterOption,
    wait: float = typer.Option(3_600.0, "--wait", min=0, help="seconds; 0: do not wait"),
    output: Form = FormOption,
) -> None:
    """Run a flow now, wait, and end with 0 when it completed, 1 when not, 7 when it is not over."""
    scheduler = Scheduler(context.settings())
    deployment = scheduler.deployment(name)
    run = scheduler.start(deployment, typed(deployment, param))
    messages.print(f"{run.name}: {run.page}", markup=False)
    _end(scheduler.wait(run, wait) if wait else run, output)


@app.command("answer")
def answer(
    run_id: str = typer.Argument(help="the run that waits, as `flow run` printed it"),
    param: list[str] = ParameterOption,
    wait: float = typer.Option(3_600.0, "--wait", min=0, help="seconds; 0: do not wait"),
    output: Form = FormOption,
) -> None:
    """Give a run that waits for a person what its form asks for, and wait for its end."""
    scheduler = Scheduler(context.settings())
    run = scheduler.run(run_id)
    fields = dict(word.partition("=")[::2] for word in param)
    scheduler.answer(run.id, fields)
    _end(scheduler.wait(run, wait, answered=True) if wait else run, output)


def _end(run: Run, output: Form) -> None:
    show(run._asdict(), output, _tell)
    if run.type == "COMPLETED":
        return
    raise typer.Exit(1 if run.is_final else PAUSED_EXIT)


def _row(deployment: Deployment) -> dict[str, Any]:
    return {
        "name": deployment.name,
        "about": deployment.description,
        "pool": deployment.pool,
        "parameters": [
            {
                "name": each.name,
                "kind": " or ".join(each.kinds),
                "default": each.default,
                "about": each.description,
            }
            for each in deployment.parameters
        ],
    }


def _draw(rows: list[dict[str, Any]]) -> None:
    cells = (
        (r["name"], ", ".join(each["name"] for each in r["parameters"]), r["about"]) for r in rows
    )
    console.print(table("Flows", ("name", "parameters", "about"), cells))


def _draw_one(row: dict[str, Any]) -> None:
    console.print(f"{row['name']}: {row['about']}", markup=False)
    if row["parameters"]:
        columns = ("name", "kind", "default", "about")
        console.print(table("", columns, ([r[c] for c in columns] for r in row["parameters"])))


def _tell(body: dict[str, Any]) -> None:
    console.print(f"{body['name']}: {body['state']}", markup=False)
    if body["message"]:
        console.print(body["message"], markup=False)
    if body["type"] == "PAUSED":
        console.print(
            f"it waits for a person: {body['page']}, or `portcullis flow answer {body['id']}`",
            markup=False,
        )
