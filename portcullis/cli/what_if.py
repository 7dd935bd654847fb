"""`portcullis what-if`: the recorded facts under other limits."""

from __future__ import annotations

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import typer
from rich.console import Group, RenderableType

from portcullis.cli import context
from portcullis.cli.output import Form, FormOption, console, show, table
from portcullis.config.files import read_configuration
from portcullis.domain.money import duration, money
from portcullis.domain.plan import AccountPlan
from portcullis.errors import ConfigError, NotFound, UsageError
from portcullis.ports import Records
from portcullis.wiring import defaults_folder
from portcullis.worker.what_if import AccountOutcome, WhatIf, what_if
from portcullis.worker.what_if_side import Ended, Tally

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

UNCHANGED = (
    "No account would have been under other limits than the recorded ones.\n"
    "A profile of rules.yaml counts only for accounts that name it: where an account's rules stand "
    "in accounts.yaml, give that file with --accounts."
)

RulesOption = typer.Option(
    None, "--rules", help="a rules.yaml with the limits to try; default: the home's"
)
AccountsOption = typer.Option(None, "--accounts", help="an accounts.yaml; default: the home's")
SinceOption = typer.Option(None, "--since", help="from this UTC time (ISO) or ledger position on")
OneOption = typer.Option(None, "--account", help="show only this account")


def what_if_command(
    rules: Path | None = RulesOption,
    accounts: Path | None = AccountsOption,
    since: str | None = SinceOption,
    account: str | None = OneOption,
    output: Form = FormOption,
) -> None:
    """What other limits would have denied, flattened, locked and kept, on the recorded facts."""
    if rules is None and accounts is None:
        raise UsageError(
            "nothing to try: the limits are those of the home",
            remedy="give --rules FILE, or --accounts FILE where accounts have limits of their own",
        )
    plans = read_plans(rules, accounts)
    with context.open_ledger() as reader:
        position, at = _since(since, reader)
        found = what_if(reader, plans, position=position, at=at)
    body = as_values(found, account)
    show(body, output, lambda values: console.print(draw(values)))


def read_plans(rules: Path | None, accounts: Path | None) -> tuple[AccountPlan, ...]:
    """The accounts under the new rules; raises ConfigError with every fault by its file's name."""
    known = context.settings()
    folder = known.config_path if known.config_path.exists() else defaults_folder()
    files = {
        "rules.yaml": rules or folder / "rules.yaml",
        "accounts.yaml": accounts or folder / "accounts.yaml",
        "monitoring.yaml": folder / "monitoring.yaml",
        "calendar.yaml": folder / "calendar.yaml",
    }
    for path in files.values():
        if not path.is_file():
            what = f"{path} is a folder" if path.is_dir() else f"there is no file {path}"
            raise NotFound(what, remedy="name a file that exists")
    with tempfile.TemporaryDirectory() as made:
        for name, path in files.items():
            shutil.copyfile(path, Path(made) / name)
        try:
            return read_configuration(Path(made)).plan.accounts
        except ConfigError as error:
            raise ConfigError(tuple(_renamed(text, files) for text in error.faults)) from error


def _renamed(fault: str, files: dict[str, Path]) -> str:
    name, rest = fault.strip().split(":", 1)
    return f"  {files.get(name, name)}:{rest}"


def _since(text: str | None, records: Records) -> tuple[int, int]:
    """Position and time from which the new limits are in force; 0 where not said."""
    if text is None:
        return 0, 0
    head = records.head().position
    if text.isdecimal():
        if not 1 <= int(text) <= head:
            raise NotFound(
                f"there is no event {text}: the ledger has 1 to {head}",
                remedy="`portcullis event list` prints positions in its first column",
            )
        return int(text), 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is neither a position nor a time",
            remedy="such as 1200, 2026-03-03 or 2026-03-03T15:00:00",
        ) from error
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    at = (moment - EPOCH) // timedelta(microseconds=1)
    newest = max((row.at for row in records.read(after=head - 1)), default=0)
    if at > newest:
        raise NotFound(
            f"no event is as late as {text}: the newest is of {_when(newest)}",
            remedy="`portcullis event list` prints the times of events",
        )
    return 0, at


def as_values(found: WhatIf, only: str | None = None) -> dict[str, Any]:
    """The outcome as plain values, of every account or one; raises NotFound naming those known."""
    names = [each.account for each in found.accounts]
    if only is not None and only not in names:
        raise NotFound(
            f"account {only!r} is in neither set of rules", remedy=f"known are: {', '.join(names)}"
        )
    wanted = [each for each in found.accounts if only in (None, each.account)]
    return {
        "facts": found.facts,
        "through": found.through,
        "since": found.since,
        "differs": any(each.parting is not None for each in wanted),
        "changes": [row._asdict() for row in found.changes if only in (None, row.account)],
        "accounts": [_account(each) for each in wanted],
        "warning": found.warning,
    }


