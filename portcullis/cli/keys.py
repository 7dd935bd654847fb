"""`portcullis key`: keys of the API, and signing for it what loosens."""

from __future__ import annotations

import getpass
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
import typer

from portcullis import wiring
from portcullis.alerts.words import clock
from portcullis.api.keys import Key, KeyFile, Made, signing_id
from portcullis.cli import context
from portcullis.cli.alerts import a_span
from portcullis.cli.output import Form, FormOption, ReasonOption, console, messages, show, table
from portcullis.clock import SystemClock
from portcullis.errors import UsageError
from portcullis.worker.requests import Asked

app = typer.Typer(no_args_is_help=True, help="Keys of the API; and signing what loosens.")


class RoleName(StrEnum):
    """Roles as they are typed."""

    READONLY = "readonly"
    OPERATOR = "operator"
    ADMIN = "admin"


class Loosening(StrEnum):
    """What the API takes with a signature alone: the administrator's, or an approver's."""

    RELEASE = "release"
    OPEN = "open"
    RELOAD = "reload"
    APPROVE = "approve"


def _file() -> KeyFile:
    return KeyFile(wiring.prepare_home(context.settings()))


@app.command("create")
def create(
    name: str = typer.Option(..., "--name", help="who or what it is for"),
    role: RoleName = typer.Option(..., "--role", help="readonly, operator or admin"),
    lasts: str = typer.Option("90d", "--for", help="how long it holds, a year at most"),
    output: Form = FormOption,
) -> None:
    """Make a key. Its text is shown this one time and kept nowhere."""
    span, now = a_span(lasts, "--for"), SystemClock().now()
    made = _file().create(name, role.value, now, lasts=span, by=getpass.getuser())
    _show_new(made, output)


@app.command("list")
def list_keys(output: Form = FormOption) -> None:
    """Every key: whose, what it may, and until when. Without their texts."""
    now = SystemClock().now()
    rows = [shown(key, now) for key in _file().all()]
    columns = ("id", "name", "role", "state", "created", "expires", "replaces")
    show(
        rows,
        output,
        lambda found: console.print(
            table("", columns, ([row[column] for column in columns] for row in found))
            if found
            else "no key; `portcullis key create` makes one"
        ),
    )


@app.command("rotate")
def rotate(
    key: str = typer.Argument(help="the id of the key, as `key list` shows it"),
    overlap: str = typer.Option("1d", "--overlap", help="how long the old key still holds"),
    output: Form = FormOption,
) -> None:
    """Make a key in place of another; both hold for a while."""
    span = 0 if overlap.strip() in ("0", "none") else a_span(overlap, "--overlap")
    now = SystemClock().now()
    _show_new(_file().rotate(key, now, overlap=span, by=getpass.getuser()), output)


@app.command("revoke")
def revoke(
    key: str = typer.Argument(help="the id of the key, as `key list` shows it"),
    output: Form = FormOption,
) -> None:
    """End a key at once."""
    now = SystemClock().now()
    ended = _file().revoke(key, now)
    show(shown(ended, now), output, lambda row: console.print(f"{row['id']} is revoked"))


@app.command("sign")
def sign(
    verb: Loosening = typer.Argument(help="release (locks), open (the gate), reload, or approve"),
    reason: str = ReasonOption,
    account: str | None = typer.Option(None, "--account", help="for release: whose locks"),
    row: int | None = typer.Option(
        None, "--row", help="for release: one lock; without: all of them"
    ),
    plan: str | None = typer.Option(
        None, "--plan", help="for approve: the digest of what waits, of `GET /config/pending`"
    ),
    key: Path | None = typer.Option(None, "--key", help="the key file, if not the administrator's"),
) -> None:
    """Print the body of a request to the API that loosens, signed by the administrator."""
    of_account = verb is Loosening.RELEASE
    if of_account != bool(account):
        raise UsageError(
            "release is of an account, the others are not", remedy="see `key sign --help`"
        )
    if (verb is Loosening.APPROVE) != bool(plan):
        raise UsageError("approve is of a plan, the others are not", remedy="give it with --plan")
    request_id = signing_id(SystemClock().now())
    given: dict[str, str | int | None] = {"lock": row, "plan": plan}
    arguments = {name: value for name, value in given.items() if value is not None}
    asked = Asked(reason, account, arguments)
    body: dict[str, Any] = {
        "reason": reason,
        **arguments,
        "request_id": request_id,
        "signature": context.signature(context.settings(), request_id, verb.value, asked, key),
    }
    print(msgspec.json.encode(body).decode())


def shown(key: Key, now: int) -> dict[str, Any]:
    """A key without what it is recognized by."""
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "state": key.state(now),
        "created": clock(key.created_at),
        "expires": clock(key.expires_at),
        "created_by": key.created_by,
        "revoked": clock(key.revoked_at) if key.revoked_at else None,
        "replaces": key.replaces,
    }


def _show_new(made: Made, output: Form) -> None:
    body = {**shown(made.key, SystemClock().now()), "key": made.text}
    if output is Form.TEXT:
        messages.print(f"key {made.key.id} ({made.key.role}); it is shown this one time:")
    show(body, output, lambda row: print(row["key"]))
