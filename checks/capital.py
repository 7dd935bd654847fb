"""Do pools and their accounts agree? Judged from the folded state and the plan it was folded under.

Every row has a stable id, so that suites and people can name a check for good.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from checks.figures import Rows, lay_out
from checks.suites.capital import ACCOUNTS, POOLS, SUITE
from checks.suites.outcomes import joined
from checks.suites.running import digest_of, validate
from checks.verdicts import Finding, Grade
from portcullis.config.settings import Settings
from portcullis.domain import capital
from portcullis.domain.engine import Engine
from portcullis.domain.money import money
from portcullis.domain.plan import Plan
from portcullis.domain.state import State
from portcullis.store.opening import open_reader
from portcullis.worker.recovery import recover

ROWS_MAX = 500
FIGURES_FILE = "capital.db"
CHECKS = (
    "capital.accounts_vs_pools.equal",
    "capital.account.equal",
    "capital.brought.equal",
    "capital.result.equal",
    "capital.moved.equal",
    "capital.allocations.inside_capital",
    "capital.currency.agrees",
    "capital.membership.agrees",
    "capital.plan.agrees",
)
JOINED = "capital.accounts.joined"
"""Its failure is a warning: an account never compared with its venue opens no risk anyway."""


def check(settings: Settings, now: int) -> Finding:
    """Fold the ledger and compare; raises StoreError when it cannot be read."""
    with open_reader(settings) as reader:
        engine = recover(reader).engine
    plain = judge(engine)
    if not engine.world.pools:
        return plain
    path = settings.operations_path / FIGURES_FILE
    lay_out(path, tables(engine.world))
    outcomes = validate(path, SUITE, {"now": now})
    return joined(plain, f"{len(engine.world.pools)} pools", outcomes, digest_of(SUITE))


def tables(world: State) -> dict[str, tuple[Mapping[str, str], Rows]]:
    """Pools and their accounts as the suite has them; each side's own figures, money in micros."""
    accounts = [
        {
            **row,
            "account_currency": world.accounts[row["account"]].currency
            if row["account"] in world.accounts
            else None,
            "joined": int(row["account"] in world.pools[row["pool"]].members),
        }
        for row in capital.member_rows(world)
    ]
    return {"pools": (POOLS, capital.pool_rows(world)), "pool_accounts": (ACCOUNTS, accounts)}


def judge(engine: Engine) -> Finding:
    """Every check of every pool; what fails comes first, and any of it fails the whole."""
    world, plan = engine.world, engine.plan
    if not plan.pools and not world.pools:
        return Finding(Grade.PASS, "there is no pool, so there is nothing to judge", [])
    wrong = [*capital.faults(world), *plan_faults(world, plan)]
    waiting = waiting_accounts(world)
    rows = [_row(fault, ok=False) for fault in [*wrong, *waiting]]
    failed = {(fault.check, _pool_of(fault.about, world)) for fault in wrong}
    rows += [
        _row(capital.Fault(each, pool.name, "", ""), ok=True)
        for each in CHECKS
        for pool in world.pools.values()
        if (each, pool.name) not in failed
    ]
    if wrong:
        return Finding(Grade.FAIL, f"{len(wrong)} contradictions; {wrong[0]}", rows[:ROWS_MAX])
    if waiting:
        names = ", ".join(fault.about for fault in waiting)
        return Finding(Grade.WARN, f"no balance is known yet of {names}", rows[:ROWS_MAX])
    totals = "; ".join(
        f"{pool.name}: {money(capital.total(pool), pool.currency)} of {len(pool.members)} accounts"
        for pool in world.pools.values()
    )
    return Finding(Grade.PASS, f"pools and accounts agree: {totals}", rows[:ROWS_MAX])


def plan_faults(world: State, plan: Plan) -> list[capital.Fault]:
    """Where the pools of the state are not those of the plan in force."""
    planned = {p.pool: (p.currency, p.capital, p.allocated) for p in plan.pools}
    held = {p.name: (p.currency, p.capital, p.allocated) for p in world.pools.values()}
    return [
        capital.Fault(
            "capital.plan.agrees",
            name,
            str(planned.get(name, "no such pool")),
            str(held.get(name, "no such pool")),
        )
        for name in {**planned, **held}
        if planned.get(name) != held.get(name)
    ]


def waiting_accounts(world: State) -> list[capital.Fault]:
    """Accounts with a part of a pool that are not in its book yet."""
    return [
        capital.Fault(JOINED, name, f"in the book of {pool.name}", "no balance is known")
        for pool in world.pools.values()
        for name in pool.allocated
        if name not in pool.members
    ]


def capital_rows(world: State) -> list[dict[str, Any]]:
    """Pools and their accounts as plain rows, money in micro-units, `ROWS_MAX` of each at most."""
    pools = [{"row": "pool", **row} for row in capital.pool_rows(world)]
    members = [{"row": "account", **row} for row in capital.member_rows(world)]
    return [*pools[:ROWS_MAX], *members[:ROWS_MAX]]


def _pool_of(about: str, world: State) -> str:
    """The pool that a fault is of: itself, or that of an account."""
    if about in world.pools or about not in world.accounts:
        return about
    return world.accounts[about].pool


def _row(fault: capital.Fault, *, ok: bool) -> dict[str, Any]:
    return {
        "check": fault.check,
        "about": fault.about,
        "passed": ok,
        "expected": fault.expected,
        "found": fault.found,
    }