def _account(found: AccountOutcome) -> dict[str, Any]:
    parting, currency = found.parting, found.currency
    return {
        "account": found.account,
        "hypothetical_from": parting and {**parting._asdict(), "at": _when(parting.at)},
        "rules": [
            {
                "rule": row.rule,
                "recorded": _tally(row.recorded, currency),
                "new": _tally(row.new, currency),
            }
            for row in found.rules
        ],
        "gate": {
            "recorded": msgspec.to_builtins(found.recorded),
            "new": msgspec.to_builtins(found.new),
        },
        "ended": {
            "recorded": [_ended(each, currency) for each in found.ended_recorded],
            "new": [_ended(each, currency) for each in found.ended_new],
        },
        "kept": {
            "recorded": money(sum(each.kept for each in found.ended_recorded), currency),
            "new": money(sum(each.kept for each in found.ended_new), currency),
        },
    }


def _tally(tally: Tally, currency: str) -> dict[str, Any]:
    words = {"locked": duration(tally.locked), "kept": money(tally.kept, currency)}
    return {**msgspec.to_builtins(tally), **words}


def _ended(each: Ended, currency: str) -> dict[str, Any]:
    return {
        "event": each.position,
        "time": _when(each.at),
        "ticker": each.ticker,
        "size": each.size,
        "contracts": each.part,
        "command": each.command,
        "rules": list(each.rules),
        "open": money(each.open, currency),
        "came_to": money(each.came_to, currency),
        "kept": money(each.kept, currency),
        "still_open": each.still_open,
    }


def _when(at: int) -> str:
    return (EPOCH + timedelta(microseconds=at)).isoformat(timespec="milliseconds")


# --- for people -----------------------------------------------------------------------------------


def draw(body: dict[str, Any]) -> RenderableType:
    """What is set differently, then account by account what that would have changed."""
    parts: list[RenderableType] = [_changes(body)]
    for each in body["accounts"]:
        parts += (
            _drawn(each) if each["hypothetical_from"] else [f"{each['account']}: no difference"]
        )
    if body["differs"]:
        parts.append(f"Warning: {body['warning']}")
    return Group(*(part for each in parts for part in (each, "")))


def _changes(body: dict[str, Any]) -> RenderableType:
    if not body["changes"]:
        return UNCHANGED
    columns = ("account", "rule", "setting", "recorded", "new")
    title = f"What is set differently, from event {body['since']} on"
    rows = ([row[column] or "-" for column in columns] for row in body["changes"])
    return table(title, columns, rows)


def _drawn(found: dict[str, Any]) -> list[RenderableType]:
    parting = found["hypothetical_from"]
    heading = (
        f"{found['account']}: hypothetical from event {parting['position']} "
        f"({parting['at'][:23]}) on\n"
        f"  recorded: {'; '.join(parting['recorded'])}\n"
        f"  new:      {'; '.join(parting['new'])}"
    )
    parts: list[RenderableType] = [heading]
    columns = (
        "rule",
        "breaches",
        "flatten",
        "close",
        "reduce",
        "cancel",
        "stops",
        "locks",
        "locked for",
        "denied (contracts)",
        "kept",
    )
    title = f"{found['account']}: recorded -> new, where they differ"
    parts.append(table(title, columns, (_row(row) for row in found["rules"])))
    gate = found["gate"]
    if gate["recorded"] != gate["new"] or any(gate["new"].values()):
        parts.append(_gate(gate))
    parts += [_ends(word, rows) for word, rows in found["ended"].items() if rows]
    parts.append(
        f"kept in all: {found['kept']['new']} under the new rules, "
        f"{found['kept']['recorded']} under the recorded ones (negative: given up)"
    )
    return parts


def _row(row: dict[str, Any]) -> list[str]:
    old, new = row["recorded"], row["new"]

    def cell(name: str) -> str:
        return _pair(old[name], new[name])

    names = ("breaches", "flatten", "close", "reduce", "cancel", "stops", "locks")
    counts = [cell(name) for name in names]
    denied = [f"{each['denied']} ({each['denied_contracts']})" for each in (old, new)]
    return [row["rule"], *counts, cell("locked"), _pair(*denied), cell("kept")]


def _pair(old: Any, new: Any) -> str:
    return str(old) if old == new else f"{old} -> {new}"


def _gate(gate: dict[str, dict[str, int]]) -> RenderableType:
    rows = (
        (
            word,
            f"{each['approved']} ({each['approved_contracts']})",
            f"{each['denied']} ({each['denied_contracts']})",
        )
        for word, each in gate.items()
    )
    return table("Proposals (contracts)", ("rules", "approved", "denied"), rows)


def _ends(word: str, rows: list[dict[str, Any]]) -> RenderableType:
    title = f"Positions the {word} rules ended, each once until it was really flat"
    columns = ("event", "time", "position", "by", "open then", "came to", "kept")
    return table(
        title,
        columns,
        (
            (
                row["event"],
                row["time"][11:23],
                f"{row['contracts']} of {row['size']:+d} {row['ticker']}",
                f"{row['command']}: {', '.join(row['rules'])}",
                row["open"],
                row["came_to"] + (" (still open)" if row["still_open"] else ""),
                row["kept"],
            )
            for row in rows
        ),
    )
