"""`prefect.yaml` without a server: every deployment loads, and says where and when it runs."""

from pathlib import Path

import pytest

from tasks.timetable import EVIDENCE, PROCESSES, WARM, read_timetable

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def deployments():
    return {each.name: each for each in read_timetable(ROOT / "prefect.yaml")}


FIGURES = "figures"


def test_every_flow_has_a_deployment_and_the_other_way_round(deployments):
    files = {path.stem for path in (ROOT / "flows").glob("*.py") if path.stem[0] != "_"}
    assert set(deployments) == files
    assert all(d.entrypoint == f"flows.{n}.{n}" for n, d in deployments.items())


def test_what_leaves_evidence_is_scheduled_and_the_rest_is_not(deployments):
    for each in deployments.values():
        assert bool(each.schedules) is bool({EVIDENCE, FIGURES} & set(each.tags))
        assert each.work_pool_name in (WARM, PROCESSES)


def test_no_path_of_this_machine_is_in_it():
    text = (ROOT / "prefect.yaml").read_text()
    assert str(ROOT) not in text
    assert "{{ $FLOWS_ROOT }}" in text, "resolved where a run starts"
