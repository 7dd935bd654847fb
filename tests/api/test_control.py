"""What changes something: through the inbox, with the ledger's outcome, and nothing past it."""

from __future__ import annotations

import threading

import msgspec
import pytest

from portcullis.api.keys import KeyFile
from portcullis.domain.events import RequestReceived, decode
from portcullis.domain.model import MINUTE
from portcullis.domain.plan import digest, encode_plan
from portcullis.domain.rules import max_contracts
from portcullis.store import credential
from portcullis.store.opening import open_reader
from tests.api.home import NOW, RunningWorker, asked, settings_of, signed

LOCK = "/api/v1/accounts/A/lock"
RELEASE = "/api/v1/accounts/A/release"


@pytest.fixture
def own(tmp_path):
    """A worker and an API that a test may change and stop."""
    worker = RunningWorker(settings_of(tmp_path))
    with asked(worker.settings) as found:
        found.stop_worker, found.worker = worker.stop, worker
        yield found
    worker.stop()


def recorded(api, request_id):
    with open_reader(api.settings) as reader:
        for stored in reader.read():
            event = decode(stored.payload)
            if isinstance(event, RequestReceived) and event.request_id == request_id:
                return event
    return None


def test_a_lock_stands_in_the_ledger_under_the_name_of_the_key(own):
    reply = own.post(LOCK, "operator", reason="lost connection", seconds=60)
    body = reply.json()
    assert (reply.status_code, body["outcome"]) == (200, "done")
    event = recorded(own, body["request_id"])
    assert (event.verb, event.account, event.reason) == ("lock", "A", "lost connection")
    assert (event.role, event.arguments) == ("operator", {"for_us": 60_000_000})
    assert event.by.startswith("key operator (")
    with open_reader(own.settings) as reader:
        assert body["position"] <= reader.head().position
    (row,) = own.get("/api/v1/locks").json()["locks"]
    assert (row["account"], row["cause"]) == ("A", f"{event.by}: lost connection")
    assert 55 < row["seconds_left"] <= 60
    assert own.get("/api/v1/accounts/A").json()["locked"] is True


def test_a_release_needs_the_signature_of_the_administrator(own):
    own.post(LOCK, "operator", reason="r")
    body = signed(own.settings, "release", "reviewed", "A")
    wrong = own.post(RELEASE, "admin", **{**body, "reason": "another reason"})
    assert wrong.status_code == 403
    assert "key sign" in wrong.json()["remedy"]
    of_b = own.post("/api/v1/accounts/B/release", "admin", **body)
    assert of_b.status_code == 403
    assert own.post(RELEASE, "operator", **body).status_code == 403
    done = own.post(RELEASE, "admin", **body)
    assert (done.status_code, done.json()["outcome"]) == (200, "done")
    assert recorded(own, body["request_id"]).role == "admin"
    assert own.get("/api/v1/locks").json()["locks"] == []
    own.post(LOCK, "operator", reason="again")
    own.post(RELEASE, "admin", **body)
    assert len(own.get("/api/v1/locks").json()["locks"]) == 1, "a signature serves once"


@pytest.mark.parametrize("ago", [16 * MINUTE, -3 * MINUTE])
def test_what_was_signed_at_another_time_loosens_nothing(own, ago):
    own.post(LOCK, "operator", reason="r")
    body = signed(own.settings, "release", "reviewed", "A", at=NOW() - ago)
    reply = own.post(RELEASE, "admin", **body)
    assert reply.status_code == 403
    assert "15 minutes" in reply.json()["detail"]
    assert own.get("/api/v1/accounts/A").json()["locked"] is True


def test_the_api_works_without_the_administrators_key_on_this_machine(own):
    body = signed(own.settings, "release", "reviewed", "A")
    (own.settings.home_path / credential.PRIVATE_FILE).unlink()
    own.post(LOCK, "operator", reason="r")
    assert own.post(RELEASE, "admin", **body).json()["outcome"] == "done"


def test_what_the_worker_refuses_is_a_conflict_with_its_reason(own):
    reply = own.post("/api/v1/accounts/nobody/lock", "operator", reason="r")
    assert (reply.status_code, reply.json()["outcome"]) == (409, "refused")
    assert "not known" in reply.json()["detail"]
    body = signed(own.settings, "open", "go on")
    reply = own.post("/api/v1/mode/release", "admin", **body)
    assert reply.status_code == 409
    assert "evidence is missing" in reply.json()["detail"]
    same = own.get(f"/api/v1/requests/{body['request_id']}")
    assert (same.status_code, same.json()["detail"]) == (409, reply.json()["detail"])


def test_a_flatten_waits_for_what_the_venue_shows(own):
    reply = own.post("/api/v1/accounts/A/flatten", "operator", reason="enough")
    assert reply.status_code == 200
    assert reply.json()["ended"]["outcome"] == "confirmed"


def test_the_gate_is_shut_and_halted(own):
    assert own.post("/api/v1/mode/observe", "operator", reason="r").status_code == 200
    assert own.get("/health").json()["mode"] == "OBSERVE_ONLY"
    assert own.get("/readyz").status_code == 200, "shut on purpose is no reason to restart"
    assert own.post("/api/v1/halt", "operator", reason="r").status_code == 200
    assert own.get("/health").json()["mode"] == "SHUTDOWN"


