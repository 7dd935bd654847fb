"""`portcullis status`: everything at a glance, once or live."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from portcullis.cli import context
from portcullis.cli.capital import pools_table
from portcullis.cli.output import Form, FormOption, console, show, table
from portcullis.cli.strategies import strategies_table
from portcullis.domain.gate import LARGEST

REFRESH_SECONDS = 0.5
STYLES = {
    "ACTIVE": "bold green",
    "STARTING": "bold yellow",
    "OBSERVE_ONLY": "bold red",
    "SHUTDOWN": "bold white on red",
}
EVIDENCE_STYLES = {
    "passing": "green",
    "failed": "bold red",
    "expired": "bold red",
    "missing": "yellow",
}


def status(
    watch: bool = typer.Option(False, "--watch", "-w", help="keep showing it until Control-C"),
    exit_code: bool = typer.Option(False, "--exit-code", help="end with 1 when the gate is shut"),
    output: Form = FormOption,
) -> None:
    """Mode, evidence, accounts, locks with their timers, and how far each rule is."""
    if watch:
        _watch(output)
        return
    found = context.status()
    show(found, output, lambda body: console.print(draw(body)))
    if exit_code and not found["gate_open"]:
        raise typer.Exit(1)


def _watch(output: Form) -> None:
    if output is Form.JSON:
        while True:
            print(json.dumps(context.status()), flush=True)
            time.sleep(REFRESH_SECONDS)
    with Live(draw(context.status()), console=console, auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(REFRESH_SECONDS)
            live.update(draw(context.status()), refresh=True)


def draw(found: dict[str, Any]) -> RenderableType:
    """The whole status as a picture for a terminal."""
    parts: list[RenderableType] = [_gate(found), _accounts(found)]
    locks = [(a["account"], row) for a in found["accounts"] for row in a["locks"]]
    if locks:
        parts.append(
            table(
                "Locks",
                ("account", "row", "rule", "scope", "ends", "in", "cause"),
                (
                    (
                        name,
                        row["id"],
                        row["rule"],
                        row["scope"],
                        row["ends"],
                        row["in"],
                        row["cause"],
                    )
                    for name, row in locks
                ),
            )
        )
    parts += [_distances(found), _evidence(found)]  # what evidence lacks, the gate says above
    if found["pools"]:
        parts.append(pools_table(found["pools"]))
    if found["strategies"]:
        parts.append(strategies_table(found["strategies"]))
    return Group(*(part for each in parts for part in (each, "")))


def why_shut(found: dict[str, Any]) -> str:
    """Why the gate is shut and, where the records know it, who shut it and when. A start that is
    over finds it as it was left, and has no reason of its own.
    """
    shut, why = found.get("shut"), str(found["why"])
    if shut is None:
        return why
    if found["live"] and found["mode"] != "STARTING":
        return str(shut["told"])
    return f"{why.partition(';')[0]}; before: {shut['told']}"


def _gate(found: dict[str, Any]) -> RenderableType:
    mode, is_open = found["mode"], found["gate_open"]
    line = Text("Gate ")
    line.append("OPEN" if is_open else "SHUT", style="bold green" if is_open else "bold red")
    line.append("   mode ")
    line.append(mode, style=STYLES.get(mode, "bold"))
    line.append(f"   event {found['position']}   ledger {found['ledger']}")
    if worker := found.get("worker"):
        line.append(
            f"   worker {worker['pid']}, {worker['memory_mb']} MB, up {worker['uptime_s']} s"
        )
        if worker["role"] == "observe":
            line.append("   ONLY OBSERVES", style="bold red")
    for venue, connected in found["venues"].items():
        line.append(f"   venue {venue} ")
        if not found["live"]:
            line.append("not known", style="yellow")
        else:
            line.append("up" if connected else "DOWN", style="green" if connected else "bold red")
    if not is_open:
        line.append(f"\n{why_shut(found)}")
        for venue, connected in found["venues"].items():
            if not connected:
                line.append(f"\n  {venue}: {found['venue_reasons'].get(venue, '')}", style="red")
        for each in found["lacking"]:
            line.append(f"\n  lacking {each}", style="red")
    if found["loosening"]:
        waits = found["loosening"]
        line.append(
            f"\n{len(waits['changes'])} looser settings wait, asked for by {waits['by']}: "
            "see `portcullis config pending`",
            style="yellow",
        )
    told = datetime.fromtimestamp(found["as_of"] / 1_000_000, UTC)
    away = f"Portcullis: the worker is away; this was so at {told:%Y-%m-%d %H:%M:%S} UTC"
    title = "Portcullis" if found["live"] else away
    return Panel(line, title=title, title_align="left", border_style="green" if is_open else "red")


def _evidence(found: dict[str, Any]) -> RenderableType:
    drawn = table("Evidence", ("name", "state", "holds for", "says"), ())
    for row in found["evidence"]:
        name = row["name"] if row["required"] else f"({row['name']})"
        state = Text(row["state"], style=EVIDENCE_STYLES.get(row["state"], ""))
        drawn.add_row(name, state, row["expires_in"], Text(row["summary"]))
    return drawn


def _accounts(found: dict[str, Any]) -> RenderableType:
    drawn = table(
        "Accounts",
        (
            "account",
            "state",
            "realized",
            "open",
            "equity",
            "positions",
            "orders",
            "largest buy / sell",
        ),
        (),
    )
    for row in found["accounts"]:
        state = Text("locked", style="bold red") if row["locked"] else Text("free", style="green")
        if row["partly_locked"] and not row["locked"]:
            state = Text("partly locked", style="red")
        if row["enforcing"]:
            state = Text("enforcing", style="bold yellow")
        elif row["can_trade"] is not True:
            state = Text("may not trade", style="bold red")
        if row["missed_fills"]:
            state.append(f", {row['missed_fills']} fills missed", style="yellow")
        held = ", ".join(f"{p['size']:+d} {p['ticker']} {p['open']}" for p in row["positions"])
        largest = "  ".join(
            f"{ticker} {_size(each['buy'])}/{_size(each['sell'])}"
            for ticker, each in row["largest"].items()
        )
        drawn.add_row(
            row["account"],
            state,
            row["realized"],
            row["open"],
            row["equity"] or "-",
            held or "flat",
            str(len(row["orders"])),
            largest,
        )
    return drawn


def _size(largest: int) -> str:
    return "any" if largest >= LARGEST else str(largest)


def _distances(found: dict[str, Any]) -> RenderableType:
    drawn = table("How far", ("account", "rule", "", "measured", "limit", "left"), ())
    for account in found["accounts"]:
        for row in account["distances"]:
            used = min(100, row["used"])
            style = "red" if used >= 100 else "yellow" if used >= 80 else "green"
            bar = Text("█" * (used // 10) + "·" * (10 - used // 10), style=style)
            rule = f"{row['code'][5:]} {row['rule']}"
            drawn.add_row(account["account"], rule, bar, row["measured"], row["limit"], row["left"])
    return drawn
