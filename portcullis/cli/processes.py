"""The commands that run something: `up`, `worker`, `venue`, `demo`."""

from __future__ import annotations

import shutil
import sys

import msgspec
import typer

from portcullis import staging, wiring
from portcullis.cli import context
from portcullis.cli.demonstration import account_of_events, draw
from portcullis.cli.output import Form, FormOption, console, messages, show
from portcullis.config.files import read_configuration
from portcullis.errors import UsageError


def _say(text: str) -> None:
    print(text, flush=True)


def worker() -> None:
    """Run the enforcement worker in the foreground until SIGTERM or Control-C."""
    wiring.run_worker(context.settings(), _say)


def venue() -> None:
    """Run the simulated venue with the demonstration's traders, or your own market data."""
    staging.run_venue(context.settings(), _say)


def up() -> None:
    """Run everything on this machine until Control-C: venue, worker, Prefect, flows."""
    if shutil.which("circusd", path=str(sys.prefix) + "/bin") is None:
        raise UsageError(
            "`up` needs the operations side, which is not installed",
            remedy="in a checkout: make install; or pip install portcullis[operations]",
        )
    from portcullis.cli.supervisor import run_everything

    run_everything(context.settings(), messages)


def demo(
    seed: int = typer.Option(7, "--seed", help="same seed, same events"),
    output: Form = FormOption,
) -> None:
    """Play the whole demonstration in virtual time, in a second, and show what was enforced."""
    plan = read_configuration(wiring.defaults_folder()).plan
    ledger = staging.demonstrate(seed, msgspec.structs.replace(plan, required=()))
    body = account_of_events(ledger)
    show(body, output, lambda found: console.print(draw(found)))