@pytest.mark.parametrize(
    "body",
    [{}, {"reason": ""}, {"reason": " \u00a0\t"}, {"reason": "x" * 501}, {"reason": 5},
     {"reason": "r", "seconds": 0}, {"reason": "r", "seconds": 1e400}, {"reason": "r", "more": 1},
     {"reason": "r", "seconds": 10**12}],
)  # fmt: skip
def test_what_cannot_be_understood_changes_nothing(own, body):
    import json

    text = json.dumps(body)
    reply = own.ask(
        "POST", LOCK, "operator", content=text, headers={"Content-Type": "application/json"}
    )
    assert reply.status_code == 422
    assert reply.json()["faults"][0]["where"].startswith("body")
    assert own.get("/api/v1/locks").json()["locks"] == []


def test_what_loosens_and_is_not_signed_names_the_command_that_signs(own):
    reply = own.post("/api/v1/mode/release", "admin", reason="please")
    assert (reply.status_code, "portcullis key sign" in reply.json()["remedy"]) == (422, True)


def test_a_request_stands_while_no_worker_runs_and_is_carried_out_by_the_next(own, monkeypatch):
    monkeypatch.setattr("portcullis.api.asking.ANSWER_SECONDS", 0.3)
    own.stop_worker()
    reply = own.post(LOCK, "operator", reason="worker is dead")
    assert (reply.status_code, reply.json()["outcome"]) == (202, "waiting")
    place = f"/api/v1/requests/{reply.json()['request_id']}"
    assert own.get(place).json()["outcome"] == "waiting"
    health = own.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
    assert health.json()["database_accessible"] is True
    ready = own.get("/readyz")
    failed = [row for row in ready.json()["checks"] if row["status"] == "fail"]
    assert ready.status_code == 503
    assert [row["name"] for row in failed] == ["worker"]
    assert "portcullis up" in failed[0]["remedy"]
    assert own.get("/api/v1/accounts").json()["live"] is False
    assert own.get("/api/health").json()["executionQueueStatus"] == "STALLED"
    assert own.get("/healthz").status_code == 200

    again = RunningWorker(own.settings)
    try:
        while own.get(place).json()["outcome"] == "waiting":
            threading.Event().wait(0.05)
        assert own.get(place).json()["outcome"] == "done"
    finally:
        again.stop()


def test_before_the_first_start_everything_answers(tmp_path):
    with asked(settings_of(tmp_path)) as api:
        assert api.get("/healthz").status_code == 200
        assert api.get("/health").json()["status"] == "unhealthy"
        assert api.get("/readyz").status_code == 503
        assert api.get("/api/v1/accounts").json()["accounts"] == []
        assert api.get("/logs").status_code == 503
        assert api.get("/api/v1/alerts").json() == {"alerts": []}
        assert api.post(LOCK, "operator", reason="r").status_code == 503
        assert api.ask("GET", "/config").status_code == 200


def test_every_control_call_is_a_line_of_the_log_with_its_key(own):
    reply = own.post(LOCK, "operator", reason="r")
    line = own.lines[-1]
    assert (line.method, line.path, line.status) == ("POST", LOCK, 200)
    assert line.request_id == reply.headers["x-request-id"]
    file = KeyFile(own.settings.home_path)
    assert line.caller.key_id == file.named_by(own.keys["operator"]).id
    assert own.keys["operator"] not in repr(line)


def test_a_refused_key_is_a_line_of_the_log_without_its_text(own):
    key = own.keys["operator"]
    file = KeyFile(own.settings.home_path)
    file.revoke(file.named_by(key).id, NOW())
    assert own.post(LOCK, "operator", reason="r").status_code == 401
    line = own.lines[-1]
    assert line.status == 401
    assert "revoked" in line.refusal
    assert key.split("_")[2] not in repr(line)


def with_limit(worker, limit):
    accounts = tuple(
        msgspec.structs.replace(each, rules=(max_contracts.Params(limit=limit),))
        for each in worker.plan.accounts
    )
    worker.plan = msgspec.structs.replace(worker.plan, accounts=accounts)


def test_a_looser_limit_waits_for_who_may_agree_and_anybody_withdraws_it(own, tmp_path):
    assert own.get("/config/pending").json()["loosening"] is None
    with_limit(own.worker, 3)
    body = signed(own.settings, "reload", "new plan")
    assert "looser, and waits" in own.post("/config/reload", "admin", **body).json()["detail"]
    found = own.get("/config/pending").json()["loosening"]
    assert found["plan"] == digest(encode_plan(own.worker.plan))
    assert (found["reason"], found["approved_by"]) == ("new plan", None)
    assert [(row["account"], row["recorded"], row["new"]) for row in found["changes"]] == [
        ("A", "2", "3"),
        ("B", "2", "3"),
    ]
    page = own.get("/board", "readonly").text
    assert "Limits to be loosened" in page
    assert "the session after" in page
    by_admin = signed(own.settings, "approve", "I say so myself", plan=found["plan"])
    reply = own.post("/config/approve", "admin", **by_admin)
    assert (reply.status_code, "signature of an approver" in reply.json()["detail"]) == (409, True)
    for plan in (None, "", found["plan"][:12], "A" * 64):
        given = {**by_admin, "plan": plan}
        assert own.post("/config/approve", "admin", **given).status_code == 422
    old = signed(own.settings, "approve", "seen", at=NOW() - 16 * MINUTE, plan=found["plan"])
    assert own.post("/config/approve", "admin", **old).status_code == 403
    assert own.post("/config/withdraw", "readonly", reason="r").status_code == 403
    assert own.post("/config/withdraw", "operator", reason="calm again").status_code == 200
    assert own.get("/config/pending").json()["loosening"] is None
    assert own.post("/config/withdraw", "operator", reason="again").status_code == 409
