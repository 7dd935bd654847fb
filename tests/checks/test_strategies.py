"""The history of strategies: legal, permitted, complete, and ending where the state says."""

from __future__ import annotations

import msgspec
import pytest

from checks import strategies as checks
from checks.verdicts import Grade
from portcullis.domain.engine import Engine
from portcullis.domain.events import (
    SYSTEM,
    RequestReceived,
    StrategyMoved,
    TimePassed,
    stream_of,
)
from portcullis.ports import Entry
from portcullis.store.ledger import SqliteLedger
from portcullis.store.reading import LedgerReader
from portcullis.worker.recovery import recover

NOW = 1_800_000_000_000_000


def append(settings, *events) -> None:
    """Write behind the ledger's end, as a worker would, whatever it is."""
    ledger = SqliteLedger(settings.home_path)
    at = NOW
    ledger.append([Entry(stream_of(event), at, "t", event) for event in events])
    ledger.close()


def ask(settings, strategy: str, to: str, role: str = "admin", forged: str = "") -> None:
    """A request and what the engine decides on it; `forged` takes the place of the new state."""
    with LedgerReader(settings.home_path) as reader:
        engine = recover(reader).engine
        position = reader.head().position
    fact = RequestReceived(
        f"q{position}", "strategy", "me", role, "why", None, {"strategy": strategy, "to": to}
    )
    decisions = list(engine.apply(position + 1, NOW, fact))
    if forged:
        decisions = [
            msgspec.structs.replace(each, after=forged) if isinstance(each, StrategyMoved) else each
            for each in decisions
        ]
    append(settings, fact, *decisions)


def failed(found) -> set[str]:
    """Of the checks in words; those of the suite have no prefix, and tests of their own."""
    return {each for each in checked(found, passed=False) if each.startswith("strategies.")}


def checked(found, *, passed: bool) -> set[str]:
    return {row["check"] for row in found.rows if row["passed"] is passed}


def test_the_demonstration_has_two_strategies_that_began(settings):
    found = checks.check(settings, NOW)
    assert found.grade is Grade.PASS
    assert "2 moves are legal" in found.summary
    assert "mean-reversion PROBATION" in found.summary
    assert checked(found, passed=True) > set(checks.CHECKS)


def test_moves_of_people_pass(settings):
    ask(settings, "opening-range", "PAUSED", role="operator")
    ask(settings, "opening-range", "ACTIVE", role="operator")  # refused: it loosens
    ask(settings, "mean-reversion", "ACTIVE")
    found = checks.check(settings, NOW)
    assert found.grade is Grade.PASS
    assert "opening-range PAUSED, mean-reversion ACTIVE" in found.summary


def test_a_move_recorded_other_than_it_was_decided_fails(settings):
    ask(settings, "opening-range", "PAUSED", forged="RETIRED")
    found = checks.check(settings, NOW)
    assert (found.grade, failed(found)) == (Grade.FAIL, {"strategies.state.is_last_move"})


@pytest.mark.parametrize(
    ("moved", "wrong"),
    [
        (
            StrategyMoved("opening-range", "PROBATION", "ACTIVE", "me", "x"),
            {"strategies.history.follows", "strategies.history.permitted"},
        ),
        (
            StrategyMoved("opening-range", "ACTIVE", "DRAFT", "me", "x"),
            {
                "strategies.history.legal",
                "strategies.history.permitted",
                "strategies.state.is_last_move",
            },
        ),
        (
            StrategyMoved("opening-range", "", "ACTIVE", "me", "x"),
            {"strategies.history.follows"},
        ),
        (
            StrategyMoved("nobody", "DRAFT", "RETIRED", "me", "x"),
            {"strategies.history.begins", "strategies.state.is_last_move"},
        ),
    ],
)
def test_a_move_nobody_decided_fails(settings, moved, wrong):
    append(settings, TimePassed(), moved)
    found = checks.check(settings, NOW)
    assert found.grade is Grade.FAIL
    assert failed(found) - {"strategies.moves.counted"} == wrong
    assert "strategies.moves.counted" in failed(found)


def test_a_looser_move_on_an_operators_word_fails(settings):
    fact = RequestReceived(
        "q", "strategy", "me", "operator", "why", None,
        {"strategy": "mean-reversion", "to": "ACTIVE"},
    )  # fmt: skip
    append(settings, fact, StrategyMoved("mean-reversion", "PROBATION", "ACTIVE", "me", "why"))
    found = checks.check(settings, NOW)
    assert "strategies.history.permitted" in failed(found)


def test_a_state_without_its_moves_and_a_strategy_without_a_state_fail(settings):
    with LedgerReader(settings.home_path) as reader:
        engine = recover(reader).engine
        moves = checks.read_moves(reader, engine.world.position)
    assert failed(checks.judge(engine, moves[1:])) == {
        "strategies.state.is_last_move",
        "strategies.moves.counted",
    }
    del engine.world.strategies["opening-range"]
    assert "strategies.plan.agrees" in failed(checks.judge(engine, moves))


def test_accounts_and_pools_that_are_not_there_fail(settings):
    with LedgerReader(settings.home_path) as reader:
        engine = recover(reader).engine
        moves = checks.read_moves(reader, engine.world.position)
    (first, *rest) = engine.plan.strategies
    gone = msgspec.structs.replace(first, accounts=("GONE",))
    engine.plan = msgspec.structs.replace(engine.plan, strategies=(gone, *rest))
    assert failed(checks.judge(engine, moves)) == {
        "strategies.plan.agrees",
        "strategies.accounts.known",
        "strategies.pool.holds_accounts",
    }


def test_what_came_while_the_state_was_folded_is_left_for_the_next_time(settings):
    with LedgerReader(settings.home_path) as reader:
        engine = recover(reader).engine
    ask(settings, "opening-range", "PAUSED")
    with LedgerReader(settings.home_path) as reader:
        moves = checks.read_moves(reader, engine.world.position)
    assert checks.judge(engine, moves).grade is Grade.PASS


def test_without_strategies_there_is_nothing_to_judge():
    found = checks.judge(Engine(), [])
    assert (found.grade, found.rows) == (Grade.PASS, [])


def test_rows_are_plain(settings):
    with LedgerReader(settings.home_path) as reader:
        engine = recover(reader).engine
    rows = checks.strategy_rows(engine.world)
    assert [row["strategy"] for row in rows] == ["opening-range", "mean-reversion"]
    assert rows[0]["may_become"] == "PROBATION, PAUSED, RETIRED"
    assert all(isinstance(v, int | str) for row in rows for v in row.values())
    assert checks.WANTED.stream == SYSTEM
