"""The shapes of the configuration files, and the plan they amount to.

In one folder: `rules.yaml` (profiles of rules), `accounts.yaml` (which account is watched by what),
`monitoring.yaml` (which evidence holds the gate), `calendar.yaml`, and where there is one
`capital.yaml` (pools and strategies). Everything is read and judged in one pass, before any
connection is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from yaml.nodes import MappingNode, Node

from portcullis.config import capital
from portcullis.config.reader import MISSING, Reader
from portcullis.config.source import Faults, load
from portcullis.domain.evidence import EVIDENCE
from portcullis.domain.model import DAY, MINUTE, SECOND
from portcullis.domain.plan import AccountPlan, Plan, Requirement
from portcullis.domain.rules import RULES, session_block_outside
from portcullis.domain.session import Calendar, CalendarDay
from portcullis.domain.units import Count, Minute, Span, Weekday, Zone
from portcullis.errors import ConfigError

FILES = ("rules.yaml", "accounts.yaml", "monitoring.yaml", "calendar.yaml")
OPTIONAL = (capital.FILE,)
"""Files that a folder may lack."""

_MODULES = {rule.NAME: rule for rule in RULES}


class AccountSettings(msgspec.Struct, frozen=True):
    """An account of `accounts.yaml`; `rules` is read apart, over those of the profile."""

    profile: str = ""
    zone: Zone = "America/Chicago"
    reset: Minute = 17 * 60
    days: tuple[Weekday, ...] = (0, 1, 2, 3, 4)
    calendar: str | None = "cme"
    quote_max_age: Span = 10 * SECOND


class Evidence(msgspec.Struct, frozen=True):
    """Evidence of `monitoring.yaml` that must hold the gate: `portcullis.domain.plan.Requirement`.

    What is left out is no bound.
    """

    at_start: bool = False
    lasts: Span = 0
    shutdown_after: Span = 0
    shutdown_when_failed: bool = False


class Monitoring(msgspec.Struct, frozen=True):
    """`monitoring.yaml` as a whole."""

    required: dict[str, Evidence]
    start_allowance: Span = 10 * MINUTE
    silence_allowance: Span = 2 * MINUTE
    reservation: Span = 10 * SECOND
    commands_per_minute: Count = 20
    keep_online: Span = 90 * DAY


class ClosedDay(msgspec.Struct, frozen=True):
    """A day of `calendar.yaml`: closed, or closing early at a time of the calendar's zone."""

    name: str = ""
    closes: Minute | None = None


class Configuration(NamedTuple):
    """What the files amount to."""

    plan: Plan
    folder: Path


def read_configuration(folder: Path) -> Configuration:
    """Read and judge every file; raises ConfigError with all faults at once."""
    faults = Faults()
    calendars = _calendars(folder, faults)
    profiles = _profiles(folder, faults)
    accounts = _accounts(folder, faults, profiles, calendars)
    monitoring = _monitoring(folder, faults)
    pools, strategies = capital.read(folder, faults, _account_names(folder))
    if faults.found or monitoring is MISSING:
        raise ConfigError(faults.texts())
    required = tuple(
        Requirement(name, *msgspec.structs.astuple(each))
        for name, each in monitoring.required.items()
    )
    plan = Plan(
        accounts,
        required,
        monitoring.start_allowance,
        monitoring.silence_allowance,
        monitoring.reservation,
        monitoring.commands_per_minute,
        monitoring.keep_online,
        pools,
        strategies,
    )
    return Configuration(plan, folder)


def _calendars(folder: Path, faults: Faults) -> dict[str, Calendar]:
    node = load(folder / "calendar.yaml", faults)
    reader = Reader("calendar.yaml", faults)
    found = {}
    for name, _, value in reader.items(node, "") if node else ():
        made = _calendar(reader, name, value)
        if made is not None:
            found[name] = made
    return found


def _calendar(reader: Reader, name: str, node: Node) -> Calendar | None:
    parts = {key: value for key, _, value in reader.items(node, name)}
    for key, value in parts.items():
        if key not in ("zone", "days"):
            reader.unknown(value, name, key, ("zone", "days"), "key")
    if "zone" not in parts or "days" not in parts:
        reader.fault(node, name, "a calendar needs zone and days")
        return None
    zone = reader.value(Zone, parts["zone"], f"{name}.zone")
    days = reader.value(dict[str, ClosedDay], parts["days"], f"{name}.days")
    if zone is MISSING or days is MISSING:
        return None
    return Calendar(
        zone, tuple(CalendarDay(date, day.name, day.closes) for date, day in sorted(days.items()))
    )


def _profiles(folder: Path, faults: Faults) -> dict[str, dict[str, Any]]:
    node = load(folder / "rules.yaml", faults)
    reader = Reader("rules.yaml", faults)
    found: dict[str, dict[str, Any]] = {}
    for name, name_node, value in reader.items(node, "") if node else ():
        if name != "profiles":
            reader.unknown(name_node, "", name, ("profiles",), "key")
            continue
        for profile, _, rules in reader.items(value, "profiles"):
            found[profile] = _profile(reader, rules, f"profiles.{profile}", found)
    return found


