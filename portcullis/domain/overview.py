"""What people and monitors look at: the state and its distances as plain values."""

from __future__ import annotations

from typing import Any

import msgspec

from portcullis.domain import capital, gate, loosening, mode, strategies
from portcullis.domain.engine import Engine
from portcullis.domain.model import BUY, SELL, Lock
from portcullis.domain.money import duration, money, price
from portcullis.domain.state import AccountState, State


def system_overview(engine: Engine, now: int) -> dict[str, Any]:
    """Mode, evidence and connections."""
    state, plan = engine.state, engine.plan
    system = state.system
    required = [need.name for need in plan.required]
    names = required + sorted(name for name in system.verdicts if name not in required)
    return {
        "ledger": system.ledger,
        "mode": system.mode,
        "gate_open": system.mode == "ACTIVE" and not mode.lacking(system, plan.required, now),
        "why": system.why,
        "lacking": list(mode.lacking(system, plan.required, now)),
        "position": state.position,
        "plan": state.plan_digest,
        "loosening": loosening.waiting(state),
        "approvers": [
            {"name": name, **msgspec.structs.asdict(each)}
            for name, each in system.approvers.items()
        ],
        "venues": dict(system.venues),
        "venue_reasons": dict(system.venue_reasons),
        "as_of": state.now,
        "evidence": [_evidence(engine, name, now) for name in names],
    }


def _evidence(engine: Engine, name: str, now: int) -> dict[str, Any]:
    required = any(need.name == name for need in engine.plan.required)
    verdict = engine.state.system.verdicts.get(name)
    if verdict is None:
        return {
            "name": name,
            "required": required,
            "state": "missing",
            "summary": "",
            "expires_in": "",
            "run_id": "",
        }
    fresh = verdict.expires_at > now
    left = duration(verdict.expires_at - now) if fresh else "expired"
    state = ("passing" if fresh else "expired") if verdict.passed else "failed"
    return {
        "name": name,
        "required": required,
        "state": state,
        "summary": verdict.summary,
        "expires_in": left,
        "run_id": verdict.run_id,
        "checked_at": verdict.checked_at,
        "expires_at": verdict.expires_at,
        "link": verdict.link,
    }


def account_overview(engine: Engine, account: AccountState, now: int) -> dict[str, Any]:
    """One account: figures, positions, orders, locks, distances and the largest orders."""
    state, currency = engine.state, account.currency
    watch = engine.watches.get(account.id)
    equity = account.equity()
    distances = [
        msgspec.to_builtins(row)
        for rule, params in (watch.rules if watch else ())
        for row in rule.distance(account, params, state)
    ]
    return {
        "account": account.id,
        "profile": watch.plan.profile if watch else "",
        "trading_day": account.day.label,
        "can_trade": account.can_trade,
        "reconciled": bool(account.reconciled_at),
        "missed_fills": account.missed_fills,
        "realized": money(account.realized, currency),
        "open": money(account.open_pnl, currency),
        "equity": None if equity is None else money(equity, currency),
        "pool": account.pool,
        "allocation_left": _allocation_left(state, account),
        "locked": any(lock.instrument is None for lock in account.locks.values()),
        "partly_locked": any(lock.instrument is not None for lock in account.locks.values()),
        "enforcing": [p.key for p in account.pending.values()],
        "cannot_judge": dict(account.unjudged),
        "positions": [_position(state, p.instrument, account) for p in account.positions.values()],
        "orders": [_order(state, account, key) for key in account.orders],
        "locks": [lock_row(lock, now) for lock in account.locks.values()],
        "distances": distances,
        "largest": _largest(engine, account),
    }


def _allocation_left(state: State, account: AccountState) -> str | None:
    """What an account has not lost of its part, without what is open; None where it has none."""
    result = capital.earned(state, account)
    if result is None:
        return None
    return money(state.pools[account.pool].allocated[account.id] + result, account.currency)


def _position(state: State, name: str, account: AccountState) -> dict[str, Any]:
    position, listed = account.positions[name], state.instruments.get(name)
    return {
        "instrument": name,
        "ticker": listed.ticker if listed else name,
        "size": position.size,
        "mark": price(position.mark, listed) if listed and position.mark is not None else None,
        "open": money(position.pnl, account.currency),
    }


def _order(state: State, account: AccountState, key: str) -> dict[str, Any]:
    order = account.orders[key]
    listed = state.instruments.get(order.instrument)
    at = order.stop_price if order.stop_price is not None else order.limit_price
    return {
        "order_id": key,
        "ticker": listed.ticker if listed else order.instrument,
        "side": "buy" if order.side == BUY else "sell",
        "type": order.type,
        "remaining": order.remaining,
        "status": order.status,
        "price": price(at, listed) if listed and at is not None else None,
    }


def lock_row(lock: Lock, now: int) -> dict[str, Any]:
    """A lock as people read it: what ends it, and in how long."""
    left = "" if lock.until is None else duration(max(0, lock.until - now))
    return {
        "id": lock.id,
        "rule": lock.rule,
        "scope": lock.instrument or "account",
        "ends": lock.ends,
        "in": left,
        "cause": lock.cause,
        "until": lock.until,
    }


def _largest(engine: Engine, account: AccountState) -> dict[str, dict[str, int]]:
    watch, state = engine.watches.get(account.id), engine.state
    if watch is None:
        return {}
    return {
        state.instruments[name].ticker: {
            "buy": min(gate.largest_order(account, name, BUY, state, engine.plan, watch), 10**6),
            "sell": min(gate.largest_order(account, name, SELL, state, engine.plan, watch), 10**6),
        }
        for name in state.quotes
        if name in state.instruments
    }


def overview(engine: Engine, now: int) -> dict[str, Any]:
    """Everything `status` shows."""
    accounts = [account_overview(engine, a, now) for a in engine.state.accounts.values()]
    return {**system_overview(engine, now), "accounts": accounts, **capital_overview(engine)}


def capital_overview(engine: Engine) -> dict[str, Any]:
    """Pools with their accounts, what contradicts itself in them, and the strategies."""
    world = engine.world
    return {
        "pools": [_in_words(row) for row in capital.pool_rows(world)],
        "allocations": [_in_words(row) for row in capital.member_rows(world)],
        "capital_faults": [fault._asdict() for fault in capital.faults(world)],
        "strategies": strategies.strategy_rows(world),
    }


_OF_MONEY = frozenset(
    ("capital", "allocated", "left", "brought", "result", "moved", "total", "accounts_total")
) | {"booked"}


def _in_words(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its money written for people."""
    currency = row["currency"]
    return {
        name: money(value, currency) if name in _OF_MONEY and value is not None else value
        for name, value in row.items()
    }
