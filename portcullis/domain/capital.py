"""Capital pools: what several accounts share, and a book of it that does not ask the accounts.

A pool counts each trade by the trade's own id and each movement of a balance once, from the facts.
The accounts arrive at their figures along another way: fills of the day, days rolled into a
balance, sums made anew after a void. Both must come to the same amount; where they do not, one of
them is wrong, and `faults` says so.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from portcullis.domain.events import TradeReported
from portcullis.domain.model import Reason
from portcullis.domain.money import money
from portcullis.domain.plan import Plan
from portcullis.domain.state import AccountState, CountedTrade, Pool, PoolMember, State

POOLS_MAX = 100


class Fault(NamedTuple):
    """Two figures that should agree: which check, of what, and both figures in words."""

    check: str
    about: str
    expected: str
    found: str

    def __str__(self) -> str:
        return f"{self.check} of {self.about}: {self.expected} expected, {self.found} found"


# --- folding ----------------------------------------------------------------------------------


def take_up(world: State, plan: Plan) -> None:
    """Make the pools what a plan says: accounts leave with what they have, others join."""
    pool_of = {name: each.pool for each in plan.pools for name in each.allocated}
    planned = {each.pool for each in plan.pools}
    for pool in list(world.pools.values()):
        for name in [name for name in pool.members if pool_of.get(name) != pool.name]:
            _leave(pool, world.accounts[name])
        if pool.name not in planned:
            del world.pools[pool.name]
    for each in plan.pools:
        pool = world.pools.setdefault(each.pool, Pool(each.pool))
        pool.currency, pool.capital = each.currency, each.capital
        pool.allocated = dict(each.allocated)
    for account in world.accounts.values():
        account.pool = pool_of.get(account.id, "")
        join(world, account)


def join(world: State, account: AccountState) -> None:
    """Enter an account into its pool's book, as soon as its balance is known; once."""
    pool = world.pools.get(account.pool)
    if pool is None or account.id in pool.members or account.opening_balance is None:
        return
    known = {**account.fills, **account.early_fills}
    counted = {
        trade_id: CountedTrade(0 if fill.voided else fill.net, fill.executed_at, fill.voided)
        for trade_id, fill in known.items()
    }
    brought = booked(account)
    pool.members[account.id] = PoolMember(brought, counted=counted)
    pool.brought += brought


def _leave(pool: Pool, account: AccountState) -> None:
    member = pool.members.pop(account.id)
    pool.brought -= member.brought
    pool.moved -= member.moved
    pool.result -= member.result


def count(world: State, account: AccountState, fact: TradeReported) -> None:
    """Count a trade in the pool's book, before the account's own book folds it."""
    pool = world.pools.get(account.pool)
    member = pool.members.get(account.id) if pool else None
    if pool is None or member is None:
        return
    known = member.counted.get(fact.trade_id)
    if known is None and fact.trade_id in account.past_fills:
        return
    net = 0 if fact.voided else (fact.gross or 0) - fact.fees - fact.commission
    if fact.executed_at < account.day.start:
        # Of an ended day: a void of it comes as a movement of the balance.
        _add(pool, member, net if known is None else 0)
    elif known is None:
        member.counted[fact.trade_id] = CountedTrade(net, fact.executed_at, fact.voided)
        _add(pool, member, net)
    elif fact.voided and not known.voided:
        _add(pool, member, -known.net)
        known.net, known.voided = 0, True


def _add(pool: Pool, member: PoolMember, net: int) -> None:
    pool.result += net
    member.result += net


def move(world: State, account: AccountState, amount: int) -> None:
    """A balance moved by something that is no trade; micro-units, negative when money left."""
    pool = world.pools.get(account.pool)
    if pool is not None and account.id in pool.members:
        pool.members[account.id].moved += amount
        pool.moved += amount


def forget_past(world: State, account: AccountState) -> None:
    """The account's trading day has rolled: keep the trades of the day that begins."""
    pool = world.pools.get(account.pool)
    if pool is not None and account.id in pool.members:
        member, start = pool.members[account.id], account.day.start
        member.counted = {i: t for i, t in member.counted.items() if t.executed_at >= start}


# --- figures ----------------------------------------------------------------------------------


def booked(account: AccountState) -> int:
    """What an account has by its own book, micro-units, without what is open."""
    early = sum(fill.net for fill in account.early_fills.values() if not fill.voided)
    return (account.opening_balance or 0) + account.realized + early


