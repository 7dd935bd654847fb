"""The command line: an explicit list of commands, and errors as sentences with a remedy."""

from __future__ import annotations

from typing import Annotated

import typer

from portcullis import __version__
from portcullis.cli import (
    accounts,
    alerts,
    approvers,
    archive,
    audit,
    backup,
    capital,
    configuration,
    doctor,
    events,
    explain,
    flow,
    gate,
    init,
    keys,
    ledger,
    modes,
    processes,
    prove,
    rules,
    sending,
    shipping,
    slo,
    status,
    strategies,
    what_if,
)

app = typer.Typer(
    name="portcullis",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The risk gate that falls shut when anything goes wrong.",
)
app.command("init")(init.init)
app.command("up")(processes.up)
app.command("worker")(processes.worker)
app.command("ship")(shipping.ship)
app.command("send")(sending.send)
app.command("api")(processes.api)
app.command("venue")(processes.venue)
app.command("demo")(processes.demo)
app.add_typer(processes.simulators, name="simulate")
app.command("doctor")(doctor.doctor)
app.command("prove")(prove.prove)
app.command("status")(status.status)
app.command("capital")(capital.capital)
app.command("restore")(backup.restore_command)
app.add_typer(backup.app, name="backup")
app.add_typer(archive.app, name="archive")
app.add_typer(keys.app, name="key")
app.command("replay")(ledger.replay)
app.command("explain")(explain.explain)
app.command("what-if")(what_if.what_if_command)
app.command("audit")(audit.audit)
app.add_typer(configuration.app, name="config")
app.add_typer(approvers.app, name="approver")
app.add_typer(accounts.app, name="account")
app.add_typer(rules.app, name="rule")
app.add_typer(alerts.app, name="alert")
app.add_typer(slo.app, name="slo")
app.add_typer(events.app, name="event")
app.add_typer(flow.app, name="flow")
app.add_typer(ledger.app, name="ledger")
app.add_typer(modes.app, name="mode")
app.add_typer(modes.evidence, name="evidence")
app.add_typer(gate.app, name="gate")
app.add_typer(strategies.app, name="strategy")


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="show the version")
    ] = False,
) -> None:
    """The risk gate that falls shut when anything goes wrong."""
