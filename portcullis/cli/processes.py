"""The commands that run something: `up`, `worker`, `api`, `venue`, `demo`."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated

import msgspec
import typer

from portcullis import staging, wiring
from portcullis.cli import context
from portcullis.cli.demonstration import account_of_events, draw
from portcullis.cli.output import Form, FormOption, console, messages, show
from portcullis.config.files import read_configuration
from portcullis.errors import UsageError

VENUES = ("simulated", "projectx")

simulators = typer.Typer(no_args_is_help=True, help="Run a venue to test against.")


@simulators.callback()
def _simulators() -> None:
    """Run a venue to test against."""


def _say(text: str) -> None:
    print(text, flush=True)


def worker() -> None:
    """Run the enforcement worker in the foreground until SIGTERM or Control-C."""
    wiring.run_worker(context.settings(), _say)


def venue() -> None:
    """Run the simulated venue with the demonstration's traders, or your own market data."""
    staging.run_venue(context.settings(), _say)


def api() -> None:
    """Run the API in the foreground until SIGTERM or Control-C: for people, programs, monitors."""
    settings = context.settings()
    wiring.prepare_home(settings)
    try:
        from portcullis.api.serving import serve
    except ImportError as error:
        raise UsageError(
            f"the API needs the operations side, which is not installed ({error.name})",
            remedy="in a checkout: make install; or pip install portcullis[operations]",
        ) from error
    serve(settings, _say)


@simulators.command("projectx")
def simulate_projectx() -> None:
    """Run a simulated ProjectX Gateway: REST, both hubs, the demonstration's market and traders."""
    staging.run_gateway(context.settings(), _say)


def up(
    venue: Annotated[
        str | None, typer.Option("--venue", help="simulated or projectx, for this run")
    ] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="with a simulated gateway of this machine")
    ] = False,
) -> None:
    """Run everything on this machine until Control-C: venue, worker, API, Prefect, flows."""
    if venue not in (None, *VENUES):
        raise UsageError(f"there is no venue {venue!r}", remedy="use one of " + ", ".join(VENUES))
    settings = context.settings()
    settings = msgspec.structs.replace(
        settings, venue=venue or settings.venue, simulate=simulated or settings.simulate
    )
    if shutil.which("circusd", path=str(sys.prefix) + "/bin") is None:
        raise UsageError(
            "`up` needs the operations side, which is not installed",
            remedy="in a checkout: make install; or pip install portcullis[operations]",
        )
    from portcullis.cli.supervisor import run_everything

    run_everything(settings, messages)


def demo(
    seed: int = typer.Option(7, "--seed", help="same seed, same events"),
    output: Form = FormOption,
) -> None:
    """Play the whole demonstration in virtual time, in a second, and show what was enforced."""
    plan = read_configuration(wiring.defaults_folder()).plan
    ledger = staging.demonstrate(seed, msgspec.structs.replace(plan, required=()))
    body = account_of_events(ledger)
    show(body, output, lambda found: console.print(draw(found)))
