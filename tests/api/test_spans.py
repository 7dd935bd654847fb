"""Spans to a real collector's door over OTLP, and what becomes of them where there is none."""

from __future__ import annotations

import http.server
import queue
import socket
import subprocess
import sys
import threading
import time
from typing import ClassVar

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from portcullis.api import spans
from portcullis.api.otlp import SAID_EVERY, STOP_SECONDS
from portcullis.config.collector import collector as collector_of
from portcullis.errors import UsageError
from tests.api.home import free_port, settings_of
from tests.api.test_manners import Process, running

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{SPAN}-01"
SERVER, CLIENT, ERROR = 2, 3, 2
"""Kinds of spans and the status of one that failed, as the protocol numbers them."""


class Door(http.server.BaseHTTPRequestHandler):
    came: ClassVar[queue.Queue[tuple[str, str, bytes]]] = queue.Queue()

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.came.put((self.path, self.headers["Content-Type"], body))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Collector:
    """Takes spans as a collector does, and decodes them."""

    def __init__(self):
        Door.came = queue.Queue()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.spans, self.services = [], set()
        self._thread = threading.Thread(target=self.server.serve_forever)
        self._thread.start()

    def take(self):
        """Another batch."""
        path, kind, body = Door.came.get(timeout=20)
        assert (path, kind) == ("/v1/traces", "application/x-protobuf")
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services |= {
                each.value.string_value
                for each in resource.resource.attributes
                if each.key == "service.name"
            }
            for scope in resource.scope_spans:
                self.spans += scope.spans

    def until(self, *names):
        """The first span of each name, once all of them came."""
        while not set(names) <= {span.name for span in self.spans}:
            self.take()
        return [next(span for span in self.spans if span.name == name) for name in names]

    def close(self):
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def collector():
    found = Collector()
    yield found
    found.close()


def told(span):
    return {each.key: each.value.int_value or each.value.string_value for each in span.attributes}


def test_a_request_and_what_it_asked_of_the_worker_are_one_trace_at_the_collector(
    worker, collector
):
    with running(worker.settings, PORTCULLIS_OTLP_URL=collector.url) as api:
        status, _ = api.get("/api/v1/accounts?x=secret", traceparent=GIVEN)
        assert status == 200
        server, client = collector.until("GET /api/v1/accounts", "GET /api/v1/status")
        assert api.end() == 0
    assert collector.services == {"portcullis-api"}
    assert {span.trace_id.hex() for span in (server, client)} == {TRACE}
    assert (server.kind, server.parent_span_id.hex()) == (SERVER, SPAN)
    assert (client.kind, client.parent_span_id) == (CLIENT, server.span_id)
    said = told(server)
    assert said["http.route"] == said["url.path"] == "/api/v1/accounts"
    assert (said["http.request.method"], said["http.response.status_code"]) == ("GET", 200)
    assert told(client)["server.port"] == worker.settings.gate_port
    assert told(client)["http.response.status_code"] == 200
    assert server.start_time_unix_nano <= client.start_time_unix_nano
    assert client.end_time_unix_nano <= server.end_time_unix_nano
    assert abs(time.time_ns() - server.end_time_unix_nano) < 60e9
    assert b"secret" not in b"".join(span.SerializeToString() for span in collector.spans)
    assert api.key.encode() not in b"".join(span.SerializeToString() for span in collector.spans)


def test_what_is_left_is_sent_at_the_end_and_what_is_unsampled_never(tmp_path, collector):
    with running(settings_of(tmp_path), PORTCULLIS_OTLP_URL=collector.url) as api:
        assert api.get("/livez", traceparent=GIVEN[:-1] + "0")[0] == 200
        assert api.get("/health")[0] == 503
        assert api.end() == 0
    (span,) = collector.until("GET /health")
    assert (span.status.code, told(span)["error.type"], span.parent_span_id) == (ERROR, "503", b"")
    assert "GET /livez" not in {each.name for each in collector.spans}


@pytest.fixture
def deaf():
    """A collector that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as door:
        yield f"http://127.0.0.1:{door.getsockname()[1]}"


@pytest.mark.slow
@pytest.mark.parametrize("silent", [True, False])
def test_a_collector_that_does_not_answer_costs_no_request_and_no_flood(tmp_path, deaf, silent):
    url = deaf if silent else f"http://127.0.0.1:{free_port()}"
    with running(settings_of(tmp_path), PORTCULLIS_OTLP_URL=url) as api:
        deadline = time.monotonic() + 30
        while "spans are lost" not in api.log.read_text():
            assert time.monotonic() < deadline
            began = time.monotonic()
            assert api.get("/livez")[0] == 200
            assert time.monotonic() - began < 2
        began = time.monotonic()
        assert api.end() == 0
        assert time.monotonic() - began < STOP_SECONDS + 8
    lines = [line for line in api.log.read_text().splitlines() if "listens" not in line]
    assert len(lines) == 1, lines
    assert "spans are lost" in lines[0]
    assert url in lines[0]
    assert SAID_EVERY >= 600


def test_an_address_that_is_none_is_refused_with_an_example(tmp_path):
    with pytest.raises(UsageError, match="PORTCULLIS_OTLP_URL") as refused:
        collector_of(settings_of(tmp_path, otlp_url="localhost:4318"))
    assert "http://localhost:4318" in refused.value.remedy
    with pytest.raises(UsageError, match="password") as refused:
        collector_of(settings_of(tmp_path, otlp_url="http://user:hush@localhost:4318"))
    assert "hush" not in str(refused.value)
    assert collector_of(settings_of(tmp_path)) == ""
    assert spans.opened(settings_of(tmp_path), print) is None


WITHOUT = (
    "import sys; sys.modules['opentelemetry.sdk'] = None\n"
    "from portcullis.api import spans; from portcullis.config.settings import Settings\n"
    "from portcullis.errors import UsageError\n"
    "try: spans.opened(Settings(otlp_url='http://localhost:4318'), print)\n"
    "except UsageError as error: print(error, '|', error.remedy)"
)


def test_without_the_extra_the_setting_is_refused_with_what_to_install():
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert "opentelemetry.sdk is not installed" in said
    assert "portcullis[telemetry]" in said


def test_a_start_that_is_refused_says_so_and_ends(tmp_path):
    refused = Process(settings_of(tmp_path), PORTCULLIS_OTLP_URL="nowhere")
    assert refused.process.wait(30) == 2
    assert "PORTCULLIS_OTLP_URL" in refused.log.read_text()


def test_nothing_of_it_is_loaded_where_no_collector_is_set():
    program = (
        "import sys, portcullis.api.serving as s\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry.sdk')])"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert said.strip() == "[]"
