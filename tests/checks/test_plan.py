"""The plan that checks go by while somebody edits the files."""

from __future__ import annotations

import pytest

from checks.plan import plan_to_go_by
from portcullis.config.settings import Settings
from portcullis.domain.events import LedgerCreated, RulesLoaded
from portcullis.domain.plan import AccountPlan, Plan, digest, encode_plan
from portcullis.errors import ConfigError
from portcullis.ports import Entry
from portcullis.store.ledger import SqliteLedger
from portcullis.wiring import configured_plan, prepare_home


@pytest.fixture
def settings(tmp_path):
    made = Settings(home=str(tmp_path / "home"))
    prepare_home(made)
    return made


def break_the_files(settings):
    (settings.config_path / "rules.yaml").write_text("profiles: {half: {max_contr")


def load(settings, *names):
    """Plans as a worker records them, the last one newest."""
    ledger = SqliteLedger(settings.home_path)
    for at, name in enumerate(names, 1):
        data = encode_plan(Plan((AccountPlan(name, ()),)))
        events = (LedgerCreated("L", "1"), RulesLoaded(digest(data), data))
        ledger.append([Entry("system", at, f"L-{at}", event) for event in events])
    ledger.close()


def test_the_files_where_they_can_be_read(settings):
    load(settings, "RECORDED")
    assert plan_to_go_by(settings) == configured_plan(settings)


def test_the_newest_in_force_while_the_files_have_a_fault(settings):
    load(settings, "BEFORE", "RECORDED")
    break_the_files(settings)
    assert [each.account for each in plan_to_go_by(settings).accounts] == ["RECORDED"]


@pytest.mark.parametrize("has_ledger", [False, True])
def test_neither_is_said(settings, has_ledger):
    if has_ledger:
        load(settings)
    break_the_files(settings)
    with pytest.raises(ConfigError, match=r"rules\.yaml"):
        plan_to_go_by(settings)
