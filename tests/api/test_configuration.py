"""The configuration as it is shown, the request log, and what the description promises."""

from __future__ import annotations

import gzip
import json

import pytest

from portcullis.api.access import NOBODY
from portcullis.api.app import routes
from portcullis.api.configuration import redacted
from portcullis.api.guard import Asked
from portcullis.api.request_log import RequestLog
from portcullis.config.settings import SECRETS, Settings, origins, read_settings
from portcullis.daily_log import KEPT
from portcullis.domain.model import DAY
from portcullis.trace_context import TraceContext
from portcullis.wiring import prepare_home
from tests.api.home import RunningWorker, asked, settings_of

START = 1_772_550_000_000_000


def test_no_secret_is_shown_and_whether_it_is_set_is(tmp_path):
    known = Settings(
        home=str(tmp_path),
        **dict.fromkeys(SECRETS, "hunter2"),
        backup_target="sftp://user:hunter2@host/folder",
    )
    rows = {row["name"]: row["value"] for row in redacted(known, {})}
    assert "hunter2" not in repr(rows)
    assert rows["PORTCULLIS_BACKUP_TARGET"] == "sftp://***@host/folder"
    assert rows["PORTCULLIS_STORE_URL"] == "(set, and not shown)"
    assert {row["value"] for row in redacted(Settings(), {}) if row["name"].endswith("_KEY")} == {
        ""
    }


def test_each_value_says_where_it_came_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "token").write_text("t")
    (tmp_path / ".env").write_text("PORTCULLIS_GATE_PORT=1\nPORTCULLIS_DEMO_SEED=2\n")
    (home / "settings.env").write_text("PORTCULLIS_GATE_PORT=3\nPORTCULLIS_DEMO_SPEED=4\n")
    environment = {
        "PORTCULLIS_HOME": str(home),
        "PORTCULLIS_DEMO_SEED": "5",
        "PORTCULLIS_VENUE_TOKEN_FILE": str(tmp_path / "token"),
    }
    found, known = origins(environment), read_settings(environment)
    assert found == {
        "home": "environment",
        "demo_seed": "environment",
        "venue_token": "environment (PORTCULLIS_VENUE_TOKEN_FILE)",
        "gate_port": ".env",
        "demo_speed": "settings.env",
    }
    assert (known.demo_seed, known.gate_port, known.demo_speed) == (5, 1, 4)


def test_the_plan_of_the_files_is_compared_with_the_one_in_force(tmp_path):
    known = settings_of(tmp_path)
    prepare_home(known)
    worker = RunningWorker(known)
    try:
        with asked(known) as api:
            body = api.ask("GET", "/config").json()
            assert body["reload_needed"] is True, "the worker of this test has a plan of its own"
            assert body["plan_in_force"] != body["plan_of_files"]
            assert all(row["sha256"] for row in body["files"])
            (known.config_path / "rules.yaml").write_text("profiles: {x: {nonsense: 1}}\n")
            body = api.ask("GET", "/config").json()
            assert body["plan_of_files"] is None
            assert any("nonsense" in fault for fault in body["faults"])
    finally:
        worker.stop()


# --- the log of requests --------------------------------------------------------------------------


class Day:
    number = 0

    def now(self):
        return START + self.number * DAY


TRACE = TraceContext("1" * 32, "2" * 16, sampled=False)
LINE = Asked("r", "GET", "/health", "a=1", NOBODY, 200, 5, 0.0123, "", TRACE)


def test_the_log_has_a_file_a_day_packs_the_rest_and_keeps_thirty(tmp_path):
    day = Day()
    log = RequestLog(tmp_path, day.now)
    for day.number in range(KEPT + 5):
        log.write(LINE)
        log.write(LINE)
    log.close()
    packed = sorted(tmp_path.glob("*.gz"))
    assert len(packed) == KEPT
    assert len((tmp_path / "api.jsonl").read_text().splitlines()) == 2
    lines = gzip.decompress(packed[-1].read_bytes()).splitlines()
    assert [json.loads(line)["path"] for line in lines] == ["/health", "/health"]
    assert json.loads(lines[0])["at"].startswith("2026-04-05"), "the day before the last"
    assert not [each for each in tmp_path.iterdir() if each.suffix == ".tmp"]


def test_a_file_that_is_long_enough_ends_and_a_new_process_goes_on(tmp_path):
    day = Day()
    for _ in range(3):
        log = RequestLog(tmp_path, day.now, bytes_max=1_000)
        for _ in range(10):
            log.write(LINE)
        log.close()
    files = sorted(tmp_path.iterdir())
    packed = [gzip.decompress(each.read_bytes()) for each in files if each.suffix == ".gz"]
    texts = [*packed, (tmp_path / "api.jsonl").read_bytes()]
    assert sum(len(text.splitlines()) for text in texts) == 30
    assert len(files) > 3
    assert all(each.stat().st_mode & 0o077 == 0 for each in files)


# --- the description ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def description():
    return routes().openapi()


def operations(description):
    return [op for of_path in description["paths"].values() for op in of_path.values()]


def test_operation_ids_are_stable(description):
    """Programs are generated from these: one that changes breaks them."""
    assert sorted(op["operationId"] for op in operations(description)) == [
        "acknowledge_alert", "api_health", "api_health_last_snapshot", "api_health_status",
        "api_health_uptime", "approve_loosening", "configuration", "create_key", "end_silence",
        "export_events", "flatten_account",
        "halt", "health", "healthz", "list_accounts", "list_agents", "list_alerts",
        "list_channels", "list_deliveries", "list_drills", "list_events", "list_evidence",
        "list_keys", "list_locks", "list_rules",
        "list_silences", "livez", "lock_account", "logs", "metrics", "metrics_json", "observe",
        "openapi", "pending_loosening", "ready", "readyz", "redeliver", "release_account",
        "release_mode", "reload_configuration",
        "request_outcome", "revoke_key", "rotate_key", "show_account", "show_alert", "silence",
        "slos", "test_channel", "withdraw_loosening",
    ]  # fmt: skip


REFUSALS = {"400", "401", "403", "404", "405", "422", "429", "503"}
TELLS_ALSO_WHEN_UNWELL = {"health", "ready", "readyz", "api_health", "api_health_status"}


def test_every_operation_says_what_it_refuses_and_how(description):
    for op in operations(description):
        name = op["operationId"]
        assert op["description"], name
        assert set(op["responses"]) >= REFUSALS, name
        for code in (code for code in op["responses"] if code >= "400"):
            kinds = set(op["responses"][code]["content"]) - {"application/problem+json"}
            unwell = code == "503" and name in TELLS_ALSO_WHEN_UNWELL
            assert kinds == ({"application/json"} if unwell else set()), (name, code)


def test_bodies_come_with_examples(description):
    for op in operations(description):
        body = op.get("requestBody")
        if body:
            name = body["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
            fields = description["components"]["schemas"][name]["properties"]
            assert any("examples" in field for field in fields.values()) or name == "RotateBody"
