"""The frame around commands: each has a cause, one key, one end, and its end comes in time."""

from __future__ import annotations

from portcullis.audit.account import Account
from portcullis.audit.moment import Moment
from portcullis.audit.outbox import FAILED, PROTECTIVE
from portcullis.audit.reading import Event
from portcullis.audit.rules_automation import bare, faults

IN_TIME = 30_000_000
"""Microseconds from issue to end: 20 s until a command is reported as unconfirmed, and slack."""

WIDENING = ("place_stop", "move_stop")


def take(a: Account, moment: Moment) -> None:
    """Fold the commands issued here; each needs a cause."""
    a.planned |= {e.body["instrument"] for e in moment.of("automation_planned")}
    for event in moment.of("command_issued"):
        issued = a.outbox.issue(event.body, moment.at, event.position)
        moment.report.commands += 1
        rule = event.body["rules"][0] if event.body["rules"] else "command"
        name = event.body["command"].get("instrument")
        if issued is None:
            moment.differ(a, "unjustified", rule, name, "a new key", event.body["key"], event)
        elif not _has_cause(a, moment, event):
            moment.differ(
                a, "unjustified", rule, name, "a breach, a plan or a request",
                f"{event.body['command']['type']} is issued", event,
            )  # fmt: skip
        elif event.body["command"]["type"] in WIDENING:
            _stop(a, moment, event)


def _has_cause(a: Account, moment: Moment, event: Event) -> bool:
    if moment.fact.kind in ("request_received", "proposal_received"):
        return True
    causes = {
        e.body["rule"] for e in moment.decisions if e.kind in ("breach_found", "automation_planned")
    }
    name = event.body["command"].get("instrument")
    again = {rule for rule, where in a.outbox.failed if None in (name, where) or name == where}
    if event.body["command"]["type"] in WIDENING and name in a.planned:
        again.add("trade_management")
        a.planned.discard(name)
    if name in a.locked_out:
        again.add("lockout")
    again |= {
        rule
        for rule, where in a.standing
        if rule != "lockout" and (None in (name, where) or name == where)
    }
    return bool((causes | again) & set(event.body["rules"]))


def _stop(a: Account, moment: Moment, event: Event) -> None:
    rule, command = a.rules.get("trade_management"), event.body["command"]
    found = ["the rule is off"] if rule is None else faults(a, rule, command)
    for fault in found:
        moment.differ(
            a, "differs", "trade_management", command["instrument"], fault,
            f"{command['type']} at {command['stop_price']} for {command['size']}", event,
        )  # fmt: skip
    moved = (command["instrument"], command.get("order_id", ""))
    if moment.at - a.stop_moved.get(moved, 0) < 1_000_000 and command["type"] == "move_stop":
        moment.differ(
            a, "unjustified", "trade_management", command["instrument"],
            "one change of an order per second", f"order {moved[1]} again", event,
        )  # fmt: skip
    a.stop_moved[moved] = moment.at


def protect(a: Account, moment: Moment) -> None:
    """The stop that the automation owes a position is there, or on its way."""
    rule = a.rules.get("trade_management")
    for name in bare(a, rule, moment.at) if rule is not None else ():
        moment.differ(
            a, "missing", "trade_management", name, f"a stop for {a.book.size(name):+d}", "none"
        )


def concluded(a: Account, moment: Moment, since_start: int) -> None:
    """A command ended: it was on its way, in time, and a failure was told to a person."""
    body = moment.fact.body
    issued = a.outbox.conclude(body, moment.at)
    if issued is None:
        moment.differ(
            a, "unjustified", "command", None, "a command on its way", f"{body['key']} concluded"
        )
        return
    if moment.at - max(issued.issued_at, since_start) > IN_TIME:
        seconds = (moment.at - issued.issued_at) / 1_000_000
        moment.differ(
            a, "missing", issued.rules[0] if issued.rules else "command", issued.instrument,
            "an end in time", f"{issued.kind} ended after {seconds:g} s",
        )  # fmt: skip
    told = any(e.body["severity"] == "critical" for e in moment.of("alert_raised"))
    if body["outcome"] in FAILED and not told and issued.kind in PROTECTIVE:
        moment.differ(
            a, "missing", issued.rules[0] if issued.rules else "command", issued.instrument,
            f"a critical alert: {issued.kind} was {body['outcome']}", "none",
        )  # fmt: skip


def unfinished(a: Account, moment: Moment, since_start: int) -> None:
    """At the end of the ledger: commands without an end must still be in time."""
    for issued in a.outbox.waiting.values():
        if moment.at - max(issued.issued_at, since_start) > IN_TIME:
            moment.differ(
                a, "missing", issued.rules[0] if issued.rules else "command", issued.instrument,
                f"the end of {issued.key}, issued at event {issued.position}", "none",
            )  # fmt: skip
