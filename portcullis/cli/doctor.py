"""`portcullis doctor`: is everything as it must be?"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import typer

from portcullis.api.keys import KeyFile, standing
from portcullis.cli import context
from portcullis.cli.output import Form, FormOption, console, show, table
from portcullis.clock import SystemClock
from portcullis.config.collector import collector
from portcullis.config.settings import Settings
from portcullis.doctor import access, alerting, gateway, machine, services
from portcullis.doctor.row import Row, failed
from portcullis.errors import PortcullisError
from portcullis.venues.projectx.observed import ObservedGateway
from portcullis.wiring import configured_plan, make_venue


def doctor(
    offline: bool = typer.Option(False, "--offline", help="look at this machine only"),
    output: Form = FormOption,
) -> None:
    """Look at machine, configuration and venue. Every row ok, warn, fail or skip, with a remedy.

    Sends no order and changes nothing. Ends with 1 when a row fails.
    """
    settings = context.settings()
    found = machine.examine(settings)
    now = SystemClock().now()
    found += services.examine(settings, now)
    found.append(alerting.examine(settings))
    found += access.examine(
        settings,
        lambda: _keys(settings, now),
        lambda: collector(settings),
        now,
    )
    found += [] if offline else _venue(settings)
    failures = sum(row.state == "fail" for row in found)
    body = {"rows": [msgspec.to_builtins(row) for row in found], "failures": failures}
    show(body, output, _draw)
    if failures:
        raise typer.Exit(1)


def _keys(settings: Settings, now: int) -> access.Keys:
    file = KeyFile(settings.home_path)
    found = standing(file.all(), now)
    return access.Keys(file.path, settings.request_log_path, found.valid, found.ending, found.ended)


def _venue(settings: Settings) -> list[Row]:
    if settings.venue != "projectx":
        return [Row("venue", "skip", "the simulated venue comes with `portcullis up`")]
    try:
        # Looking needs nothing that could reach an order.
        venue = make_venue(msgspec.structs.replace(settings, role="observe"))
        plan = configured_plan(settings)
    except PortcullisError as error:
        return [failed("venue", error)]
    assert isinstance(venue, ObservedGateway)
    return asyncio.run(gateway.examine(settings, venue, plan, SystemClock()))


def _draw(body: dict[str, Any]) -> None:
    rows = [(row["state"], row["name"], row["says"], row["remedy"]) for row in body["rows"]]
    console.print(table("", ("", "what", "says", "remedy"), rows))
    count = body["failures"]
    console.print("nothing fails" if not count else f"{count} of {len(rows)} fail", markup=False)
