"""What holds for every deployment of `prefect.yaml`: its form, its name, its bounds, its tags."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from tasks.timetable import EVIDENCE, FIGURES, ON_DEMAND, WATCH

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.filterwarnings("ignore")
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
KINDS = {EVIDENCE, FIGURES, ON_DEMAND, WATCH}
TIMEOUT_MAX = 3_600
ALONE_BY_A_LOCK = {"integrity", "ledger_rows", "market_data_quality", "replay", "restore"}
"""A limit of the server would kill them after an outage: see docs/decisions/warm_runs.md."""


@pytest.fixture(params=DEPLOYMENTS, ids=lambda each: each["name"])
def written(request) -> Any:
    return request.param


@pytest.fixture
def flow(written) -> Any:
    return load_flow_from_entrypoint(written["entrypoint"])


def test_every_field_of_the_form_says_what_it_is_and_what_it_may_be(flow):
    schema = parameter_schema(flow.fn)
    for name, field in schema.properties.items():
        assert len(field["description"]) > 20, name
        assert field["description"].endswith("."), name
        for each in (field, *field.get("anyOf", ())):
            if each.get("type") in ("integer", "number"):
                assert {"minimum", "maximum"} <= set(each), f"{name} has no bounds"
            if each.get("type") == "string" and "enum" not in each:
                assert {"maxLength", "format"} & set(each), f"{name} has no bounds"


def test_a_run_says_what_ran_and_ends_in_time(flow, written):
    assert flow.name == written["name"]
    assert flow.flow_run_name
    assert 0 < flow.timeout_seconds <= TIMEOUT_MAX
    assert flow.description
    assert not flow.retries, "what may be repeated is a task; a flow would leave its verdict twice"


def test_tags_say_what_kind_it_is_and_which_verdict_it_leaves(written):
    assert len(KINDS & set(written["tags"])) == 1
    leaves = [tag for tag in written["tags"] if tag.startswith("verdict:")]
    assert bool(leaves) is (EVIDENCE in written["tags"] or written["name"] == "silence")
    for tag in leaves:
        assert f"`{tag.removeprefix('verdict:')}`" in written["description"]


def test_a_limit_says_what_becomes_of_the_second_and_is_on_nothing_long(written):
    limit = written.get("concurrency_limit")
    if limit is not None:
        assert limit == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
        assert written["name"] not in ALONE_BY_A_LOCK


def test_only_what_awaits_runs_in_the_operations_process(flow, written):
    assert flow.isasync
    assert written["work_pool"]["name"] in ("warm", "processes")
