"""Traces: adopted or made, told in the answer and the log, handed on to worker and ledger."""

from __future__ import annotations

import http.server
import json
import re
import threading
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis import gate_client, trace_context
from portcullis.clock import SystemClock
from portcullis.store.opening import open_reader
from portcullis.trace_context import Active, Span, TraceContext, adopted, under_way
from tests.api.home import NOW, RunningWorker, asked, settings_of, signed

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{SPAN}-01"
MADE = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-0[01]")


def trace_of(reply):
    return MADE.fullmatch(reply.headers["traceparent"]).group(1)


def hexes(length):
    return st.text("0123456789abcdef", min_size=length, max_size=length).filter(
        lambda t: int(t, 16)
    )


@given(hexes(32), hexes(16), st.booleans())
def test_what_is_handed_on_is_what_is_adopted(trace, span, sampled):
    context = TraceContext(trace, span, sampled)
    assert adopted([context.parent]) == context


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "nonsense",
        GIVEN.upper(),
        GIVEN.replace(TRACE, "0" * 32),
        GIVEN.replace(SPAN, "0" * 16),
        "ff" + GIVEN[2:],
        f"{GIVEN}-more",
        GIVEN[:-1],
        GIVEN + "1",
        f"01-{TRACE}-{SPAN}-01more",
        f"00-{TRACE}-{SPAN}-0x",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        "\u0660" * 55,
    ],
)
def test_what_is_malformed_is_not_adopted(parent):
    assert adopted([parent]) is None


@given(st.text(max_size=80))
def test_no_text_breaks_it(text):
    found = adopted([text], [text])
    assert found is None or MADE.fullmatch(found.parent)


def test_a_later_version_is_read_as_far_as_it_is_known_and_two_parents_are_none():
    assert adopted([f"01-{TRACE}-{SPAN}-03-more"]) == TraceContext(TRACE, SPAN, sampled=True)
    assert adopted([f" {GIVEN} "]) == TraceContext(TRACE, SPAN, sampled=True)
    assert adopted([GIVEN, GIVEN]) is None
    assert adopted([]) is None


@pytest.mark.parametrize(
    ("states", "kept"),
    [
        (["congo=t61rcWkgMzE,rojo=00f0"], "congo=t61rcWkgMzE,rojo=00f0"),
        (["a=1 , b=2", "", "c=3"], "a=1,b=2,c=3"),
        (["t@v=x y"], "t@v=x y"),
        (["a=1,a=2"], ""),
        (["A=1"], ""),
        (["a=1,b"], ""),
        (["a=" + "x" * 600], ""),
        ([",".join(f"k{n}=1" for n in range(33))], ""),
        ([",".join(f"k{n:02}=" + "x" * 20 for n in range(30))], ""),
    ],
)
def test_a_state_is_kept_whole_within_its_bounds_or_left_out(states, kept):
    found = adopted([GIVEN], states)
    assert found.state == kept
    assert (trace_context.STATE in found.headers) is bool(kept)


# --- the API --------------------------------------------------------------------------------------


def test_a_request_goes_on_in_the_trace_it_comes_with(api):
    reply = api.get("/api/v1/accounts", headers={"traceparent": GIVEN, "tracestate": "congo=1"})
    trace, span = MADE.fullmatch(reply.headers["traceparent"]).groups()
    assert trace == TRACE
    assert span != SPAN
    line = api.lines[-1]
    assert (line.trace.trace_id, line.trace.span_id, line.parent) == (TRACE, span, SPAN)
    assert (line.trace.state, line.trace.sampled) == ("congo=1", True)
    assert reply.headers["x-request-id"] == line.request_id


@pytest.mark.parametrize("headers", [{}, {"traceparent": "00-nonsense", "tracestate": "a=1"}])
def test_a_request_without_a_trace_begins_one(api, headers):
    seen = set()
    for _ in range(2):
        reply = api.get("/livez", None, headers=headers)
        seen.add(trace_of(reply))
        assert (api.lines[-1].parent, api.lines[-1].trace.state) == ("", "")
    assert len(seen) == 2


