"""What changed between two plans, in words for the ledger and for people."""

from __future__ import annotations

from typing import Any

from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.rule_changes import hints_of, shown
from portcullis.domain.session import Calendar


def differences(before: Plan, after: Plan) -> tuple[str, ...]:
    """One sentence a change, accounts in the order of the new plan."""
    found: list[str] = []
    old = {each.account: each for each in before.accounts}
    for each in after.accounts:
        earlier = old.pop(each.account, None)
        if earlier is None:
            found.append(f"account {each.account} added with {len(each.rules)} rules")
        else:
            found += _account(earlier, each)
    found += [f"account {name} removed" for name in old]
    found += _fields("gate", before, after, ("accounts", "pools", "strategies"))
    found += _named("pool", before.pools, after.pools)
    found += _named("strategy", before.strategies, after.strategies)
    return tuple(found)


def _named(what: str, before: tuple[Any, ...], after: tuple[Any, ...]) -> list[str]:
    """Pools or strategies by name: added, changed, removed."""
    found: list[str] = []
    old = {getattr(each, what): each for each in before}
    for each in after:
        name = getattr(each, what)
        earlier = old.pop(name, None)
        if earlier is None:
            found.append(f"{what} {name} added")
        else:
            found += _fields(f"{what} {name}", earlier, each, ())
    return found + [f"{what} {name} removed" for name in old]


def _account(before: AccountPlan, after: AccountPlan) -> list[str]:
    found: list[str] = []
    old = {str(rule.__struct_config__.tag): rule for rule in before.rules}
    for rule in after.rules:
        name = str(rule.__struct_config__.tag)
        earlier = old.pop(name, None)
        if earlier is None:
            found.append(f"{after.account}: rule {name} added")
        else:
            found += _fields(f"{after.account}: {name}", earlier, rule, ("calendar",))
    found += [f"{after.account}: rule {name} removed" for name in old]
    return found + _fields(after.account, before, after, ("rules",))


def _fields(where: str, before: Any, after: Any, but: tuple[str, ...]) -> list[str]:
    """The settings that differ, as people write them."""
    hints = hints_of(type(after))
    found = []
    for name in after.__struct_fields__:
        old, new = getattr(before, name), getattr(after, name)
        if name not in but and old != new:
            texts = [shown(hints[name], each) for each in (old, new)]
            if texts[0] == texts[1]:  # too long to be told whole
                is_calendar = isinstance(new, Calendar)
                texts = [texts[0], "another"] if is_calendar else [repr(old), repr(new)]
            found.append(f"{where}: {name} {texts[0]} -> {texts[1]}")
    return found
