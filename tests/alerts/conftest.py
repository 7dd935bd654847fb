"""Nothing here can reach a service: neither by a proxy, nor by a name, nor by an address, and
neither can a process that a test starts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.alerts.outside.refusing import refuse
from tests.alerts.sinks import HttpSink, http_sink, redirect

OUTSIDE = Path(__file__).parent / "outside"
_guarding = False


class Refusing:
    """A proxy that lets nobody through and remembers who asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        refusing = self

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                refusing.asked.append(f"{self.command} {self.path}")
                self.send_response(502)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self) -> None:
                self.do_CONNECT()

            def do_POST(self) -> None:
                self.do_CONNECT()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _refuse_the_outside(event: str, args: tuple[Any, ...]) -> None:
    """For what uses no proxy, as mail; only while a test of this folder runs."""
    if _guarding:
        refuse(event, args)


sys.addaudithook(_refuse_the_outside)


@pytest.fixture(scope="session")
def proxy() -> Iterator[Refusing]:
    refusing = Refusing()
    yield refusing
    refusing.stop()


@pytest.fixture(autouse=True)
def guard(proxy: Refusing, monkeypatch: pytest.MonkeyPatch) -> Iterator[Refusing]:
    """For every test of this folder."""
    global _guarding  # noqa: PLW0603
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv(name.lower(), proxy.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    monkeypatch.setenv("PYTHONPATH", str(OUTSIDE), prepend=os.pathsep)
    _guarding = True
    yield proxy
    _guarding = False


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[HttpSink]:
    """A local service, to which Apprise's Telegram and Slack are led."""
    with http_sink() as started:
        redirect(monkeypatch, started)
        yield started