def test_what_is_refused_has_a_trace_too(api):
    reply = api.get("/logs?account=%FF", headers={"traceparent": GIVEN})
    assert reply.status_code == 400
    assert trace_of(reply) == TRACE


@pytest.fixture
def own(tmp_path):
    worker = RunningWorker(settings_of(tmp_path))
    with asked(worker.settings) as found:
        yield found
    worker.stop()


def test_what_a_control_call_led_to_is_found_in_the_ledger_by_its_trace(own):
    reply = own.ask(
        "POST",
        "/api/v1/accounts/A/lock",
        json={"reason": "lost connection"},
        headers={"traceparent": GIVEN},
    )
    body, line = reply.json(), own.lines[-1]
    assert (line.asked, line.trace.trace_id) == (body["request_id"], TRACE)
    found = own.get(f"/api/v1/events?trace={TRACE}").json()["events"]
    assert {"request_received", "lock_set", "request_answered"} <= {row["kind"] for row in found}
    assert body["position"] in {row["position"] for row in found}
    (request,) = [row for row in found if row["kind"] == "request_received"]
    assert request["payload"]["request_id"] == body["request_id"]


def test_a_trace_changes_nothing_of_what_is_signed(own):
    own.post("/api/v1/accounts/A/lock", "operator", reason="r")
    body = signed(own.settings, "release", "reviewed", "A")
    reply = own.ask("POST", "/api/v1/accounts/A/release", json=body, headers={"traceparent": GIVEN})
    assert (reply.status_code, reply.json()["outcome"]) == (200, "done")
    with open_reader(own.settings) as reader:
        traces = {row.trace for row in reader.read() if row.kind == "lock_ended"}
    assert traces == {TRACE}


# --- the worker's gate ----------------------------------------------------------------------------


class Heard(http.server.BaseHTTPRequestHandler):
    """Answers everything, and keeps the headers it came with."""

    heard: ClassVar[list[dict[str, str]]] = []

    def do_GET(self):
        self.heard.append(dict(self.headers))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


@pytest.fixture
def gate():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Heard)
    Heard.heard.clear()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_gate_is_asked_in_the_trace_that_is_under_way(tmp_path, gate):
    settings = settings_of(tmp_path, gate_port=gate.server_port)
    spans: list[Span] = []
    context = TraceContext(TRACE, SPAN, sampled=True, state="congo=1")
    with under_way(Active(context, spans.append, NOW, {})):
        gate_client.ask(settings, "/health", 5)
    gate_client.ask(settings, "/health", 5)
    (span,) = spans
    first, second = Heard.heard
    assert first["traceparent"] == f"00-{TRACE}-{span.context.span_id}-01"
    assert first["tracestate"] == "congo=1"
    assert "traceparent" not in second, "no trace is under way"
    assert (span.name, span.kind, span.parent, span.fault) == ("GET /health", "client", SPAN, "")
    assert span.attributes["http.response.status_code"] == 200
    assert span.began <= span.ended <= SystemClock().now()


def test_a_gate_that_does_not_answer_is_a_step_that_failed(tmp_path):
    spans: list[Span] = []
    context = TraceContext(TRACE, SPAN, sampled=True)
    with (
        under_way(Active(context, spans.append, NOW, {})),
        pytest.raises(gate_client.NoAnswer),
    ):
        gate_client.ask(settings_of(tmp_path), "/health", 1)
    assert [span.fault for span in spans] == ["NoAnswer"]


def test_the_line_of_the_log_names_the_trace(tmp_path):
    from tests.api.test_manners import running

    with running(settings_of(tmp_path)) as api:
        assert api.get("/livez", traceparent=GIVEN)[0] == 200
        assert api.end() == 0
        text = (api.settings.home_path / "logs" / "api.jsonl").read_text()
    line = json.loads(text.splitlines()[-1])
    assert (line["trace_id"], line["parent_id"], line["asked"]) == (TRACE, SPAN, "")
    assert re.fullmatch("[0-9a-f]{16}", line["span_id"])
