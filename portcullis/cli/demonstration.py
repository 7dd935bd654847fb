"""The demonstration told from the ledger: each rule, what broke it, what was done, how fast."""

from __future__ import annotations

from typing import Any

import msgspec
from rich.console import Group, RenderableType

from portcullis.cli.output import table
from portcullis.domain.events import (
    AutomationPlanned,
    BreachFound,
    CommandConcluded,
    CommandIssued,
    LockSet,
    decode,
)
from portcullis.domain.money import duration
from portcullis.domain.rules import RULES
from portcullis.ports import Records

ORDER = [rule.NAME for rule in RULES]


class Shown(msgspec.Struct):
    """One rule's first enforcement on one account."""

    code: str
    rule: str
    account: str
    at_s: float
    breach: str
    commands: list[str]
    lock: str = ""
    outcome: str = ""
    time_to_done: str = ""


def account_of_events(records: Records) -> dict[str, Any]:
    """What each rule did, and the chain it stands in."""
    shown: dict[str, Shown] = {}
    by_key: dict[str, list[Shown]] = {}
    started, position, root = 0, records.head().position, records.head().root.hex()
    for row in records.read():
        started = started or row.at
        event = decode(row.payload)
        if isinstance(event, BreachFound | AutomationPlanned):
            name = f"{event.rule}"
            if name not in shown and name in ORDER:
                shown[name] = Shown(
                    event.code,
                    event.rule,
                    event.account,
                    round((row.at - started) / 1e6, 2),
                    event.reason.message,
                    [],
                )
        elif isinstance(event, CommandIssued):
            for rule in event.rules:
                each = shown.get(rule)
                if each is not None and each.account == event.account and not each.commands:
                    each.commands.append(type(event.command).__name__)
                    by_key.setdefault(event.key, []).append(each)
        elif isinstance(event, LockSet):
            each = shown.get(event.lock.rule)
            if each is not None and not each.lock:
                each.lock = event.lock.ends
        elif isinstance(event, CommandConcluded):
            for each in by_key.get(event.key, ()):
                each.outcome = event.outcome
                each.time_to_done = duration(event.confirmed_at - event.detected_at)
    ordered = sorted(shown.values(), key=lambda each: ORDER.index(each.rule))
    return {
        "rules": msgspec.to_builtins(ordered),
        "events": position,
        "root": root,
        "missing": [name for name in ORDER if name not in shown],
    }


def draw(found: dict[str, Any]) -> RenderableType:
    """The account of events as a table."""
    rows = (
        (
            row["code"][5:],
            row["rule"],
            row["account"],
            f"{row['at_s']:.2f} s",
            row["breach"],
            _done(row),
            row["time_to_done"] or "-",
        )
        for row in found["rules"]
    )
    columns = ("code", "rule", "account", "at", "what happened", "what was done", "took")
    count = f"{len(found['rules'])} of {len(ORDER)} rules enforced"
    return Group(
        table("", columns, rows),
        "",
        f"{count}; {found['events']} events, Merkle root {found['root'][:32]}…",
    )


def _done(row: dict[str, Any]) -> str:
    lock = [f"locked ({row['lock']})"] if row["lock"] else []
    return " + ".join([f"{name} {row['outcome']}" for name in row["commands"]] + lock)
