"""Strategies: named ways of trading, each in a state, moved by people along a table of moves.

A strategy that may not trade opens no risk at the gate; it can always leave what it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from portcullis.domain.events import ProposalReceived, StrategyMoved
from portcullis.domain.model import Reason, StrategyState
from portcullis.domain.plan import Plan
from portcullis.domain.state import State, Strategy

STRATEGIES_MAX = 500
CONFIGURATION = "configuration"
MOVES: Mapping[StrategyState, tuple[StrategyState, ...]] = {
    "DRAFT": ("PROBATION", "RETIRED"),
    "PROBATION": ("ACTIVE", "PAUSED", "RETIRED"),
    "ACTIVE": ("PROBATION", "PAUSED", "RETIRED"),
    "PAUSED": ("PROBATION", "ACTIVE", "RETIRED"),
    "RETIRED": (),
}
"""Where each state may lead. Nobody comes back from RETIRED: that is another strategy."""

_FREEDOM: Mapping[str, int] = {
    "DRAFT": 0,
    "PAUSED": 0,
    "RETIRED": 0,
    "PROBATION": 1,
    "ACTIVE": 2,
}


def trades(state: str) -> bool:
    """Whether a strategy in this state may open risk."""
    return _FREEDOM[state] > 0


def loosens(before: str, after: str) -> bool:
    """Whether a move lets a strategy do more than before."""
    return _FREEDOM[after] > _FREEDOM[before]


# --- moving -----------------------------------------------------------------------------------


def take_up(world: State, plan: Plan) -> list[StrategyMoved]:
    """Let strategies that a plan names for the first time begin; the others stay as they are."""
    found = []
    for known in world.strategies.values():
        known.planned = False
    for each in plan.strategies:
        name = each.strategy
        if name not in world.strategies:
            world.strategies[name] = Strategy(name, each.starts, world.now)
            found.append(StrategyMoved(name, "", each.starts, CONFIGURATION, "first named here"))
        strategy = world.strategies[name]
        strategy.planned, strategy.accounts = True, each.accounts
        strategy.pool, strategy.probation_contracts = each.pool, each.probation_contracts
    return found


def impossible(world: State, name: str, after: str) -> str:
    """Why a strategy cannot be moved to a state, naming what is possible; empty when it can."""
    strategy = find(world, name)
    if strategy is None:
        names = [each.name for each in world.strategies.values() if each.planned]
        return f"strategy {name!r} is not known here; known are: {', '.join(names) or 'none'}"
    legal = MOVES[strategy.state]
    if after in legal:
        return ""
    where = f"it may move to {', '.join(legal)}" if legal else "no move leads from there"
    return f"{strategy.name} is {strategy.state} and cannot become {after}: {where}"


def move(world: State, name: str, after: Any, *, by: str, reason: str) -> StrategyMoved:
    """Move a strategy; the caller has asked whether it is `impossible`."""
    strategy = world.strategies[name]
    before, strategy.state = strategy.state, cast("StrategyState", after)
    strategy.since, strategy.moves = world.now, strategy.moves + 1
    return StrategyMoved(name, before, strategy.state, by, reason)


def find(world: State, name: str) -> Strategy | None:
    """A strategy that the plan in force names; None where there is none of that name."""
    found = world.strategies.get(name)
    return found if found is not None and found.planned else None


# --- at the gate ------------------------------------------------------------------------------


def denials(proposal: ProposalReceived, world: State) -> tuple[Reason, ...]:
    """Why the strategy that a proposal names may open no risk at all."""
    name = proposal.strategy
    strategy = find(world, name)
    if strategy is None:
        why = f"strategy {name!r} is not known here, so its limit is zero"
        return (Reason("unknown_strategy", why, measured=name, limit="0", allowed="0"),)
    found: tuple[Reason, ...] = ()
    if not trades(strategy.state):
        why = f"strategy {name} is {strategy.state}"
        found += (Reason("strategy_not_trading", why, strategy.state, "PROBATION or ACTIVE", "0"),)
    if proposal.order.account not in strategy.accounts:
        why = f"strategy {name} does not trade on {proposal.order.account}"
        may = ", ".join(strategy.accounts)
        found += (Reason("strategy_elsewhere", why, proposal.order.account, may, "0"),)
    return found


def limited(
    proposal: ProposalReceived, world: State, largest: int
) -> tuple[int, tuple[Reason, ...]]:
    """The largest order of `largest` that the strategy may send, and why this one is too large."""
    strategy = find(world, proposal.strategy)
    if strategy is None or strategy.state != "PROBATION":
        return largest, ()
    most, size = strategy.probation_contracts, proposal.order.size
    if size <= most:
        return min(largest, most), ()
    why = f"strategy {strategy.name} is in PROBATION: one order is at most {most}"
    return min(largest, most), (Reason("probation_size", why, str(size), str(most), str(most)),)


# --- looking ----------------------------------------------------------------------------------


def strategy_rows(world: State) -> list[dict[str, Any]]:
    """One row per strategy that the ledger knows."""
    return [
        {
            "strategy": each.name,
            "state": each.state,
            "trades": trades(each.state) and each.planned,
            "since": each.since,
            "moves": each.moves,
            "accounts": list(each.accounts),
            "pool": each.pool,
            "probation_contracts": each.probation_contracts,
            "planned": each.planned,
            "may_become": list(MOVES[each.state]) if each.planned else [],
        }
        for each in world.strategies.values()
    ]
