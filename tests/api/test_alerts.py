"""Alerts over the API, with a real sender beside a real worker and without one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import datetime

import msgspec
import pytest

from portcullis.store.opening import open_inbox
from portcullis.worker.requests import Asked
from tests.api.home import NOW, RunningWorker, asked, settings_of


@pytest.fixture(scope="module")
def api(tmp_path_factory):
    known = settings_of(tmp_path_factory.mktemp("alerts"))
    worker = RunningWorker(known)
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PORTCULLIS")},
        "PORTCULLIS_HOME": known.home,
    }
    sender = subprocess.Popen([sys.executable, "-m", "portcullis", "send"], env=environment)
    with asked(known) as found:
        found.stop_worker = worker.stop
        yield found
    sender.terminate()
    sender.wait(30)
    worker.stop()


def fire(api, subject):
    """An alert as the operations side leaves one; its id once the sender shows it."""
    message = f"{subject} broke"
    told = {"kind": "flow_failed", "state": "firing", "subject": subject, "message": message}
    inbox = open_inbox(api.settings)
    body = msgspec.msgpack.encode(Asked("ended badly", None, told))
    inbox.ask(f"alert-{subject}", "alert", "test", "operator", body, NOW())
    inbox.close()
    deadline = time.monotonic() + 30
    while True:
        rows = api.get("/api/v1/alerts").json()["alerts"]
        found = [row for row in rows if row["message"] == message]
        if found:
            return found[0]
        assert time.monotonic() < deadline, rows
        time.sleep(0.05)


def test_an_alert_has_its_published_names_and_is_acknowledged(api):
    alert = fire(api, "backup")
    assert {
        "alertId", "timestamp", "severity", "title", "message", "rootCause", "recommendedAction",
        "metadata", "acknowledged", "topic", "account", "fingerprint", "state", "count", "runbook",
        "traceId", "checkpoint",
    } <= set(alert)  # fmt: skip
    assert (alert["severity"], alert["acknowledged"]) == ("WARNING", False)
    assert datetime.fromisoformat(alert["timestamp"]).year > 2000
    place = f"/api/v1/alerts/{alert['alertId']}"
    reply = api.post(f"{place}/ack", "operator", reason="looking at it")
    assert (reply.status_code, reply.json()["outcome"]) == (200, "done")
    shown = api.get(place).json()
    assert (shown["acknowledged"], shown["metadata"]["note"]) == (True, "looking at it")
    assert shown["acknowledgedBy"].startswith("key operator (")
    assert shown["deliveries"] == []
    assert api.get("/api/v1/alerts", params={"severity": "INFO"}).json()["alerts"] == []


def test_a_silence_begins_is_listed_and_ends(api):
    reply = api.post("/api/v1/silences", "operator", reason="upgrade", seconds=600, account="A")
    assert reply.status_code == 200, reply.text
    (row,) = api.get("/api/v1/silences").json()["silences"]
    assert row["id"] == reply.json()["silence"]
    assert (row["account"], row["reason"]) == ("A", "upgrade")
    assert api.ask("DELETE", f"/api/v1/silences/{row['id']}", "operator").status_code == 200
    assert api.get("/api/v1/silences").json()["silences"] == []


@pytest.mark.parametrize(
    ("body", "says"),
    [({}, "at least one of"), ({"kind": "No Kind"}, "kind"), ({"alert": "nothing"}, "no alert")],
)  # fmt: skip
def test_a_silence_of_nothing_is_refused(api, body, says):
    reply = api.post("/api/v1/silences", "operator", reason="r", seconds=60, **body)
    assert reply.status_code in (409, 422)
    assert says in reply.json()["detail"]


def test_without_a_worker_the_sender_takes_it_all_the_same(api):
    alert = fire(api, "integrity")
    api.stop_worker()
    reply = api.post(f"/api/v1/alerts/{alert['alertId']}/ack", "operator", reason="seen")
    assert (reply.status_code, reply.json()["outcome"]) == (200, "done")
    assert reply.json()["position"] is None
    assert api.get(f"/api/v1/alerts/{alert['alertId']}").json()["acknowledged"] is True