def total(pool: Pool) -> int:
    """What the pool's accounts have together by the pool's book, micro-units."""
    return pool.brought + pool.result + pool.moved


def earned(world: State, account: AccountState) -> int | None:
    """What an account has realized since it joined its pool, micro-units; None outside of one."""
    pool = world.pools.get(account.pool)
    member = pool.members.get(account.id) if pool else None
    return None if member is None else booked(account) - member.brought - member.moved


def denials(account: AccountState, world: State) -> tuple[Reason, ...]:
    """Why an account may open no risk: it has lost, with what is open, all that it was given."""
    result = earned(world, account)
    if result is None:
        return ()
    allocated, result = world.pools[account.pool].allocated[account.id], result + account.open_pnl
    if allocated + result > 0:
        return ()
    why = f"the allocation in pool {account.pool} is spent"
    return (
        Reason(
            "allocation_spent",
            why,
            measured=money(result, account.currency),
            limit=money(-allocated, account.currency),
            allowed="0",
            formula="realized since it joined the pool + open profit or loss",
        ),
    )


# --- comparing --------------------------------------------------------------------------------


def faults(world: State) -> list[Fault]:
    """Where pools and accounts contradict each other; empty when all of it is consistent."""
    return [fault for pool in world.pools.values() for fault in _faults(pool, world)]


def account_fault(world: State, account: AccountState) -> Fault | None:
    """What contradicts itself between an account and its pool, at a cost that no pool raises."""
    pool = world.pools.get(account.pool)
    if pool is None:
        return None
    if account.reported and account.currency != pool.currency:
        return Fault("capital.currency.agrees", account.id, pool.currency, account.currency)
    member = pool.members.get(account.id)
    if member is None:
        return None
    expected, has = member.brought + member.result + member.moved, booked(account)
    if expected == has:
        return None
    texts = money(expected, pool.currency), money(has, pool.currency)
    return Fault("capital.account.equal", account.id, *texts)


def _faults(pool: Pool, world: State) -> list[Fault]:
    members = pool.members.values()
    found: list[Fault] = []
    figures = (
        ("capital.accounts_vs_pools.equal", total(pool), _booked_together(pool, world)),
        ("capital.brought.equal", pool.brought, sum(each.brought for each in members)),
        ("capital.result.equal", pool.result, sum(each.result for each in members)),
        ("capital.moved.equal", pool.moved, sum(each.moved for each in members)),
    )
    for check, expected, amount in figures:
        if expected != amount:
            texts = money(expected, pool.currency), money(amount, pool.currency)
            found.append(Fault(check, pool.name, *texts))
    given = sum(pool.allocated.values())
    if given > pool.capital:
        most = f"at most {money(pool.capital, pool.currency)}"
        text = money(given, pool.currency)
        found.append(Fault("capital.allocations.inside_capital", pool.name, most, text))
    for name, account in world.accounts.items():
        if account.pool == pool.name and (fault := account_fault(world, account)) is not None:
            found.append(fault)
        if (account.pool == pool.name) != (name in pool.allocated):
            found.append(Fault("capital.membership.agrees", name, pool.name, account.pool))
    return found


def _booked_together(pool: Pool, world: State) -> int:
    return sum(booked(world.accounts[name]) for name in pool.members if name in world.accounts)


def pool_rows(world: State) -> list[dict[str, Any]]:
    """One row per pool, money in micro-units."""
    return [
        {
            "pool": pool.name,
            "currency": pool.currency,
            "capital": pool.capital,
            "allocated": sum(pool.allocated.values()),
            "left": pool.capital - sum(pool.allocated.values()),
            "brought": pool.brought,
            "result": pool.result,
            "moved": pool.moved,
            "total": total(pool),
            "accounts_total": _booked_together(pool, world),
            "accounts": len(pool.allocated),
            "joined": len(pool.members),
        }
        for pool in world.pools.values()
    ]


def member_rows(world: State) -> list[dict[str, Any]]:
    """One row per account that a pool gives capital to, money in micro-units; None: not known."""
    rows = []
    for pool in world.pools.values():
        for name, allocated in pool.allocated.items():
            account = world.accounts.get(name)
            result = None if account is None else earned(world, account)
            rows.append(
                {
                    "pool": pool.name,
                    "account": name,
                    "currency": pool.currency,
                    "allocated": allocated,
                    "booked": None if account is None or result is None else booked(account),
                    "result": result,
                    "left": None if result is None else allocated + result,
                }
            )
    return rows
