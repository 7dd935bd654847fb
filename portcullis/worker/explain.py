"""Explaining one event: what was known before it, the fact behind it, every figure, and why so.

The facts are folded anew from the first one; nothing but the ledger is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from portcullis.domain.commands import Close, Command, Flatten
from portcullis.domain.engine import Engine
from portcullis.domain.events import (
    FACT_KINDS,
    AnyDecision,
    AutomationPlanned,
    BreachFound,
    CommandConcluded,
    CommandIssued,
    LockSet,
    decode,
    encode,
)
from portcullis.domain.overview import account_overview, lock_row, system_overview
from portcullis.domain.state import AccountState, Pending
from portcullis.errors import NotFound, UsageError
from portcullis.ports import Records, StoredEvent
from portcullis.worker.recovery import begin, fact_of


class Explained(NamedTuple):
    """An event explained. `decisions` are all that its fact led to, as recorded.

    `agrees`: the decisions, derived again from the facts, are the recorded ones byte for byte.
    """

    event: StoredEvent
    fact: StoredEvent
    decisions: list[StoredEvent]
    agrees: bool
    system: dict[str, Any]
    accounts: list[dict[str, Any]]


def explain(records: Records, position: int) -> Explained:
    """Fold up to the event; raises UsageError below 1 and NotFound beyond the head."""
    event = _event(records, position)
    engine, fact = _fold_before(records, position)
    recorded = _decisions_after(records, fact.position)
    names = _concerned(event, fact, recorded)
    now, states = fact.at, engine.state.accounts
    system = system_overview(engine, now)
    before = {name: _known(engine, name, now) for name in names}
    pending = {name: dict(states[name].pending) for name in names if name in states}
    derived = engine.apply(fact.position, fact.at, fact_of(fact))
    accounts = [
        {
            "account": name,
            "before": before[name],
            "rules": _figures(engine, name, before[name], now),
            "why": _why(engine, name, derived, pending.get(name, {}), records, fact.position),
        }
        for name in names
    ]
    agrees = [encode(each) for each in derived] == [row.payload for row in recorded]
    return Explained(event, fact, recorded, agrees, system, accounts)


def _event(records: Records, position: int) -> StoredEvent:
    head = records.head().position
    remedy = "`portcullis event list` prints positions in its first column"
    if position < 1:
        raise UsageError(f"a ledger position is 1 or more, not {position}", remedy=remedy)
    if position > head:
        raise NotFound(f"there is no event {position}: the ledger ends at {head}", remedy=remedy)
    base = records.beginning()
    if base is not None and position <= base.position:
        raise NotFound(
            f"event {position} is in the archive: the ledger begins behind {base.position}",
            remedy="`portcullis archive export` prints the events that are there",
        )
    return next(iter(records.read(after=position - 1, through=position)))


def _fold_before(records: Records, position: int) -> tuple[Engine, StoredEvent]:
    """An engine just before the newest fact at or before a position, and that fact."""
    engine, after = begin(records)
    newest: StoredEvent | None = None
    for row in records.read(after=after, through=position):
        if row.kind not in FACT_KINDS:
            continue
        if newest is not None:
            engine.apply(newest.position, newest.at, fact_of(newest))
        newest = row
    if newest is None:
        raise NotFound(
            f"no fact stands before event {position}", remedy="run `portcullis ledger verify`"
        )
    return engine, newest


def _decisions_after(records: Records, position: int) -> list[StoredEvent]:
    """What was decided because of the fact at a position: the rows up to the next fact."""
    found = []
    for row in records.read(after=position):
        if row.kind in FACT_KINDS:
            break
        found.append(row)
    return found


def _concerned(event: StoredEvent, fact: StoredEvent, decisions: list[StoredEvent]) -> list[str]:
    """The accounts an event is about: a decision's own; of a fact, its own and all it led to."""
    rows = [event] if event.kind not in FACT_KINDS else [fact, *decisions]
    names = [row.stream.partition("/")[2] for row in rows]
    return list(dict.fromkeys(name for name in names if name))


def _known(engine: Engine, name: str, now: int) -> dict[str, Any] | None:
    account = engine.state.accounts.get(name)
    return None if account is None else account_overview(engine, account, now)


def _figures(
    engine: Engine, name: str, before: dict[str, Any] | None, now: int
) -> list[dict[str, Any]]:
    """Every rule of the account: its figure before the fact, and with the fact folded."""
    account, watch = engine.state.accounts.get(name), engine.watches.get(name)
    if account is None or watch is None:
        return []
    earlier = {
        (r["rule"], r["instrument"]): r["measured"] for r in (before or {}).get("distances", ())
    }
    found = account_overview(engine, account, now)["distances"]
    rows = []
    for rule, _ in watch.rules:
        own = [row for row in found if row["rule"] == rule.NAME]
        rows += [
            {**row, "before": earlier.get((row["rule"], row["instrument"]), "")} for row in own
        ] or [_unmeasured(rule.CODE, rule.NAME)]
    return rows


