"""Tighten now, loosen later: which looser settings wait, for what, and when their time has come.

A looser setting comes into force at an account's first session after it was asked for, or as soon
as a second person agrees; and never while its rule has a lock or a breach standing.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from portcullis.domain.model import HOUR, Lock
from portcullis.domain.plan import AccountPlan, Plan, decode_plan
from portcullis.domain.rule_changes import GATE, RuleChange, gate_changes, rule_changes
from portcullis.domain.state import AccountState, Approver, Loosening, State
from portcullis.domain.strictness import rule_name, stricter

ENROLLED_FOR = 24 * HOUR
"""How long an approver must have been one: who is short of patience cannot make one up."""

APPROVERS_MAX = 20
_Choose = Callable[[AccountPlan, AccountPlan | None], AccountPlan | None]


def tightened(now: Plan, wanted: Plan) -> Plan:
    """`wanted`, with each looser setting of an account that is watched already left as it is.

    Evidence, pools and strategies are no limits of an account and are taken as wanted.
    """
    merged = _merged(now, wanted, lambda old, new: stricter(old, new) if new else old)
    longest = max(now.reservation, wanted.reservation)  # until then its room is not given twice
    return msgspec.structs.replace(merged, reservation=longest)


def loosened(now: Plan, world: State) -> Plan:
    """`now`, with everything of what was asked for whose time has come."""
    asked = world.system.loosening
    if asked is None or not any(
        is_due(world.accounts[each.account], asked) for each in now.accounts
    ):
        return now
    wanted = _decoded(asked.plan)

    def take(old: AccountPlan, new: AccountPlan | None) -> AccountPlan | None:
        account = world.accounts[old.account]
        return _taken(old, new, account) if is_due(account, asked) else old

    merged = _merged(now, wanted, take)
    accounts = (world.accounts[each.account] for each in now.accounts)
    if all(is_due(each, asked) and not is_troubled(each) for each in accounts):
        return merged
    return msgspec.structs.replace(merged, reservation=now.reservation)


def is_due(account: AccountState, asked: Loosening) -> bool:
    """Whether a second person agreed, or a session has begun since it was asked for."""
    return bool(asked.approved_by) or account.day.start >= asked.asked_at


def is_tripped(account: AccountState, rule: str) -> bool:
    """Whether a rule holds a lock, or has a breach that stands."""
    holds = any(row.rule == rule and _is_trouble(row) for row in account.locks.values())
    return holds or bool(account.standing(rule))


def is_troubled(account: AccountState) -> bool:
    """Whether any rule of the account is tripped, or a person has locked it."""
    holds = any(_is_trouble(row) for row in account.locks.values())
    return holds or any(each.level for each in account.breaches.values())


def _is_trouble(lock: Lock) -> bool:
    """A lock that only another configuration ends must not keep it from coming."""
    return lock.ends != "config"


@lru_cache(maxsize=2)
def _decoded(data: bytes) -> Plan:
    """Looked at every second while something waits, and large where there are many accounts."""
    return decode_plan(data)


@lru_cache(maxsize=2)
def _changes(before: bytes, after: bytes) -> tuple[RuleChange, ...]:
    now, wanted = _decoded(before), _decoded(after)
    return (*rule_changes(now.accounts, wanted.accounts), *gate_changes(now, wanted))


def waiting(world: State) -> dict[str, Any] | None:
    """What waits, for people and programs: who asked, and setting by setting what it waits for."""
    asked = world.system.loosening
    if asked is None:
        return None
    return {
        "plan": asked.digest,
        "by": asked.by,
        "reason": asked.reason,
        "asked_at": asked.asked_at,
        "approved_by": asked.approved_by or None,
        "changes": [
            {**row._asdict(), "waits_for": _waits_for(world, row.account, row.rule)}
            for row in _changes(world.plan, asked.plan)
        ],
    }


def _waits_for(world: State, name: str, rule: str) -> str:
    asked, account = world.system.loosening, world.accounts.get(name)
    if rule == GATE:
        return "the next session of every account, or an approver, and no lock on any"
    if account is None or asked is None:
        return ""
    if is_tripped(account, rule) if rule else is_troubled(account):
        return f"{rule or 'the account'} to have no lock and no breach"
    if is_due(account, asked):
        return "the next second"
    return f"the session after {account.day.label}, or an approver"


def refusal(world: State, approver: str, plan: str) -> str:
    """Why an approver cannot agree now to the plan of this digest; empty where it can."""
    asked, known = world.system.loosening, world.system.approvers.get(approver)
    if known is None:
        return "this needs the signature of an approver; `portcullis approver list` names them"
    if asked is None:
        return "nothing waits to be agreed to"
    if world.now - known.enrolled_at < ENROLLED_FOR:
        return f"{approver} became an approver less than {ENROLLED_FOR // HOUR} hours ago"
    if plan != asked.digest:  # the files may have changed since the approver looked
        return "what waits is not the plan that was agreed to; look at `config pending` again"
    return ""


def enrol(world: State, name: str, key: str, by: str) -> str:
    """Make somebody an approver; says why not."""
    known = world.system.approvers
    if not name.strip() or len(name) > 64 or not name.isprintable():
        return "an approver needs a name of 64 characters at most"
    if name in known:
        return f"{name} is an approver already; dismiss the old key first"
    if any(each.key == key for each in known.values()):
        return "this key is an approver's already"
    if len(known) >= APPROVERS_MAX:
        return f"there are {APPROVERS_MAX} approvers; dismiss one first"
    known[name] = Approver(key, world.now, by)
    return ""


def _merged(now: Plan, wanted: Plan, choose: _Choose) -> Plan:
    """Accounts as chosen between the old plan of each and the new one; new ones as wanted."""
    left = {each.account: each for each in now.accounts}
    accounts = []
    for each in wanted.accounts:
        old = left.pop(each.account, None)
        accounts.append(each if old is None else choose(old, each))
    accounts += [choose(old, None) for old in left.values()]
    kept = tuple(each for each in accounts if each is not None)
    return msgspec.structs.replace(wanted, accounts=kept)


def _taken(old: AccountPlan, new: AccountPlan | None, account: AccountState) -> AccountPlan | None:
    """The new plan of an account whose time has come, but for the rules that are tripped."""
    if new is None:
        return old if is_troubled(account) else None
    before = {rule_name(each): each for each in old.rules}
    rules = [
        before[name] if is_tripped(account, name) and name in before else each
        for each in new.rules
        for name in (rule_name(each),)
    ]
    named = {rule_name(each) for each in new.rules}
    rules += [
        each for name, each in before.items() if name not in named and is_tripped(account, name)
    ]
    frame = old if is_troubled(account) else new
    if frame.zone != new.zone:  # hours of day of the rules are those of the frame
        return old
    return msgspec.structs.replace(frame, rules=tuple(rules))
