"""The clock of an attempt, and that nothing of it is left behind."""

from __future__ import annotations

import socket
import threading
import time

import psutil
import pytest
import requests

from portcullis.alerts.channels import send, watching
from portcullis.alerts.channels.watching import Watch, ended_by, http_fault
from portcullis.alerts.message import Message
from tests.alerts.sinks import HttpSink, Mode, addresses, within

MESSAGE = Message("01HX", "info", "title", "body")


def test_a_resolver_that_hangs_does_not_hold_the_attempt() -> None:
    release = threading.Event()
    with pytest.raises(socket.gaierror, match="not found in time"):
        within(1, lambda: ended_by(time.monotonic() + 0.2, lambda: release.wait(30)))
    release.set()


def test_what_a_resolver_finds_or_raises_is_passed_on() -> None:

    def unknown() -> None:
        raise socket.gaierror(8, "unknown")

    soon = time.monotonic() + 5
    assert ended_by(soon, lambda: ["found"]) == ["found"]
    with pytest.raises(socket.gaierror, match="unknown"):
        ended_by(soon, unknown)


def test_a_name_is_looked_up_within_the_time_of_the_attempt(sink: HttpSink) -> None:
    address = addresses(sink)["json"].replace("127.0.0.1", "localhost")
    assert send(address, MESSAGE).kind == "delivered"


def test_no_socket_opens_once_the_time_is_up() -> None:
    watch = Watch()
    watch.cut()
    with socket.socket() as opened, pytest.raises(TimeoutError):
        watch.connecting(opened)


@pytest.mark.parametrize("mode", ["ok", "broken", "hang", "drop"])
def test_an_attempt_leaves_no_descriptor_and_no_thread(sink: HttpSink, mode: Mode) -> None:
    sink.behave(mode)
    process = psutil.Process()

    def attempts() -> tuple[int, int]:
        for address in addresses(sink).values():
            send(address, MESSAGE, within=0.1)
        return len(_sockets_to(process, sink.port)), _timers()

    attempts()
    assert attempts() == (0, 0)


def _sockets_to(process: psutil.Process, port: int) -> list[object]:
    """Ours, not the sink's end of them."""
    connections = process.net_connections("tcp")
    return [each for each in connections if getattr(each.raddr, "port", None) == port]


def _timers() -> int:
    names = [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    return sum(1 for timer in names if not timer.finished.is_set())


def test_a_thread_that_does_not_send_is_not_watched(sink: HttpSink) -> None:
    watching.install()
    answer = requests.post(f"{sink.url}/hooks", json={}, timeout=5)
    assert answer.json() == {}
    assert watching._current.watch is None


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("http://[bad/x", "invalid"),
        ("nosuch://x", "invalid"),
        ("http://127.0.0.1:1/", "unreachable"),
    ],
)
def test_what_cannot_be_asked_and_who_is_not_there(address: str, kind: str) -> None:
    with pytest.raises((requests.RequestException, ValueError)) as caught:
        requests.get(address, timeout=2)
    assert http_fault(caught.value).kind == kind