def _unmeasured(code: str, name: str) -> dict[str, Any]:
    nothing = dict.fromkeys(("before", "measured", "limit", "left"), "")
    said = "nothing to measure at that moment"
    return {"rule": name, "code": code, "instrument": None, **nothing, "used": 0, "formula": said}


def _why(
    engine: Engine,
    name: str,
    derived: Sequence[AnyDecision],
    pending: dict[str, Pending],
    records: Records,
    after: int,
) -> dict[str, Any]:
    """Why these commands and locks: breach by breach, and what became of every command."""
    own = [each for each in derived if getattr(each, "account", None) == name]
    issued = [each for each in own if isinstance(each, CommandIssued)]
    account = engine.state.accounts.get(name)
    outcomes = _outcomes(records, name, [each.key for each in issued], after)
    return {
        "breaches": [
            _answer(account, each, issued, pending, own)
            for each in own
            if isinstance(each, BreachFound | AutomationPlanned)
        ],
        "commands": [
            {
                "key": each.key,
                "command": command_text(engine, each.command),
                "rules": list(each.rules),
                "outcome": outcomes.get(each.key, "no outcome recorded yet"),
            }
            for each in issued
        ],
        "locks": [
            lock_row(each.lock, engine.state.now) for each in own if isinstance(each, LockSet)
        ],
        "under_way": [
            {"key": each.key, "command": command_text(engine, each.command), "rules": each.rules}
            for each in pending.values()
        ],
    }


def _answer(
    account: AccountState | None,
    breach: BreachFound | AutomationPlanned,
    issued: list[CommandIssued],
    pending: dict[str, Pending],
    own: Sequence[AnyDecision],
) -> dict[str, Any]:
    """One breach with its numbers, and in which command it was merged or by what covered."""
    said = _merged(breach, issued) or _covered(account, breach, pending)
    locked = [
        f"lock {each.lock.id} ({each.lock.ends})"
        for each in own
        if isinstance(each, LockSet) and each.lock.rule == breach.rule
    ]
    reason = breach.reason
    return {
        "rule": breach.rule,
        "code": breach.code,
        "instrument": breach.instrument or None,
        "message": reason.message,
        "measured": reason.measured,
        "limit": reason.limit,
        "formula": reason.formula,
        "answered": said or ("" if locked else "told only: no command was needed or allowed"),
        "locks": locked,
    }


def _merged(breach: BreachFound | AutomationPlanned, issued: list[CommandIssued]) -> str:
    for each in issued:
        if breach.rule in each.rules:
            others = [rule for rule in each.rules if rule != breach.rule]
            together = f", merged with {', '.join(others)}" if others else ""
            return f"{type(each.command).__name__} {each.key}{together}"
    for each in issued:
        command = each.command
        same = isinstance(command, Close) and command.instrument == breach.instrument
        if isinstance(command, Flatten) or same:
            rules = ", ".join(each.rules)
            return f"contained in {type(command).__name__} {each.key} of {rules}, which wins"
    return ""


def _covered(
    account: AccountState | None,
    breach: BreachFound | AutomationPlanned,
    pending: dict[str, Pending],
) -> str:
    """Which command that was under way already brings about what the breach asks for."""
    start = f"{breach.rule}|{breach.instrument or '*'}|"
    standing = account.breaches if account is not None else {}
    for name, kept in standing.items():
        for key in kept.commands if name.startswith(start) else ():
            if key in pending:
                command = type(pending[key].command).__name__
                rules = ", ".join(pending[key].rules)
                return f"covered by {command} {key} of {rules}, under way already"
    return ""


def _outcomes(records: Records, name: str, keys: list[str], after: int) -> dict[str, str]:
    """How commands ended, by key, as far as the ledger says so."""
    found: dict[str, str] = {}
    if not keys:
        return found
    for row in records.read(after=after, stream=f"account/{name}"):
        if row.kind != "command_concluded":
            continue
        event = decode(row.payload)
        if isinstance(event, CommandConcluded) and event.key in keys:
            detail = f": {event.detail}" if event.detail else ""
            found[event.key] = f"{event.outcome} at event {row.position}{detail}"
            if len(found) == len(keys):
                break
    return found


def command_text(engine: Engine, command: Command) -> str:
    """A command in one line, with the ticker people know."""
    words = [type(command).__name__]
    fields = {field: getattr(command, field) for field in command.__struct_fields__}
    order = fields.pop("order", None)
    if order is not None:
        fields |= {"instrument": order.instrument, "side": order.side, "size": order.size}
    for field, value in fields.items():
        if field == "account" or value in (None, False):
            continue
        if field == "instrument":
            listed = engine.world.instruments.get(value)
            words.append(listed.ticker if listed else value)
        else:
            words.append(f"{field.replace('_', ' ')} {value}")
    return " ".join(words)
