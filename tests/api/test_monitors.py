"""What a monitor gets of the API beside a real worker."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from portcullis.api.monitors import percentile

OPEN = {"Accept": "application/openmetrics-text; version=1.0.0"}


def families(text: str):
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_both_parts_are_one_exposition_that_ends_once(api):
    api.get("/healthz")
    reply = api.get("/metrics", headers=OPEN)
    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    assert reply.text.count("# EOF") == 1
    found = families(reply.text)
    assert {"portcullis_gate_open", "portcullis_http_requests", "portcullis_disk_free_ratio"} <= (
        found.keys()
    )


@pytest.mark.parametrize(
    ("part", "there", "gone"),
    [
        ("api", "portcullis_disk_free_ratio", "portcullis_gate_open"),
        ("worker", "portcullis_gate_open", "portcullis_disk_free_ratio"),
    ],
)
def test_a_part_alone(api, part, there, gone):
    found = families(api.get(f"/metrics?part={part}", headers=OPEN).text)
    assert there in found
    assert gone not in found
    assert api.get("/metrics?part=none").status_code == 422


def test_plain_text_for_who_asks_for_nothing_else(api):
    reply = api.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain")
    assert "# TYPE portcullis_gate_open gauge" in reply.text


def test_as_json_with_percentiles_and_the_objectives(api):
    found = api.get("/metrics/json").json()["metrics"]
    assert found["portcullis_cycle_seconds"]["type"] == "histogram"
    assert 0 < found["portcullis_cycle_seconds"]["p50"] <= found["portcullis_cycle_seconds"]["p99"]
    slos = {row["objective"]: row for row in api.get("/slos").json()["slos"]}
    assert slos["evaluation"]["counted"] > 0
    assert slos["evaluation"]["compliant"] is True
    assert slos["evaluation"]["why"] == ""
    assert (slos["decision"]["compliant"], slos["decision"]["why"]) == (None, "nothing counted yet")
    assert slos["availability"]["current"] in (None, 1.0)
    assert slos["decision"]["current"] is None


class Sample:
    name = "x_bucket"

    def __init__(self, bound: str, value: float) -> None:
        self.labels, self.value = {"le": bound}, value


@pytest.mark.parametrize(
    ("counts", "share", "found"),
    [
        ([], 0.5, None),
        ([("0.1", 0), ("+Inf", 0)], 0.5, None),
        ([("0.1", 5), ("0.2", 9), ("+Inf", 10)], 0.5, 0.1),
        ([("0.1", 5), ("0.2", 9), ("+Inf", 10)], 0.9, 0.2),
        ([("0.1", 5), ("0.2", 9), ("+Inf", 10)], 0.95, None),
    ],
)
def test_a_percentile_is_the_bound_of_its_bucket(counts, share, found):
    assert percentile([Sample(*each) for each in counts], share) == found
