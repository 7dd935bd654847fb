"""The suite over strategies and their moves: a history that follows on and leads to the present."""

from __future__ import annotations

from typing import Any, get_args

from checks.suites.expectations import between, findings, one_of, unique
from checks.suites.running import Suite
from portcullis.domain.model import StrategyState
from portcullis.domain.strategies import MOVES

STRATEGIES = {
    "strategy": "TEXT", "state": "TEXT", "since": "INTEGER", "moves": "INTEGER",
    "began_state": "TEXT", "began_moves": "INTEGER",
}  # fmt: skip
STRATEGY_MOVES = {
    "position": "INTEGER", "strategy": "TEXT", "before": "TEXT", "after": "TEXT", "role": "TEXT",
}  # fmt: skip

_LEGAL = ", ".join(
    f"('{before}', '{after}')" for before, afters in MOVES.items() for after in afters
)
_WITH_BEFORE = """
(SELECT m.*, coalesce(
    lag(m.after) OVER (PARTITION BY m.strategy ORDER BY m.position), s.began_state, '') AS known
 FROM strategy_moves m LEFT JOIN strategies s ON s.strategy = m.strategy)
"""
_FOLLOWS = f"""
SELECT position, strategy, known, before, after FROM {_WITH_BEFORE} WHERE before <> known
"""
_ILLEGAL = f"""
SELECT position, strategy, before, after FROM strategy_moves
WHERE before <> '' AND (before, after) NOT IN (VALUES {_LEGAL})
"""
_PERMITTED = """
SELECT position, strategy, before, after, role FROM strategy_moves
WHERE before <> '' AND role NOT IN ('operator', 'admin')
"""
_LAST = """
SELECT b.strategy, b.state, m.after AS last_move FROM b LEFT JOIN (
    SELECT strategy, after, max(position) FROM strategy_moves GROUP BY strategy
) m ON m.strategy = b.strategy
WHERE coalesce(m.after, b.began_state, '') <> b.state
"""
_COUNTED = """
SELECT b.strategy, b.moves, b.began_moves + coalesce(m.number, 0) AS recorded FROM b LEFT JOIN (
    SELECT strategy, count(*) AS number FROM strategy_moves GROUP BY strategy
) m ON m.strategy = b.strategy
WHERE b.moves <> b.began_moves + coalesce(m.number, 0)
"""
_NOBODY = """
SELECT m.position, m.strategy FROM strategy_moves m
WHERE NOT EXISTS (SELECT 1 FROM b WHERE b.strategy = m.strategy)
"""


def expectations() -> list[Any]:
    """What must hold of strategies and of every move that is recorded."""
    return [
        unique("strategy.unique", "no strategy is there twice", "strategy"),
        one_of("state.known", "every state is a known one", "state",
               frozenset(get_args(StrategyState))),
        between("moves.positive", "every strategy began by a move", "moves", 1),
        findings("history.follows", "each move goes on from the one before", _FOLLOWS),
        findings("history.legal", "each move is one of the table", _ILLEGAL),
        findings("history.permitted", "each move was asked by who may", _PERMITTED),
        findings("state.is_last_move", "the state is where the moves led", _LAST),
        findings("moves.counted", "as many moves are recorded as were counted", _COUNTED),
        findings("move.of_a_strategy", "each move is of a strategy that is there", _NOBODY),
    ]  # fmt: skip


SUITE = Suite("strategies", "SELECT * FROM strategies", ("strategy",), expectations)
