"""A flow that ends badly is one alert until a run of it is good."""

import pytest

from checks import failed_flows
from portcullis.config.settings import Settings
from portcullis.domain.model import SECOND
from tests.checks.inbox import alerts_left

NOW = 1_800_000_000 * SECOND


@pytest.fixture
def bare(tmp_path):
    return Settings(home=str(tmp_path))


def test_more_failures_of_the_same_flow_are_the_same_incident(bare):
    for number in range(4):
        failed_flows.failed(bare, "backup", f"run-{number}", "Crashed: killed", NOW + number)
    failed_flows.failed(bare, "replay", "run-9", "TimedOut", NOW)
    first, other = alerts_left(bare)
    assert first.request_id == "alert-flow_failed-backup-run-0-firing"
    assert first.arguments["subject"] == "backup"
    assert "Crashed: killed" in first.arguments["message"]
    assert other.arguments["subject"] == "replay"
    assert {each.subject for each in failed_flows.open_failures(bare)} == {"backup", "replay"}


def test_a_good_run_ends_it_and_the_next_failure_is_another(bare):
    failed_flows.failed(bare, "backup", "run-0", "Crashed", NOW)
    (incident,) = failed_flows.open_failures(bare)
    failed_flows.mended(bare, incident, "backup: Pass", NOW + SECOND)
    assert failed_flows.open_failures(bare) == []
    failed_flows.failed(bare, "backup", "run-5", "Crashed", NOW + 2 * SECOND)
    failed_flows.mended(bare, incident, "the same looked at twice", NOW + 3 * SECOND)
    assert [each.name for each in failed_flows.open_failures(bare)] == ["run-5"]
    assert [left.request_id.removeprefix("alert-flow_failed-") for left in alerts_left(bare)] == [
        "backup-run-0-firing",
        "backup-run-0-resolved",
        "backup-run-5-firing",
    ]
