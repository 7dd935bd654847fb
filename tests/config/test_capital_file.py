"""`capital.yaml`: read into the plan, or refused with file, line, key and the nearest word."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from portcullis.config.files import read_configuration
from portcullis.domain.model import MICRO
from portcullis.domain.plan import Plan, decode_plan, encode_plan
from portcullis.domain.plan_difference import differences
from portcullis.errors import ConfigError
from portcullis.wiring import defaults_folder

POOL = "pools:\n  desk: {currency: USD, capital: 100, accounts: {DEMO-SIZE: 60, DEMO-LOSS: 40}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(defaults_folder(), tmp_path / "config")
    return tmp_path / "config"


def plan_of(folder: Path, text: str) -> Plan:
    (folder / "capital.yaml").write_text(text)
    return read_configuration(folder).plan


def test_a_folder_without_the_file_has_no_pools_and_no_strategies(folder):
    (folder / "capital.yaml").unlink()
    plan = read_configuration(folder).plan
    assert (plan.pools, plan.strategies) == ((), ())


def test_an_empty_section_is_as_none(folder):
    assert plan_of(folder, "pools: {}\nstrategies: {}\n").pools == ()


def test_pools_and_strategies_come_into_the_plan(folder):
    strategies = "strategies:\n  s: {accounts: [DEMO-SIZE], pool: desk, starts: PAUSED}\n"
    plan = plan_of(folder, POOL + strategies)
    (pool,), (strategy,) = plan.pools, plan.strategies
    assert pool.allocated == {"DEMO-SIZE": 60 * MICRO, "DEMO-LOSS": 40 * MICRO}
    assert (pool.currency, pool.capital) == ("USD", 100 * MICRO)
    assert (strategy.starts, strategy.accounts) == ("PAUSED", ("DEMO-SIZE",))
    assert decode_plan(encode_plan(plan)) == plan


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (POOL.replace("DEMO-SIZE", "DEMO-SIZ"), ("capital.yaml:2", "mean DEMO-SIZE?")),
        (POOL.replace("60", "60.01"), ("desk.accounts", "exceed", "100.01 USD", "100.00 USD")),
        (POOL.replace("60", "-1"), ("capital.yaml:2", "positive", "given: -1")),
        (POOL.replace("60", "0"), ("capital.yaml:2", "positive")),
        (POOL.replace("100", "none"), ("pools.desk.capital", "not an amount")),
        (POOL.replace("USD", "dollar"), ("pools.desk.currency", "no currency", "USD")),
        (POOL.replace("capital:", "captial:"), ("capital.yaml:2", "did you mean capital?")),
        (POOL.replace("DEMO-LOSS", "DEMO-SIZE"), ("given twice",)),
        (
            POOL + "  more: {currency: USD, capital: 9, accounts: {DEMO-SIZE: 1}}\n",
            ("capital.yaml:3: pools.more.accounts.DEMO-SIZE", "is in pool desk already"),
        ),
        ("pools:\n  d: {currency: USD, capital: 9, accounts: {}}\n", ("nobody's capital",)),
        ("pool: {}\n", ("capital.yaml:1", "unknown key", "did you mean pools?")),
        ("strategies:\n  s: {accounts: []}\n", ("trades nowhere",)),
        ("strategies:\n  s: {accounts: [DEMO-SISE]}\n", ("capital.yaml:2", "DEMO-SIZE?")),
        ("strategies:\n  s: {accounts: [DEMO-SIZE], starts: PAUSE}\n", ("mean PAUSED?",)),
        (
            "strategies:\n  s: {accounts: [DEMO-SIZE], probation_contracts: 0}\n",
            ("strategies.s.probation_contracts", "out of bounds"),
        ),
        (
            POOL + "strategies:\n  s: {accounts: [DEMO-SIZE], pool: dsk}\n",
            ("capital.yaml:4", "unknown pool", "did you mean desk?"),
        ),
        (
            POOL + "strategies:\n  s: {accounts: [DEMO-END], pool: desk}\n",
            ("capital.yaml:4", "DEMO-END is not in pool desk", "DEMO-SIZE, DEMO-LOSS"),
        ),
    ],
)
def test_every_fault_is_named(folder, text, parts):
    with pytest.raises(ConfigError) as raised:
        plan_of(folder, text)
    for part in parts:
        assert part in str(raised.value)


def test_a_fault_of_an_account_is_not_said_again_of_its_pool(folder):
    (folder / "accounts.yaml").write_text(
        "accounts:\n  DEMO-SIZE: {nonsense: 1}\n  DEMO-LOSS: {}\n"
    )
    with pytest.raises(ConfigError) as raised:
        plan_of(folder, POOL)
    assert "capital.yaml" not in str(raised.value)


def test_what_changed_is_said_in_words(folder):
    before = plan_of(folder, POOL)
    after = plan_of(folder, POOL.replace("60", "50").replace("desk", "desk"))
    assert [text[:27] for text in differences(before, after)] == ["pool desk: allocated DEMO-S"]
    assert differences(before, plan_of(folder, "pools: {}\n")) == ("pool desk removed",)