def _profile(
    reader: Reader, node: Node, key: str, known: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    base_node, rest = _without(node, "based_on")
    own = read_rules(reader, rest, key)
    if base_node is None:
        return own
    base = str(base_node.value)
    if base not in known:
        reader.unknown(base_node, f"{key}.based_on", base, known, "profile (name an earlier one)")
    return {**known.get(base, {}), **own}


def read_rules(reader: Reader, node: Node, key: str) -> dict[str, Any]:
    """Rules by name: their parameters, or None where a rule is switched `off`."""
    found: dict[str, Any] = {}
    for name, name_node, value in reader.items(node, key):
        module = _MODULES.get(name)
        if module is None:
            reader.unknown(name_node, key, name, _MODULES, "rule")
        elif getattr(value, "value", None) == "off":
            found[name] = None
        else:
            params = reader.struct(module.Params, value, f"{key}.{name}")
            if params is not MISSING:
                for field, problem in getattr(module, "impossible", lambda _: ())(params):
                    reader.fault(value, f"{key}.{name}.{field}", problem)
            found[name] = params
    return found


def _accounts(
    folder: Path,
    faults: Faults,
    profiles: dict[str, dict[str, Any]],
    calendars: dict[str, Calendar],
) -> tuple[AccountPlan, ...]:
    node = load(folder / "accounts.yaml", faults)
    reader = Reader("accounts.yaml", faults)
    plans = []
    for name, name_node, value in reader.items(node, "") if node else ():
        if name != "accounts":
            reader.unknown(name_node, "", name, ("accounts",), "key")
            continue
        for account, _, settings in reader.items(value, "accounts"):
            plan = _account(reader, account, settings, profiles, calendars)
            if plan is not None:
                plans.append(plan)
    if node is not None and not plans and not faults.found:
        reader.fault(node, "accounts", "no account at all: there is nothing to protect")
    return tuple(plans)


def _account_names(folder: Path) -> list[str]:
    """The accounts that `accounts.yaml` names, whatever is wrong with them."""
    node = load(folder / "accounts.yaml", Faults())
    reader = Reader("accounts.yaml", Faults())
    sections = {name: value for name, _, value in reader.items(node, "")} if node else {}
    named = sections.get("accounts")
    return [name for name, _, _ in reader.items(named, "")] if named is not None else []


def _account(
    reader: Reader,
    account: str,
    node: Node,
    profiles: dict[str, dict[str, Any]],
    calendars: dict[str, Calendar],
) -> AccountPlan | None:
    key = f"accounts.{account}"
    rules_node, rest = _without(node, "rules")
    settings = reader.struct(AccountSettings, rest, key)
    own = read_rules(reader, rules_node, f"{key}.rules") if rules_node is not None else {}
    if settings is MISSING:
        return None
    if settings.profile and settings.profile not in profiles:
        reader.unknown(node, f"{key}.profile", settings.profile, profiles, "profile")
        return None
    if settings.calendar is not None and settings.calendar not in calendars:
        reader.unknown(node, f"{key}.calendar", settings.calendar, calendars, "calendar")
        return None
    rules = {**profiles.get(settings.profile, {}), **own}
    chosen = {name: params for name, params in rules.items() if params is not None}
    if not chosen:
        reader.fault(node, key, "no rule at all: give a profile, or rules")
    if _flat_by_elsewhere(chosen.get(session_block_outside.NAME), settings.zone):
        problem = f"is a time of {settings.zone}, but a session is in another zone"
        reader.fault(node, f"{key}.rules.session_block_outside.flat_by", problem)
    calendar = calendars[settings.calendar] if settings.calendar else None
    ordered = tuple(
        _with_calendar(chosen[name], settings.zone, calendar)
        for name in _MODULES
        if name in chosen and chosen[name] is not MISSING
    )
    return AccountPlan(
        account,
        ordered,
        settings.profile,
        settings.zone,
        settings.reset,
        settings.days,
        calendar,
        settings.quote_max_age,
    )


def _flat_by_elsewhere(params: Any, zone: str) -> bool:
    """Whether `flat_by` would silently not end a session, because that is in another zone."""
    return (
        isinstance(params, session_block_outside.Params)
        and params.flat_by is not None
        and any(hours.zone != zone for hours in params.sessions)
    )


def _with_calendar(params: Any, zone: str, calendar: Calendar | None) -> Any:
    if not isinstance(params, session_block_outside.Params):
        return params
    return msgspec.structs.replace(params, zone=zone, calendar=calendar)


def _without(node: Node, name: str) -> tuple[Node | None, Node]:
    if not isinstance(node, MappingNode):
        return None, node
    taken = [value for key, value in node.value if key.value == name]
    rest = MappingNode(
        node.tag,
        [(key, value) for key, value in node.value if key.value != name],
        node.start_mark,
        node.end_mark,
    )
    return (taken[0] if taken else None), rest


def _monitoring(folder: Path, faults: Faults) -> Any:
    node = load(folder / "monitoring.yaml", faults)
    if node is None:
        return MISSING
    reader = Reader("monitoring.yaml", faults)
    found = reader.struct(Monitoring, node, "")
    if found is not MISSING and not found.required:
        reader.fault(node, "required", "no evidence at all: the gate would be held by nothing")
    for evidence, evidence_node in _required(node):
        if evidence not in EVIDENCE:
            reader.unknown(evidence_node, "required", evidence, EVIDENCE, "evidence")
    return found


def _required(node: Node) -> Iterator[tuple[str, Node]]:
    """The names under `required`, wherever they have the right shape."""
    for key, value in node.value if isinstance(node, MappingNode) else ():
        if key.value == "required" and isinstance(value, MappingNode):
            yield from ((str(name.value), name) for name, _ in value.value)
