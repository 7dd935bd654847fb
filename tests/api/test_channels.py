"""Channels over the API: a real sender, real sinks, a real worker; and no address anywhere."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from portcullis.alerts.configured import keep_address
from tests.alerts.sinks import http_sink
from tests.api.home import RunningWorker, asked, settings_of

SECRET = "topsecret"
PATIENCE = 30


@pytest.fixture(scope="module")
def sink():
    with http_sink() as started:
        yield started


@pytest.fixture(scope="module")
def api(tmp_path_factory, sink):
    """The sender's file with the addresses is nowhere where the API could find it."""
    home = tmp_path_factory.mktemp("channels")
    known = settings_of(home, channels=str(tmp_path_factory.mktemp("secret") / "addresses"))
    (known.config_path).mkdir()
    (known.config_path / "alerts.yaml").write_text(
        "subscriptions:\n- {channel: desk, severity: critical, accounts: all}\n"
        "channels:\n  desk: {pace: 250 ms}\n"
    )
    keep_address(known, "desk", f"json://anna:{SECRET}@127.0.0.1:{sink.port}/{SECRET}")
    keep_address(known, "wrong", f"nowhere://{SECRET}")
    worker = RunningWorker(known)
    own = {k: v for k, v in os.environ.items() if not k.startswith("PORTCULLIS_")}
    sender = subprocess.Popen(
        [sys.executable, "-m", "portcullis", "send"],
        env={**own, "PORTCULLIS_HOME": known.home, "PORTCULLIS_CHANNELS": known.channels},
    )
    with asked(settings_of(home, gate_port=known.gate_port)) as found:
        found.stop_worker = worker.stop
        rows(found, "wrong")
        yield found
    sender.terminate()
    sender.wait(30)
    worker.stop()


def rows(api, until):
    """Every channel by its name, once the sender has published one."""
    deadline = time.monotonic() + PATIENCE
    while True:
        reply = api.get("/api/v1/channels")
        assert reply.status_code == 200
        assert SECRET not in reply.text
        found = {row["channel"]: row for row in reply.json()["channels"]}
        if until in found:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def try_desk(api, **more):
    return api.post("/api/v1/channels/desk/test", "operator", reason="does it ring?", **more)


def newest_request(api):
    events = api.get("/api/v1/events", params={"kind": "request_received", "limit": 1}).json()
    return events["events"][0]


def test_a_test_goes_the_way_that_alerts_go_and_the_channel_shows_it(api, sink):
    before = rows(api, "desk")["desk"]
    assert (before["service"], before["connected"], before["pace"]) == ("JSON", True, 0.25)
    assert before["address"] == f"json://127.0.0.1:{sink.port}/…"
    assert before["told_of"] == ["critical and worse of everything; accounts: all"]
    assert (before["failing"], before["last_success"], before["delivered"]) == (False, None, 0)
    sink.behave("ok")
    reply = try_desk(api)
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert (told["outcome"], told["delivery"]["state"]) == ("done", "delivered")
    recorded = newest_request(api)
    assert (recorded["payload"]["verb"], recorded["payload"]["reason"]) == (
        "alert_test", "does it ring?",
    )  # fmt: skip
    assert recorded["payload"]["by"].startswith("key operator (")
    assert told["position"] >= recorded["position"]
    assert sink.received[-1].json()["title"] == "[INFO] A test"
    assert "does it ring?" in sink.received[-1].json()["message"]
    assert "key operator (" in sink.received[-1].json()["message"]
    after = rows(api, "desk")["desk"]
    assert (after["delivered"], after["waiting"], after["failing"]) == (1, 0, False)
    assert after["last_success"] == told["delivery"]["ended"]


def test_a_channel_whose_address_cannot_be_used_says_why_and_not_what(api):
    row = rows(api, "wrong")["wrong"]
    assert (row["failing"], row["service"], row["address"]) == (True, None, None)
    assert "no service is known as nowhere://" in row["says"]


def test_what_was_given_up_is_listed_and_sent_again_alone(api, sink):
    sink.behave("refused")
    first, second = try_desk(api).json()["delivery"], try_desk(api).json()["delivery"]
    assert (first["state"], second["state"]) == ("dead", "dead")
    assert rows(api, "desk")["desk"]["failing"] is True
    listed = api.get("/api/v1/deliveries", params={"state": "dead", "channel": "desk"}).json()
    assert [row["id"] for row in listed["deliveries"]] == [second["id"], first["id"]]
    assert listed["next"] is None
    page = api.get("/api/v1/deliveries", params={"state": "dead", "limit": 1}).json()
    assert page["next"] == second["id"]
    behind = {"state": "dead", "limit": 1, "before": page["next"]}
    assert api.get("/api/v1/deliveries", params=behind).json()["deliveries"] == [first]

    sink.behave("ok")
    many = len(sink.received)
    again = api.post(f"/api/v1/deliveries/{first['id']}/redeliver", "operator", reason="mended")
    assert again.status_code == 200, again.text
    assert again.json()["delivery"]["state"] == "delivered"
    recorded = newest_request(api)["payload"]
    assert (recorded["verb"], recorded["arguments"]) == ("redeliver", {"delivery": first["id"]})
    assert len(sink.received) == many + 1
    left = api.get("/api/v1/deliveries", params={"state": "dead"}).json()["deliveries"]
    assert [row["id"] for row in left] == [second["id"]]
    assert rows(api, "desk")["desk"]["failing"] is False
    twice = api.post(f"/api/v1/deliveries/{first['id']}/redeliver", "operator", reason="mended")
    assert (twice.status_code, "it is delivered" in twice.json()["detail"]) == (409, True)
    alert = api.get(f"/api/v1/alerts/{first['alerts'][0]}").json()
    assert [row["id"] for row in alert["deliveries"]] == [first["id"]]


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/api/v1/channels/nobody/test", {"reason": "r"}, 404, "no channel nobody is connected"),
        ("/api/v1/channels/desk/test", {}, 422, "reason"),
        ("/api/v1/channels/No%20Name/test", {"reason": "r"}, 422, "channel"),
        ("/api/v1/deliveries/99999/redeliver", {"reason": "r"}, 404, "no such delivery"),
        ("/api/v1/deliveries/1/redeliver", {}, 422, "reason"),
    ],
)
def test_what_makes_no_sense_is_refused_and_sends_nothing(api, sink, path, body, status, says):
    many = len(sink.received)
    reply = api.post(path, "operator", **body)
    assert reply.status_code == status
    assert says in reply.json()["detail"]
    assert len(sink.received) == many


def test_the_dashboard_shows_how_each_channel_does(api):
    page = api.get("/", None).text
    assert "no service is known as nowhere://" in page
    assert SECRET not in page


def test_without_a_worker_the_sender_is_asked_all_the_same(api, sink):
    """The last of these tests: the worker is gone after it."""
    sink.behave("ok")
    api.stop_worker()
    reply = try_desk(api)
    assert (reply.status_code, reply.json()["delivery"]["state"]) == (200, "delivered")
    assert reply.json()["position"] is None


def test_before_any_sender_has_run_there_is_no_channel(tmp_path):
    with asked(settings_of(tmp_path)) as api:
        assert api.get("/api/v1/channels").json() == {"as_of": None, "channels": []}
        assert api.get("/api/v1/deliveries").json() == {"deliveries": [], "next": None}
        reply = api.post("/api/v1/channels/desk/test", "operator", reason="r")
        assert reply.status_code == 404
