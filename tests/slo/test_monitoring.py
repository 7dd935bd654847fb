"""What monitors are told: of one source, accepted by their own tools, and really there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from portcullis.alerts.outbox import Outbox
from portcullis.api.ending import Ending
from portcullis.api.keys import KeyFile, standing
from portcullis.api.meters import Answered
from portcullis.api.meters import Meters as ApiMeters
from portcullis.clock import SystemClock
from portcullis.domain.model import DAY
from portcullis.slo.current import standings
from portcullis.slo.dashboard import board, expressions
from portcullis.slo.objectives import OBJECTIVES
from portcullis.slo.rules import rules
from portcullis.worker.meters import Meters as WorkerMeters

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "deployments/prometheus/rules.yaml"
BOARD = ROOT / "deployments/grafana/portcullis.json"
NAME = re.compile(r"\b(portcullis_[a-z_]+)\b")

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (apt install prometheus)"
)


def promtool(*words: str, given: str | None = None) -> str:
    ended = subprocess.run(
        ["promtool", *words],
        cwd=RULES.parent,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def measured() -> dict[str, Any]:
    """What the worker's figures look like."""
    evidence = [
        {"name": "backup", "state": "passing", "expires_at": 5_000_000},
        {"name": "restore", "state": "missing"},
    ]
    worker = {
        "waiting": 1, "memory_mb": 80.0, "errors_per_minute": 0.0, "event_write_age_s": 0.2,
        "market_data_age_s": 0.5, "snapshot_age_s": 3.0, "uptime_s": 9, "durable": 17,
    }  # fmt: skip
    return {
        "gate_open": True, "mode": "ACTIVE", "evidence": evidence, "venues": {"simulated": True},
        "worker": worker, "now": 2_000_000, "accounts": 5, "locks": 2, "lost_fills": 0,
        "clock_offset_s": 0.0,
    }  # fmt: skip


@pytest.fixture
def texts(tmp_path: Path) -> list[str]:
    """What the worker and the API expose."""
    worker = WorkerMeters(measured)
    worker.decided("approved", 0.003, "trace-1")
    worker.cycled(0.0004)
    worker.refused(422)
    Outbox(tmp_path).close()
    now = SystemClock().now()
    KeyFile(tmp_path).create("grafana", "readonly", now)
    api = ApiMeters(
        tmp_path,
        lambda: None,
        SystemClock().now,
        Ending(lambda: standing(KeyFile(tmp_path).all(), now), now + 90 * DAY),
    )
    api.answered(Answered("GET", "/api/v1/accounts", 200, 0.01, 900, "trace-2"))
    api.follow()
    return [exposed(worker.registry), exposed(api.registry)]


def exposed(registry: CollectorRegistry) -> str:
    from prometheus_client import generate_latest

    return generate_latest(registry).decode()


def names_of(texts: list[str]) -> set[str]:
    found = set()
    for text in texts:
        for family in text_string_to_metric_families(text):
            found.add(family.name)
            found |= {sample.name for sample in family.samples}
            if family.type == "counter":
                found.add(f"{family.name}_total")
            if family.type == "histogram":
                found |= {f"{family.name}_{end}" for end in ("bucket", "count", "sum")}
    return found


def test_the_committed_files_are_those_that_are_generated() -> None:
    assert RULES.read_text() == rules()
    assert BOARD.read_text() == board()


def test_rules_and_board_use_only_what_is_really_measured(texts: list[str]) -> None:
    known = names_of(texts)
    groups = yaml.safe_load(rules())["groups"]
    every = [rule["expr"] for group in groups for rule in group["rules"]] + expressions()
    used = {name for expr in every for name in NAME.findall(expr)}
    assert len(used) > 20
    assert sorted(used - known) == []


def test_there_are_rules_enough_each_with_a_name_of_its_own_and_a_page_that_exists() -> None:
    groups = yaml.safe_load(rules())["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    names = [rule["alert"] for rule in alerts]
    assert len(names) == len(set(names)) >= 20
    pages = {a["annotations"]["runbook"] for a in alerts if "runbook" in a["annotations"]}
    assert [page for page in pages if not (ROOT / page).exists()] == []
    assert {rule["labels"]["severity"] for rule in alerts} == {"page", "ticket", "none"}


def test_the_board_is_one_that_grafana_reads() -> None:
    found = json.loads(board())
    ids = [panel["id"] for panel in found["panels"]]
    assert len(ids) == len(set(ids)) > 25
    places = [tuple(panel["gridPos"].values()) for panel in found["panels"]]
    assert len(places) == len(set(places))
    assert all(
        target["datasource"]["uid"] == "${DS_PROMETHEUS}"
        for panel in found["panels"]
        for target in panel.get("targets", ())
    )


@needs_promtool
def test_promtool_accepts_the_rules_and_its_unit_tests_pass() -> None:
    assert "SUCCESS" in promtool("check", "rules", "rules.yaml")
    assert "SUCCESS" in promtool("test", "rules", "tests.yaml")


@needs_promtool
def test_promtool_accepts_the_scrape_configuration(tmp_path: Path) -> None:
    for name in ("prometheus.yml", "rules.yaml"):
        shutil.copy(RULES.parent / name, tmp_path)
    (tmp_path / "portcullis-api.key").write_text("x")
    assert "SUCCESS" in promtool("check", "config", str(tmp_path / "prometheus.yml"))


@needs_promtool
def test_promtool_accepts_what_is_exposed(texts: list[str]) -> None:
    for text in texts:
        promtool("check", "metrics", given=text)


def test_an_objective_stands_where_its_counts_put_it() -> None:
    text = (
        "# TYPE portcullis_decision_seconds histogram\n"
        'portcullis_decision_seconds_bucket{decision="approved",le="0.4"} 90\n'
        'portcullis_decision_seconds_bucket{decision="approved",le="+Inf"} 100\n'
        'portcullis_decision_seconds_count{decision="approved"} 100\n'
        'portcullis_decision_seconds_sum{decision="approved"} 9\n'
        "# TYPE portcullis_alert_delivery_seconds histogram\n"
        'portcullis_alert_delivery_seconds_bucket{severity="critical",le="10.0"} 4\n'
        'portcullis_alert_delivery_seconds_count{severity="critical"} 4\n'
        'portcullis_alert_delivery_seconds_count{severity="info"} 50\n'
        "# TYPE portcullis_watched_seconds_total counter\n"
        'portcullis_watched_seconds_total{state="good"} 990\n'
        'portcullis_watched_seconds_total{state="bad"} 10\n'
    )
    found = {each.name: each for each in standings(text_string_to_metric_families(text))}
    decision = found["decision"]
    assert (decision.current, decision.compliant, decision.counted) == (0.9, False, 100)
    assert decision.budget_left == pytest.approx(-1.0)
    assert (found["delivery"].current, found["delivery"].counted) == (1.0, 4)
    assert (found["flat"].current, found["flat"].compliant) == (None, True)
    available = found["availability"]
    assert (available.current, available.counted, available.compliant) == (0.99, 1000, False)
    assert [*found] == [each.name for each in OBJECTIVES]
