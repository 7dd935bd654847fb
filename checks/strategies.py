"""Is every strategy where its recorded moves led it, and was each of them allowed?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from checks.figures import Rows, lay_out
from checks.suites.outcomes import joined
from checks.suites.running import digest_of, validate
from checks.suites.strategies import STRATEGIES, STRATEGY_MOVES, SUITE
from checks.verdicts import Finding, Grade
from portcullis.config.settings import Settings
from portcullis.domain.engine import Engine
from portcullis.domain.events import (
    SYSTEM,
    RequestReceived,
    RulesLoaded,
    StrategyMoved,
    decode,
)
from portcullis.domain.plan import Plan
from portcullis.domain.state import State
from portcullis.domain.strategies import MOVES, find, loosens
from portcullis.domain.strategies import strategy_rows as rows_of_state
from portcullis.store.opening import open_reader
from portcullis.store.reading import EventFilter, LedgerReader
from portcullis.worker.recovery import begin, recover

ROWS_MAX = 500
FIGURES_FILE = "strategies.db"
WANTED = EventFilter(SYSTEM, ("rules_loaded", "request_received", "strategy_moved"))
CHECKS = (
    "strategies.history.begins",
    "strategies.history.follows",
    "strategies.history.legal",
    "strategies.history.permitted",
    "strategies.state.is_last_move",
    "strategies.moves.counted",
    "strategies.plan.agrees",
    "strategies.accounts.known",
    "strategies.pool.holds_accounts",
)


class Move(NamedTuple):
    """A recorded move; `role` is that of the person who asked, empty where nobody did."""

    position: int
    moved: StrategyMoved
    role: str


class Fault(NamedTuple):
    """What is wrong with a strategy, by the check that found it."""

    check: str
    strategy: str
    expected: str
    found: str


def check(settings: Settings, now: int) -> Finding:
    """Fold the ledger, read its moves and compare; raises StoreError when it cannot be read."""
    with open_reader(settings) as reader:
        engine, (begun, begins) = recover(reader).engine, begin(reader)
        moves = read_moves(reader, engine.world.position, begins)
    plain = judge(engine, moves, begun.world)
    if not engine.world.strategies:
        return plain
    path = settings.operations_path / FIGURES_FILE
    lay_out(path, tables(engine.world, moves, begun.world))
    outcomes = validate(path, SUITE, {"now": now})
    return joined(plain, f"{len(moves)} moves", outcomes, digest_of(SUITE))


def tables(
    world: State, moves: Iterable[Move], begun: State
) -> dict[str, tuple[Mapping[str, str], Rows]]:
    """Strategies and their moves as the suite has them; `begun` is the state before the moves."""
    strategies = [
        {
            "strategy": each.name,
            "state": each.state,
            "since": each.since,
            "moves": each.moves,
            "began_state": begun.strategies[name].state if name in begun.strategies else None,
            "began_moves": begun.strategies[name].moves if name in begun.strategies else 0,
        }
        for name, each in world.strategies.items()
    ]
    recorded = [
        {
            "position": each.position,
            "strategy": each.moved.strategy,
            "before": each.moved.before,
            "after": each.moved.after,
            "role": each.role,
        }
        for each in moves
    ]
    return {"strategies": (STRATEGIES, strategies), "strategy_moves": (STRATEGY_MOVES, recorded)}


def read_moves(reader: LedgerReader, position: int, after: int = 0) -> list[Move]:
    """Every move that facts behind `after`, up to a position, led to, oldest first."""
    found: list[Move] = []
    role = ""
    for stored in reader.events(WANTED, after=after):
        event = decode(stored.payload)
        if isinstance(event, StrategyMoved):
            found.append(Move(stored.position, event, role))
        elif stored.position > position:
            break  # it came while the state was being folded
        elif isinstance(event, RequestReceived):
            role = event.role if event.verb == "strategy" else ""
        elif isinstance(event, RulesLoaded):
            role = ""
    return found


def judge(engine: Engine, moves: Iterable[Move], begun: State | None = None) -> Finding:
    """Every check of every strategy; what fails comes first, and any of it fails the whole.

    `begun` is the state before the first of the moves.
    """
    world, plan = engine.world, engine.plan
    if not plan.strategies and not world.strategies:
        return Finding(Grade.PASS, "there is no strategy, so there is nothing to judge", [])
    recorded = list(moves)
    faults = [*history_faults(world, recorded, begun or State()), *plan_faults(world, plan)]
    rows: list[dict[str, Any]] = [{"passed": False, **fault._asdict()} for fault in faults]
    failed = {(fault.check, fault.strategy) for fault in faults}
    rows += [
        {"passed": True, "check": each, "strategy": name, "expected": "", "found": ""}
        for each in CHECKS
        for name in world.strategies
        if (each, name) not in failed
    ]
    if faults:
        first = faults[0]
        said = f"{first.check} of {first.strategy}: {first.expected}, but {first.found}"
        return Finding(Grade.FAIL, f"{len(faults)} contradictions; {said}", rows[:ROWS_MAX])
    states = ", ".join(f"{each.name} {each.state}" for each in world.strategies.values())
    summary = f"{len(recorded)} moves are legal and lead to: {states}"
    return Finding(Grade.PASS, summary, rows[:ROWS_MAX])


def history_faults(world: State, moves: Iterable[Move], begun: State) -> list[Fault]:
    """Moves that do not follow from each other or were not allowed, and where they do not end."""
    found: list[Fault] = []
    states: dict[str, str] = {name: each.state for name, each in begun.strategies.items()}
    counted: dict[str, int] = {name: each.moves for name, each in begun.strategies.items()}
    for each in moves:
        found += _move_faults(each, states.get(each.moved.strategy))
        states[each.moved.strategy] = each.moved.after
        counted[each.moved.strategy] = counted.get(each.moved.strategy, 0) + 1
    for name in {**states, **world.strategies}:
        strategy = world.strategies.get(name)
        state, count = (strategy.state, strategy.moves) if strategy else ("not known", 0)
        last, number = states.get(name, "no move"), counted.get(name, 0)
        if state != last:
            found.append(Fault("strategies.state.is_last_move", name, last, state))
        if count != number:
            found.append(
                Fault("strategies.moves.counted", name, f"{number} moves", f"{count} counted")
            )
    return found


def _move_faults(each: Move, known: str | None) -> list[Fault]:
    moved, where = each.moved, f"event {each.position}"
    before, after, name = moved.before, moved.after, moved.strategy
    if known is None or not before:
        if known is None and not before:
            return []
        check = "strategies.history.begins" if known is None else "strategies.history.follows"
        return [Fault(check, name, known or "no move before", f"{where}: from {before or 'none'}")]
    found = []
    if before != known:
        found.append(Fault("strategies.history.follows", name, known, f"{where}: from {before}"))
    if after not in MOVES[before]:
        legal = ", ".join(MOVES[before]) or "nothing"
        found.append(Fault("strategies.history.legal", name, legal, f"{where}: to {after}"))
    if not each.role or (loosens(before, after) and each.role != "admin"):
        by = each.role or "nobody"
        told = f"{where}: by {by}"
        found.append(Fault("strategies.history.permitted", name, "who may ask", told))
    return found


def plan_faults(world: State, plan: Plan) -> list[Fault]:
    """Strategies without a state, on accounts nobody knows, or outside of their pool."""
    found: list[Fault] = []
    accounts = {each.account for each in plan.accounts}
    pools = {each.pool: each.allocated for each in plan.pools}
    for each in plan.strategies:
        name = each.strategy
        known = find(world, name)
        says = (each.accounts, each.pool, each.probation_contracts)
        held = (known.accounts, known.pool, known.probation_contracts) if known else None
        if held != says:
            found.append(Fault("strategies.plan.agrees", name, str(says), str(held)))
        for account in each.accounts:
            if account not in accounts:
                text = f"{account} is not known"
                found.append(Fault("strategies.accounts.known", name, "a known account", text))
            if each.pool and account not in pools.get(each.pool, {}):
                text = f"{account} is outside"
                found.append(Fault("strategies.pool.holds_accounts", name, each.pool, text))
    return found


def strategy_rows(world: State) -> list[dict[str, Any]]:
    """Strategies as plain rows, `ROWS_MAX` at most."""
    return [
        {**row, "accounts": ", ".join(row["accounts"]), "may_become": ", ".join(row["may_become"])}
        for row in rows_of_state(world)[:ROWS_MAX]
    ]
