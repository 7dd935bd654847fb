"""`portcullis config`: judge the files without touching anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from portcullis.alerts.configured import Configured, read_alerts
from portcullis.alerts.words import clock
from portcullis.cli import context
from portcullis.cli.output import Form, FormOption, ReasonOption, console, show, table
from portcullis.config.files import Configuration, read_configuration
from portcullis.domain.plan import decode_plan, digest, encode_plan
from portcullis.domain.rule_changes import gate_changes, rule_changes
from portcullis.errors import ConfigError
from portcullis.wiring import defaults_folder

app = typer.Typer(no_args_is_help=True, help="Judge and reload the configuration.")
NAMED_BY = 12
"""Signs of a digest that a person reads and types."""


@app.command("check")
def check(
    folder: Path | None = typer.Argument(
        None, help="folder of the files; default: the one in force"
    ),
    output: Form = FormOption,
) -> None:
    """Read every file in one pass; every fault with file, line, key and what is allowed."""
    known = context.settings()
    if folder is None:
        folder = known.config_path if known.config_path.exists() else defaults_folder()
    found, alerts = _judged(folder)
    body = {
        "folder": str(folder),
        "digest": digest(encode_plan(found.plan)),
        "accounts": {a.account: len(a.rules) for a in found.plan.accounts},
        "pools": {p.pool: len(p.allocated) for p in found.plan.pools},
        "strategies": {s.strategy: s.starts for s in found.plan.strategies},
        "required_evidence": [need.name for need in found.plan.required],
        "subscriptions": len(alerts.terms.subscriptions),
    }
    show(body, output, _draw)


def _judged(folder: Path) -> tuple[Configuration, Configured]:
    """Every file; raises ConfigError with the faults of all of them."""
    faults: list[str] = []
    found: list[Any] = []
    for read in (read_configuration, read_alerts):
        try:
            found.append(read(folder))
        except ConfigError as error:
            faults += error.faults
    if not faults:
        faults += _unknown_accounts(*found)
    if faults:
        raise ConfigError(tuple(faults))
    return found[0], found[1]


def _unknown_accounts(found: Configuration, alerts: Configured) -> list[str]:
    """Accounts that a subscription names and nobody watches: their alerts would go nowhere."""
    known = [each.account for each in found.plan.accounts]
    return [
        f"  alerts.yaml: subscriptions: channel {each.channel}: account {name} is none of "
        f"accounts.yaml; known are: {', '.join(known)}"
        for each in alerts.terms.subscriptions
        for name in each.accounts or ()
        if name not in known
    ]


def _draw(body: dict[str, Any]) -> None:
    console.print(f"{body['folder']}: no fault. Digest {body['digest'][:16]}.", markup=False)
    for account, count in body["accounts"].items():
        console.print(f"  {account}: {count} rules", markup=False)
    for pool, count in body["pools"].items():
        console.print(f"  pool {pool}: {count} accounts", markup=False)
    for strategy, starts in body["strategies"].items():
        console.print(f"  strategy {strategy}: starts as {starts}", markup=False)


@app.command("reload")
def reload(reason: str = ReasonOption, output: Form = FormOption) -> None:
    """Have the worker read the files again. What is stricter is in force at once, what is looser
    waits for the account's next session or an approver. Needs the administrator's credential.
    """
    show(context.request("reload", reason)._asdict(), output, _tell)


@app.command("pending")
def pending(output: Form = FormOption) -> None:
    """What waits to be loosened, and what the files have that nobody has asked for."""
    known, asked = context.settings(), context.status()["loosening"]
    recorded = decode_plan(context.recorded_engine().world.plan)
    files = read_configuration(known.config_path).plan
    found = rule_changes(recorded.accounts, files.accounts) + gate_changes(recorded, files)
    waiting = asked["changes"] if asked else ()
    asked_for = [(row["account"], row["rule"], row["setting"]) for row in waiting]
    unasked = [row._asdict() for row in found if row[:3] not in asked_for]
    show({"asked": asked, "unasked": unasked}, output, _draw_pending)


@app.command("approve")
def approve(
    plan: str = typer.Argument(help="what waits, by the name that `config pending` gives it"),
    reason: str = ReasonOption,
    key: Path | None = typer.Option(None, "--key", help="the approver's key file"),
    output: Form = FormOption,
) -> None:
    """Agree, as a second person, to what an administrator asked for: it need not wait any more."""
    waits = (context.status()["loosening"] or {}).get("plan", "")
    whole = waits if len(plan) >= NAMED_BY and waits.startswith(plan) else plan
    answer = context.request("approve", reason, loosens=True, signed_with=key, plan=whole)
    show(answer._asdict(), output, _tell)


@app.command("withdraw")
def withdraw(reason: str = ReasonOption, output: Form = FormOption) -> None:
    """Let nothing of what waits come into force. Tightens: needs no credential."""
    show(context.request("withdraw", reason)._asdict(), output, _tell)


def _tell(body: dict[str, Any]) -> None:
    console.print(body["detail"], markup=False)


def _draw_pending(body: dict[str, Any]) -> None:
    asked, columns = body["asked"], ("account", "rule", "setting", "recorded", "new")
    named = (*columns[:3], "in force")
    if asked:
        agreed = f", {asked['approved_by']} agreed" if asked["approved_by"] else ""
        rows = ([row[each] for each in (*columns, "waits_for")] for row in asked["changes"])
        title = (
            f"{asked['plan'][:NAMED_BY]}: asked for by {asked['by']} at "
            f"{clock(asked['asked_at'])}{agreed}: {asked['reason']}"
        )
        console.print(table(title, (*named, "asked for", "waits for"), rows))
    if body["unasked"]:
        rows = ([row[each] for each in columns] for row in body["unasked"])
        title = "In the files and not in force; `portcullis config reload --reason ...` asks for it"
        console.print(table(title, (*named, "in the files"), rows))
    if not asked and not body["unasked"]:
        console.print("nothing waits; what the files say is in force")
