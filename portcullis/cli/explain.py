"""`portcullis explain`: one event of the ledger, and everything that makes it understandable."""

from __future__ import annotations

from typing import Any

import typer
from rich.console import Group, RenderableType

from portcullis.cli import context
from portcullis.cli.brief import brief
from portcullis.cli.output import Form, FormOption, console, show, table
from portcullis.errors import UsageError
from portcullis.store.export import as_plain
from portcullis.worker.explain import Explained
from portcullis.worker.explain import explain as explain_event

RULE_COLUMNS = ("rule", "in", "just before", "measured", "limit", "left", "how it is figured")
BREACH_COLUMNS = ("rule", "in", "breached", "measured", "limit", "answered by", "locks")


def explain(
    seq: str = typer.Argument(..., help="a ledger position, as `event list` prints it"),
    output: Form = FormOption,
) -> None:
    """Why an event is so: what was known, the fact, every rule's figure, what covered what."""
    try:
        position = int(seq)
    except ValueError as error:
        raise UsageError(
            f"{seq!r} is not a ledger position",
            remedy="give a whole number from the first column of `portcullis event list`",
        ) from error
    with context.open_ledger() as reader:
        found = explain_event(reader, position)
    show(as_values(found), output, lambda body: console.print(draw(body)))


def as_values(found: Explained) -> dict[str, Any]:
    """What was found as plain values."""
    return {
        "event": as_plain(found.event),
        "fact": as_plain(found.fact),
        "decisions": [as_plain(row) for row in found.decisions],
        "derived_again": "equal" if found.agrees else "DIFFERENT",
        "system": found.system,
        "accounts": found.accounts,
    }


def draw(body: dict[str, Any]) -> RenderableType:
    """The explanation for people, in the order in which one asks."""
    events = [("asked about", body["event"]), ("the fact", body["fact"])]
    events += [("led to", row) for row in body["decisions"]]
    rows = (
        (word, r["position"], r["at"][11:26], r["stream"], r["kind"], brief(r["payload"]))
        for word, r in events
    )
    parts: list[RenderableType] = [
        table("What happened", ("", "event", "time", "stream", "kind", "what"), rows)
    ]
    if not body["decisions"]:
        parts.append("the fact led to no decision")
    parts.append(
        f"derived again from the facts: {body['derived_again']} to what is recorded"
        if body["derived_again"] == "equal"
        else "derived again from the facts it is DIFFERENT: run `portcullis replay`"
    )
    parts.append(_system(body["system"]))
    for each in body["accounts"]:
        parts += _account(each)
    return Group(*(part for each in parts for part in (each, "")))


def _system(system: dict[str, Any]) -> RenderableType:
    gate = "open" if system["gate_open"] else "shut"
    why = system["why"] or "no reason yet"
    lacking = "".join(f"\n  lacking {each}" for each in system["lacking"])
    venues = ", ".join(
        f"{name} {'up' if is_up else 'DOWN'}" for name, is_up in system["venues"].items()
    )
    rows = (
        (row["name"], row["state"], row["expires_in"], row["summary"]) for row in system["evidence"]
    )
    heading = (
        f"Known just before: mode {system['mode'] or '-'}, gate {gate} ({why}); "
        f"venues: {venues or 'none'}{lacking}"
    )
    return table(heading, ("name", "state", "holds for", "says"), rows)


def _account(found: dict[str, Any]) -> list[RenderableType]:
    parts: list[RenderableType] = []
    before = found["before"]
    if before is None:
        parts.append(f"{found['account']}: nothing was known of this account before")
    else:
        parts += _before(found["account"], before)
    if found["rules"]:
        rows = (
            (
                f"{r['code'][5:]} {r['rule']}",
                r["instrument"],
                r["before"] or "-",
                r["measured"] or "-",
                r["limit"] or "-",
                r["left"] or "-",
                r["formula"],
            )
            for r in found["rules"]
        )
        parts.append(table(f"{found['account']}: the rules at that moment", RULE_COLUMNS, rows))
    return parts + _why(found["account"], found["why"])


def _before(name: str, before: dict[str, Any]) -> list[RenderableType]:
    figures = (
        f"{name} just before: trading day {before['trading_day']}, "
        f"realized {before['realized']}, open {before['open']}, "
        f"equity {before['equity'] or 'not known'}, "
        f"{'may trade' if before['can_trade'] else 'may not trade'}, "
        f"{'compared with the venue' if before['reconciled'] else 'not compared yet'}"
    )
    parts: list[RenderableType] = [figures]
    for title, columns, rows in (
        ("Positions", ("ticker", "size", "mark", "open"), before["positions"]),
        (
            "Working orders",
            ("order_id", "ticker", "side", "type", "remaining", "price", "status"),
            before["orders"],
        ),
        ("Locks", ("id", "rule", "scope", "ends", "in", "cause"), before["locks"]),
    ):
        if rows:
            parts.append(table(title, columns, ([row[c] for c in columns] for row in rows)))
        else:
            parts.append(f"{title}: none")
    for instrument, why in before["cannot_judge"].items():
        parts.append(f"cannot judge {instrument}: {why}")
    return parts


def _why(name: str, why: dict[str, Any]) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if why["breaches"]:
        rows = (
            (
                f"{b['code'][5:]} {b['rule']}" if b["code"].startswith("RULE-") else b["rule"],
                b["instrument"],
                b["message"],
                b["measured"],
                b["limit"],
                b["answered"] or "its lock alone",
                ", ".join(b["locks"]) or "-",
            )
            for b in why["breaches"]
        )
        parts.append(table(f"{name}: why", BREACH_COLUMNS, rows))
    if why["commands"]:
        parts.append(_commands("Commands issued", why["commands"], "outcome"))
    if why["under_way"]:
        parts.append(_commands("Under way before", why["under_way"]))
    if why["locks"]:
        columns = ("id", "rule", "scope", "ends", "in", "cause")
        parts.append(
            table("Locks set", columns, ([row[c] for c in columns] for row in why["locks"]))
        )
    return parts


def _commands(title: str, found: list[dict[str, Any]], *more: str) -> RenderableType:
    columns = ("key", "command", "answers", *more)
    rows = ([c["key"], c["command"], ", ".join(c["rules"]), *(c[m] for m in more)] for c in found)
    return table(title, columns, rows)
