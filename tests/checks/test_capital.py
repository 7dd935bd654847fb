"""The books of pools beside those of their accounts: what agrees passes, damage does not."""

from __future__ import annotations

import msgspec
import pytest
from typer.testing import CliRunner

from checks import capital as checks
from checks.verdicts import CAPITAL, Grade, verdict_of
from portcullis.cli.main import app
from portcullis.domain.engine import Engine
from portcullis.domain.model import HOUR, MICRO, MINUTE
from portcullis.domain.plan import decode_plan
from portcullis.domain.state import STATE_VERSION, freeze
from portcullis.ports import Snapshot
from portcullis.store.ledger import SqliteLedger
from portcullis.store.reading import LedgerReader
from portcullis.worker.recovery import recover

NOW = 1_800_000_000_000_000


@pytest.fixture
def engine(settings) -> Engine:
    """The state at the end of the demonstration."""
    with LedgerReader(settings.home_path) as reader:
        return recover(reader).engine


def failed(engine: Engine) -> dict[str, str]:
    found = checks.judge(engine)
    return {row["check"]: row["about"] for row in found.rows if not row["passed"]}


def test_the_demonstration_agrees_and_says_with_what(settings):
    found = checks.check(settings, NOW)
    assert found.grade is Grade.PASS
    assert "demonstration: " in found.summary
    assert "5 accounts" in found.summary
    assert {row["check"] for row in found.rows} > set(checks.CHECKS)
    assert all(row["passed"] for row in found.rows)


def test_the_accounts_of_the_demonstration_traded(engine):
    pool = engine.world.pools["demonstration"]
    assert pool.result != 0
    assert len(pool.members) == 5


@pytest.mark.parametrize(
    ("field", "value", "check", "about"),
    [
        ("result", 1, "capital.accounts_vs_pools.equal", "demonstration"),
        ("brought", 1, "capital.brought.equal", "demonstration"),
        ("moved", 1, "capital.moved.equal", "demonstration"),
        ("capital", MICRO, "capital.allocations.inside_capital", "demonstration"),
        ("capital", MICRO, "capital.plan.agrees", "demonstration"),
        ("currency", "EUR", "capital.currency.agrees", "DEMO-END"),
    ],
)
def test_a_damaged_book_fails_by_its_check(engine, field, value, check, about):
    setattr(engine.world.pools["demonstration"], field, value)
    found = checks.judge(engine)
    assert found.grade is Grade.FAIL
    assert failed(engine)[check] == about
    assert not [row for row in found.rows if row["check"] == check and row["passed"]]


def test_damage_in_a_snapshot_fails_and_shows_on_the_command_line(settings, engine):
    engine.world.pools["demonstration"].result += 7 * MICRO
    world = engine.state
    ledger = SqliteLedger(settings.home_path)
    ledger.save_snapshot(Snapshot(ledger.head().position, world.now, STATE_VERSION, freeze(world)))
    ledger.close()
    found = checks.check(settings, NOW)
    assert found.grade is Grade.FAIL
    home = {"PORTCULLIS_HOME": settings.home, "PORTCULLIS_GATE_PORT": "1"}
    shown = CliRunner().invoke(app, ["capital"], env=home)
    assert shown.exit_code == 1
    assert "capital.result.equal of demonstration" in shown.output


def test_an_account_whose_day_was_changed_fails(engine):
    engine.world.accounts["DEMO-LOSS"].realized += 1
    found = checks.judge(engine)
    assert found.grade is Grade.FAIL
    assert "capital.accounts_vs_pools.equal of demonstration" in found.summary


def test_an_account_that_has_no_balance_yet_is_a_warning(engine):
    world = engine.world
    pool = world.pools["demonstration"]
    pool.brought -= pool.members["DEMO-END"].brought
    pool.result -= pool.members["DEMO-END"].result
    del pool.members["DEMO-END"]
    found = checks.judge(engine)
    assert (found.grade, failed(engine)) == (Grade.WARN, {checks.JOINED: "DEMO-END"})


def test_a_pool_that_the_plan_does_not_name_fails(engine):
    engine.plan = msgspec.structs.replace(engine.plan, pools=())
    assert failed(engine) == {"capital.plan.agrees": "demonstration"}


def test_without_pools_there_is_nothing_to_judge(engine):
    found = checks.judge(Engine())
    assert (found.grade, found.rows) == (Grade.PASS, [])
    assert "nothing to judge" in found.summary


def test_rows_are_plain_and_bounded(engine):
    rows = checks.capital_rows(engine.world)
    assert [row["row"] for row in rows] == ["pool"] + ["account"] * 5
    plain = (int, str, type(None))
    assert all(isinstance(value, plain) for row in rows for value in row.values())
    pool = engine.world.pools["demonstration"]
    for number in range(2 * checks.ROWS_MAX):
        engine.world.pools[f"p{number}"] = msgspec.structs.replace(pool, name=f"p{number}")
    assert len(checks.capital_rows(engine.world)) == 2 * checks.ROWS_MAX
    assert len(checks.judge(engine).rows) == checks.ROWS_MAX


def test_the_verdict_outlives_a_missed_hour_and_is_named(engine):
    verdict = verdict_of(CAPITAL, checks.judge(engine), NOW, "run")
    assert (verdict.name, verdict.passed) == ("capital", True)
    assert verdict.expires_at - NOW == 2 * HOUR + 10 * MINUTE


def test_what_the_ledger_keeps_of_the_plan_is_what_is_judged(engine):
    assert decode_plan(engine.world.plan).pools == engine.plan.pools
