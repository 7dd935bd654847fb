"""`capital.yaml`: which accounts share which capital, and which strategies trade where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from yaml.nodes import MappingNode, Node, ScalarNode

from portcullis.config.reader import MISSING, Reader
from portcullis.config.source import Faults, load
from portcullis.domain.capital import POOLS_MAX
from portcullis.domain.model import StrategyState
from portcullis.domain.money import money
from portcullis.domain.plan import PoolPlan, StrategyPlan
from portcullis.domain.strategies import STRATEGIES_MAX
from portcullis.domain.units import Count, Currency, Money

FILE = "capital.yaml"
NAME_MAX = 64
SECTIONS = ("pools", "strategies")


class PoolSettings(msgspec.Struct, frozen=True):
    """A pool of `capital.yaml`: its capital, and the part of each account."""

    currency: Currency
    capital: Money
    accounts: dict[str, Money]


class StrategySettings(msgspec.Struct, frozen=True):
    """A strategy of `capital.yaml`."""

    accounts: tuple[str, ...]
    pool: str = ""
    starts: StrategyState = "DRAFT"
    probation_contracts: Count = 1


def read(
    folder: Path, faults: Faults, accounts: Sequence[str]
) -> tuple[tuple[PoolPlan, ...], tuple[StrategyPlan, ...]]:
    """Pools and strategies; none where there is no such file.

    `accounts`: those that may be named; what is wrong with their own file is said there.
    """
    node = load(folder / FILE, faults) if (folder / FILE).exists() else None
    reader = Reader(FILE, faults)
    sections: dict[str, Node] = {}
    for name, name_node, value in reader.items(node, "") if node else ():
        if name in SECTIONS:
            sections[name] = value
        else:
            reader.unknown(name_node, "", name, SECTIONS, "key")
    pools = _pools(reader, sections.get("pools"), accounts)
    return pools, _strategies(reader, sections.get("strategies"), accounts, pools)


def _pools(reader: Reader, node: Node | None, accounts: Sequence[str]) -> tuple[PoolPlan, ...]:
    found: list[PoolPlan] = []
    taken: dict[str, str] = {}
    for name, _, value in _bounded(reader, node, "pools", POOLS_MAX):
        settings = reader.struct(PoolSettings, value, f"pools.{name}")
        if settings is not MISSING:
            _judge_pool(reader, name, value, settings, accounts, taken)
            found.append(PoolPlan(name, settings.currency, settings.capital, settings.accounts))
    return tuple(found)


def _judge_pool(
    reader: Reader,
    name: str,
    node: Node,
    settings: PoolSettings,
    accounts: Sequence[str],
    taken: dict[str, str],
) -> None:
    key, given = f"pools.{name}.accounts", sum(settings.accounts.values())
    if not settings.accounts:
        reader.fault(node, key, "a pool without an account is nobody's capital")
    for account, account_node, _ in reader.items(_part(node, "accounts"), key):
        if account not in accounts:
            reader.unknown(account_node, key, account, accounts, "account")
        elif account in taken:
            problem = f"is in pool {taken[account]} already; an account has one pool"
            reader.fault(account_node, f"{key}.{account}", problem)
        taken.setdefault(account, name)
    if given > settings.capital:
        most = f"at most {money(settings.capital, settings.currency)} together"
        text = money(given, settings.currency)
        problem = "the allocations exceed the pool's capital"
        reader.fault(_part(node, "accounts"), key, problem, given=text, allowed=most)


def _strategies(
    reader: Reader, node: Node | None, accounts: Sequence[str], pools: tuple[PoolPlan, ...]
) -> tuple[StrategyPlan, ...]:
    found: list[StrategyPlan] = []
    for name, _, value in _bounded(reader, node, "strategies", STRATEGIES_MAX):
        key = f"strategies.{name}"
        settings = reader.struct(StrategySettings, value, key)
        if settings is MISSING:
            continue
        if not settings.accounts:
            reader.fault(value, f"{key}.accounts", "a strategy without an account trades nowhere")
        for account in settings.accounts:
            if account not in accounts:
                reader.unknown(
                    _part(value, "accounts"), f"{key}.accounts", account, accounts, "account"
                )
        _judge_strategy_pool(reader, value, key, settings, pools)
        found.append(
            StrategyPlan(
                name,
                settings.accounts,
                settings.pool,
                settings.starts,
                settings.probation_contracts,
            )
        )
    return tuple(found)


def _judge_strategy_pool(
    reader: Reader,
    node: Node,
    key: str,
    settings: StrategySettings,
    pools: tuple[PoolPlan, ...],
) -> None:
    if not settings.pool:
        return
    by_name = {each.pool: each for each in pools}
    pool = by_name.get(settings.pool)
    if pool is None:
        reader.unknown(_part(node, "pool"), f"{key}.pool", settings.pool, by_name, "pool")
        return
    for account in settings.accounts:
        if account not in pool.allocated:
            inside = ", ".join(pool.allocated)
            problem = f"{account} is not in pool {pool.pool}"
            reader.fault(_part(node, "accounts"), f"{key}.accounts", problem, allowed=inside)


def _bounded(
    reader: Reader, node: Node | None, key: str, most: int
) -> list[tuple[str, Node, Node]]:
    rows = [] if node is None else reader.items(node, key)
    if len(rows) > most:
        reader.fault(node, key, f"{len(rows)} are too many", allowed=f"at most {most}")
    for name, name_node, _ in rows:
        if not (
            isinstance(name_node, ScalarNode) and name.isprintable() and 0 < len(name) <= NAME_MAX
        ):
            allowed = f"1 to {NAME_MAX} characters that can be printed"
            reader.fault(name_node, key, "no name", given=name[:NAME_MAX], allowed=allowed)
    return rows[:most]


def _part(node: Any, name: str) -> Node:
    """The value of a key, for the line of it; the mapping itself where it has no such key."""
    pairs = node.value if isinstance(node, MappingNode) else ()
    found: Node = next((value for key, value in pairs if key.value == name), node)
    return found
