"""The suites over capital and strategies: what each expectation sees in damaged figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pysqlite3 import dbapi2

from checks import capital, strategies
from checks.figures import lay_out
from checks.suites import capital as capital_suite
from checks.suites import running
from checks.suites import strategies as strategies_suite
from checks.verdicts import Grade
from portcullis.store.reading import LedgerReader
from portcullis.worker.recovery import begin, recover

NOW = 1_800_000_000_000_000
pytestmark = pytest.mark.filterwarnings("ignore")
SUITES = {"capital": capital_suite.SUITE, "strategies": strategies_suite.SUITE}


@pytest.fixture
def laid_out(settings) -> dict[str, Path]:
    """The demonstration's figures as tables."""
    with LedgerReader(settings.home_path) as reader:
        engine, (begun, _) = recover(reader).engine, begin(reader)
        moves = strategies.read_moves(reader, engine.world.position)
    paths = {name: settings.operations_path / f"{name}.db" for name in SUITES}
    lay_out(paths["capital"], capital.tables(engine.world))
    lay_out(paths["strategies"], strategies.tables(engine.world, moves, begun.world))
    return paths


def failing(path: Path, name: str) -> dict[str, list[Any]]:
    found = running.validate(path, SUITES[name], {"now": NOW})
    assert all(each.could_run for each in found), found
    return {each.check: each.samples for each in found if not each.passed}


@pytest.mark.parametrize("name", SUITES)
def test_the_demonstration_passes_by_suite_and_in_words(settings, name):
    found = {"capital": capital, "strategies": strategies}[name].check(settings, NOW)
    assert found.grade is Grade.PASS, found.summary
    assert len(found.suite) == 64
    assert any(row.get("severity") == "critical" for row in found.rows)


@pytest.mark.parametrize("name", SUITES)
def test_each_suite_is_the_one_that_was_agreed(name):
    golden = json.loads((Path(__file__).parent / f"{name}_suite.json").read_text())
    assert running.plain(running.expectation_suite(SUITES[name])) == golden


DAMAGE = [
    ("capital", "UPDATE pools SET total = total + 1", "accounts_vs_pools.equal"),
    ("capital", "UPDATE pool_accounts SET booked = booked - 1 WHERE account = 'DEMO-END'",
     "accounts_vs_pools.equal"),
    ("capital", "UPDATE pool_accounts SET booked = NULL WHERE account = 'DEMO-END'",
     "accounts_vs_pools.equal"),
    ("capital", "UPDATE pools SET result = result + 1", "total.equal"),
    ("capital", "UPDATE pool_accounts SET allocated = allocated + 1", "allocated.equal"),
    ("capital", "UPDATE pools SET capital = allocated - 1", "allocated.inside_capital"),
    ("capital", "UPDATE pool_accounts SET allocated = -1", "allocated.not_negative"),
    ("capital", "UPDATE pools SET capital = 0", "capital.positive"),
    ("capital", "UPDATE pools SET capital = NULL", "capital.known"),
    ("capital", "INSERT INTO pools SELECT * FROM pools", "pool.unique"),
    ("capital", "UPDATE pool_accounts SET account = 'DEMO-END'", "account.one_pool"),
    ("capital", "UPDATE pool_accounts SET account_currency = 'EUR'", "currency.agrees"),
    ("capital", "UPDATE pool_accounts SET account_currency = NULL", "currency.agrees"),
    ("capital", "UPDATE pool_accounts SET joined = 0", "account.joined"),
    ("strategies", "UPDATE strategies SET state = 'RETIRED'", "state.is_last_move"),
    ("strategies", "UPDATE strategies SET state = 'FAMOUS'", "state.known"),
    ("strategies", "UPDATE strategies SET moves = moves + 1", "moves.counted"),
    ("strategies", "UPDATE strategies SET moves = 0", "moves.positive"),
    ("strategies", "INSERT INTO strategies SELECT * FROM strategies", "strategy.unique"),
    ("strategies", ("INSERT INTO strategy_moves SELECT 900000, strategy, 'RETIRED', 'ACTIVE', "
     "'admin' FROM strategies"), "history.legal"),
    ("strategies", ("INSERT INTO strategy_moves SELECT 900000, strategy, 'PAUSED', 'ACTIVE', "
     "'admin' FROM strategies"), "history.follows"),
    ("strategies", ("INSERT INTO strategy_moves SELECT 900000, strategy, state, 'PAUSED', "
     "'readonly' FROM strategies"), "history.permitted"),
    ("strategies", "INSERT INTO strategy_moves VALUES (900000, 'nobody', '', 'DRAFT', '')",
     "move.of_a_strategy"),
    ("strategies", "DELETE FROM strategy_moves", "state.is_last_move"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "damage", "check"), DAMAGE, ids=[d[1][:50] for d in DAMAGE])
def test_damaged_figures_fail_by_their_check_with_samples(laid_out, name, damage, check):
    assert failing(laid_out[name], name) == {}
    with dbapi2.connect(str(laid_out[name])) as connection:
        connection.execute(damage)
    connection.close()
    found = failing(laid_out[name], name)
    assert check in found
    assert found[check]


def test_every_check_of_the_suites_is_damaged_above():
    known = {each.meta["check_id"] for suite in SUITES.values() for each in suite.expectations()}
    assert {check for _, _, check in DAMAGE} == known


def test_figures_are_laid_out_anew_each_time(settings, laid_out):
    with dbapi2.connect(str(laid_out["capital"])) as connection:
        connection.execute("UPDATE pools SET total = 0")
    connection.close()
    assert capital.check(settings, NOW).grade is Grade.PASS
