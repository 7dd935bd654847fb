"""`portcullis account`: look at accounts; lock and flatten them; release with the credential."""

from __future__ import annotations

from typing import Any

import typer

from portcullis.cli import context
from portcullis.cli.output import (
    Declined,
    Form,
    FormOption,
    ReasonOption,
    YesOption,
    confirm,
    console,
    messages,
    show,
    table,
)
from portcullis.config.reader import parse
from portcullis.config.scalars import Unreadable
from portcullis.domain.units import Span
from portcullis.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Look at accounts; lock, release, flatten them.")


@app.command("list")
def list_accounts(output: Form = FormOption) -> None:
    """Every watched account with its figures."""
    found = context.status()["accounts"]
    columns = ("account", "profile", "realized", "open", "equity", "locks", "positions")
    show(
        found,
        output,
        lambda rows: console.print(
            table(
                "",
                columns,
                (
                    (
                        r["account"],
                        r["profile"],
                        r["realized"],
                        r["open"],
                        r["equity"],
                        len(r["locks"]),
                        ", ".join(f"{p['size']:+d} {p['ticker']}" for p in r["positions"])
                        or "flat",
                    )
                    for r in rows
                ),
            )
        ),
    )


@app.command("show")
def show_account(account: str, output: Form = FormOption) -> None:
    """One account: figures, positions, orders, locks, and how far each rule is."""
    show(context.account_status(account), output, _draw)


def _draw(row: dict[str, Any]) -> None:
    console.print(
        table(
            "",
            ("figure", "value"),
            (
                (name, row[name])
                for name in (
                    "account",
                    "profile",
                    "trading_day",
                    "can_trade",
                    "reconciled",
                    "missed_fills",
                    "realized",
                    "open",
                    "equity",
                    "pool",
                    "allocation_left",
                    "enforcing",
                )
            ),
        )
    )
    sections = (
        ("Positions", "positions", ("ticker", "size", "mark", "open")),
        (
            "Orders",
            "orders",
            ("order_id", "ticker", "side", "type", "remaining", "price", "status"),
        ),
        ("Locks", "locks", ("id", "rule", "scope", "ends", "in", "cause")),
        ("How far", "distances", ("code", "rule", "measured", "limit", "left", "formula")),
    )
    for title, key, columns in sections:
        if row[key]:
            console.print()
            console.print(table(title, columns, ([r[c] for c in columns] for r in row[key])))


@app.command("lock")
def lock(
    account: str,
    reason: str = ReasonOption,
    duration: str = typer.Option(
        None, "--for", help="how long, such as 1 h; without: until a person releases it"
    ),
    output: Form = FormOption,
) -> None:
    """Let the account open no risk; what is open stays. Needs no credential: it tightens."""
    span = None
    if duration is not None:
        try:
            span = parse(Span, duration)
        except Unreadable as error:
            raise UsageError(f"--for: {error}", remedy=f"give {error.allowed}") from error
    _report(context.request("lock", reason, account=account, for_us=span), output)


@app.command("release")
def release(
    account: str,
    reason: str = ReasonOption,
    row: int = typer.Option(None, "--row", help="one lock row; without: all of the account"),
    yes: bool = YesOption,
    output: Form = FormOption,
) -> None:
    """End locks. Loosens: needs the administrator's credential."""
    confirm(account, f"This releases locks of {account}", yes)
    _report(context.request("release", reason, account=account, lock=row), output)


@app.command("flatten")
def flatten(
    account: str,
    reason: str = ReasonOption,
    yes: bool = YesOption,
    dry_run: bool = typer.Option(False, "--dry-run", help="show what would be closed"),
    output: Form = FormOption,
) -> None:
    """Close every position and cancel every order of the account, confirmed at the venue."""
    found = context.account_status(account)
    held = ", ".join(f"{p['size']:+d} {p['ticker']}" for p in found["positions"]) or "nothing"
    messages.print(f"{account} holds {held} and has {len(found['orders'])} orders", markup=False)
    if dry_run:
        return
    confirm(account, f"This flattens {account}", yes)
    answer = context.request("flatten", reason, account=account)
    ended = context.concluded(account, answer)
    body = {**answer._asdict(), "ended": ended.outcome, "says": ended.detail}
    show(body, output, lambda shown: console.print(f"{account}: {shown['says']}", markup=False))
    if ended.outcome not in ("confirmed", "superseded"):
        raise Declined(
            f"{account} is not known to be flat: {ended.outcome}: {ended.detail}",
            remedy="look at the account at the venue now, and flatten it there",
        )


def _report(answer: Any, output: Form) -> None:
    show(
        answer._asdict(),
        output,
        lambda body: console.print(f"{body['detail']} (event {body['position']})", markup=False),
    )
