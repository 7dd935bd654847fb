"""`portcullis rule`: which rules there are, and how one of them stands on an account."""

from __future__ import annotations

from typing import Any

import typer

from portcullis.cli import context
from portcullis.cli.output import Form, FormOption, console, show, table
from portcullis.config.source import nearest
from portcullis.domain.plan import decode_plan
from portcullis.domain.rule_changes import settings_of
from portcullis.domain.rules import RULES
from portcullis.errors import NotFound

app = typer.Typer(no_args_is_help=True, help="The rules, and how they stand.")


@app.command("list")
def list_rules(output: Form = FormOption) -> None:
    """Every rule there is."""
    rows = [
        {
            "code": rule.CODE,
            "rule": rule.NAME,
            "does": (rule.__doc__ or "").split(": ", 1)[1].splitlines()[0],
        }
        for rule in RULES
    ]
    show(
        rows,
        output,
        lambda body: console.print(
            table("", ("code", "rule", "does"), (row.values() for row in body))
        ),
    )


@app.command("explain")
def explain(account: str, rule: str, output: Form = FormOption) -> None:
    """The figures of one rule on one account: measured, limit, what is left, and the formula."""
    names = tuple(each.NAME for each in RULES)
    by_code = {each.CODE: each.NAME for each in RULES}
    number = f"RULE-{int(rule):03d}" if rule.isdecimal() else rule.upper()
    name = by_code.get(number, rule)
    if name not in names:
        raise NotFound(
            f"there is no rule {rule!r}", remedy=f"did you mean {nearest(rule, names) or names[0]}?"
        )
    found = context.account_status(account)
    body = {
        "account": account,
        "rule": name,
        "distances": [row for row in found["distances"] if row["rule"] == name],
        "locks": [row for row in found["locks"] if row["rule"] == name],
        "largest": found["largest"],
        "set": _set(account),
    }
    show(body, output, _draw)


def _set(account: str) -> dict[str, dict[str, str]]:
    """The rules in force on an account with their settings, idle ones too."""
    plan = decode_plan(context.recorded_engine().world.plan)
    return next((settings_of(each) for each in plan.accounts if each.account == account), {})


def _draw(body: dict[str, Any]) -> None:
    rule, account = body["rule"], body["account"]
    if rule not in body["set"]:
        known = ", ".join(body["set"]) or "none"
        console.print(f"{rule} is not set for {account}; set are: {known}", markup=False)
    elif not body["distances"]:
        console.print(f"{rule} is set for {account}, and has nothing to measure now", markup=False)
        for key, value in body["set"][rule].items():
            console.print(f"  {key:15} {value}", markup=False)
    for row in body["distances"]:
        scope = f" {row['instrument']}" if row["instrument"] else ""
        console.print(f"{row['code']} {row['rule']} on {body['account']}{scope}", markup=False)
        for key in ("measured", "limit", "left", "formula"):
            console.print(f"  {key:9} {row[key]}", markup=False)
    for row in body["locks"]:
        console.print(
            f"  lock {row['id']} ends {row['ends']} {row['in']}: {row['cause']}", markup=False
        )
