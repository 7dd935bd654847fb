"""What two sets of account plans set differently, setting by setting, in the units people write."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from portcullis.domain.money import duration, money
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.units import Minute, Span, Weekday

ABSENT, GATE = "-", "gate"
OF_THE_ACCOUNT = {"reset_minute": Minute, "quote_max_age": Span, "days": tuple[Weekday, ...]}


class RuleChange(NamedTuple):
    """One setting: as recorded and as it would be; `-` where the rule or account is not there."""

    account: str
    rule: str
    setting: str
    recorded: str
    new: str


def rule_changes(before: Sequence[AccountPlan], after: Sequence[AccountPlan]) -> list[RuleChange]:
    """Every setting that differs, accounts in the order of the new plan, then those it drops."""
    old, new = {p.account: p for p in before}, {p.account: p for p in after}
    found: list[RuleChange] = []
    for name in [*new, *(name for name in old if name not in new)]:
        found += _account(name, old.get(name), new.get(name))
    return found


def gate_changes(before: Plan, after: Plan) -> list[RuleChange]:
    """The room that the gate holds for what it let through, where that differs."""
    old, new = before.reservation, after.reservation
    texts = duration(old), duration(new)
    return [] if old == new else [RuleChange("", GATE, "reservation", *texts)]


def settings_of(plan: AccountPlan) -> dict[str, dict[str, str]]:
    """Every rule of an account with the settings it has, as people write them."""
    found: dict[str, dict[str, str]] = {}
    for each in rule_changes((), (plan,)):
        if each.rule:
            settings = found.setdefault(each.rule, {})
            settings |= {each.setting: each.new} if each.new else {}
    return found


def _account(name: str, old: AccountPlan | None, new: AccountPlan | None) -> list[RuleChange]:
    found: list[RuleChange] = []
    rules = [{_name(r): r for r in plan.rules} if plan else {} for plan in (old, new)]
    for rule in [*rules[1], *(rule for rule in rules[0] if rule not in rules[1])]:
        found += _settings(name, rule, rules[0].get(rule), rules[1].get(rule))
    if old is not None and new is not None:
        found += _settings(name, "", old, new, but=("rules", "account", "profile"))
    return found


def _name(params: msgspec.Struct) -> str:
    return str(params.__struct_config__.tag)


def _settings(
    account: str, rule: str, old: Any, new: Any, but: tuple[str, ...] = ()
) -> list[RuleChange]:
    kind = type(new if new is not None else old)
    hints = hints_of(kind)
    found = []
    for field in kind.__struct_fields__:
        values = [getattr(each, field, None) for each in (old, new)]
        if field in but or (values[0] == values[1] and None not in (old, new)):
            continue
        texts = [
            ABSENT if each is None else shown(hints[field], value)
            for each, value in zip((old, new), values, strict=True)
        ]
        if texts[0] == texts[1]:
            texts[1] = f"{texts[1]} (changed)"
        found.append(RuleChange(account, rule, field, *texts))
    if not found and None in (old, new):
        texts = [ABSENT if each is None else "on" for each in (old, new)]
        found.append(RuleChange(account, rule, "", *texts))
    return found


def hints_of(kind: type) -> dict[str, Any]:
    """The types of a struct's settings, with their units."""
    hints = get_type_hints(kind, include_extras=True)
    return hints | (OF_THE_ACCOUNT if kind is AccountPlan else {})


def shown(kind: Any, value: Any) -> str:
    """A setting as a person would write it: `500.00`, `5 min`, `15:08`."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if get_origin(kind) in (Union, types.UnionType):
        kind = next((each for each in get_args(kind) if _fits(each, value)), type(value))
    if isinstance(value, tuple | list):
        inner = (get_args(kind) or (str,))[0]
        return "; ".join(shown(inner, each) for each in value)
    if isinstance(value, dict):
        inner = (get_args(kind) or (str, str))[1]
        return ", ".join(f"{key}: {shown(inner, each)}" for key, each in value.items())
    if isinstance(value, msgspec.Struct):
        return _struct(value)
    return _in_unit(kind, value)


def _struct(value: msgspec.Struct) -> str:
    if "days" in value.__struct_fields__ and "zone" in value.__struct_fields__:
        days = getattr(value, "days", ())
        if days and isinstance(days[0], msgspec.Struct):
            return f"a calendar of {len(days)} days"
    hints = get_type_hints(type(value), include_extras=True)
    fields = ((f, getattr(value, f)) for f in value.__struct_fields__)
    return ", ".join(f"{name} {shown(hints[name], each)}" for name, each in fields)


def _fits(kind: Any, value: Any) -> bool:
    base = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    base = get_origin(base) or base
    return isinstance(base, type) and isinstance(value, base)


def _in_unit(kind: Any, value: Any) -> str:
    meta = get_args(kind)[1] if get_origin(kind) is Annotated else None
    unit = (getattr(meta, "extra", None) or {}).get("unit")
    if unit == "money":
        return money(value, "").strip()
    if unit == "span":
        return duration(value)
    if unit == "wall":
        return f"{value // 60:02d}:{value % 60:02d}"
    if unit == "weekday":
        return ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[value]
    return str(value)
