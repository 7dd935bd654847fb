"""Something else at the worker's port: another program, and the worker of another home."""

from __future__ import annotations

import http.server
import threading

import pytest

from checks import worker_health
from portcullis import gate_client
from portcullis.cli import gate_watch
from portcullis.store.ledger import SqliteLedger
from portcullis.store.opening import is_own
from tests.api.home import asked, settings_of

ASKED = ("/", "/api/v1/accounts", "/config/pending", "/slos", "/metrics/json", "/metrics")


class Other(http.server.BaseHTTPRequestHandler):
    body = b""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


@pytest.fixture
def other(tmp_path):
    """The settings of a home whose port is taken by another program."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    known = settings_of(tmp_path, gate_port=server.server_port)
    SqliteLedger(known.home_path).close()
    yield known
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("said", [b"[]", b"<html>", b"\xff\x00", b"", b'{"mode": 1}'])
def test_another_program_is_no_worker_and_no_error_of_ours(other, said):
    Other.body = said
    with asked(other) as api:
        assert [api.get(path).status_code for path in ASKED] == [200] * len(ASKED)
        assert api.get("/api/v1/accounts").json()["live"] is False


def test_the_figures_of_another_home_are_not_taken_for_ours(worker, tmp_path):
    known = settings_of(tmp_path, gate_port=worker.settings.gate_port)
    SqliteLedger(known.home_path).close()
    with asked(known) as api, asked(worker.settings) as own:
        assert "portcullis_gate_open" in own.get("/metrics").text
        assert "portcullis_gate_open" not in api.get("/metrics").text
        assert "portcullis_gate_open" not in api.get("/metrics/json").json()["metrics"]


def test_nobody_elses_worker_is_asked_how_ours_is(worker, tmp_path):
    known = settings_of(tmp_path, gate_port=worker.settings.gate_port)
    SqliteLedger(known.home_path).close()
    assert gate_client.health(worker.settings, 5.0, is_own)["mode"]
    assert "not the worker of this home" in worker_health.ask_gate(known)[1]
    assert gate_watch.ask(known) is None


def test_an_answer_without_end_is_none(other, monkeypatch):
    Other.body = b"[" * 2_000
    monkeypatch.setattr(gate_client, "READ_MAX", 1_000)
    with pytest.raises(gate_client.NoAnswer, match="longer than"):
        gate_client.ask(other, "/health", 5.0)
