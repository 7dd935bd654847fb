"""`portcullis send` and `portcullis alert` beside a store on a server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from portcullis.clock import SystemClock
from portcullis.domain.events import ModeChanged, RulesLoaded, stream_of
from portcullis.domain.plan import AccountPlan, Plan, encode_plan
from portcullis.ports import Entry
from portcullis.store.opening import open_ledger
from tests.alerts.sinks import HttpSink, http_sink


class Shell:
    """A sender at work on a home whose ledger is on a server, and a person who types."""

    def __init__(self, settings: Any) -> None:
        own = {k: v for k, v in os.environ.items() if not k.startswith("PORTCULLIS_")}
        names = {"HOME": settings.home, "STORE_URL": settings.store_url, "GATE_PORT": "1"}
        self.environment = {**own, **{f"PORTCULLIS_{k}": v for k, v in names.items()}}
        self.settings = settings
        self.write(RulesLoaded("d", encode_plan(Plan((AccountPlan("ACCOUNT-1", ()),)))))
        self.said = settings.home_path / "said"
        with self.said.open("w") as said:
            self.sender = subprocess.Popen(
                [sys.executable, "-m", "portcullis", "send"], env=self.environment, stdout=said
            )

    def write(self, *events: Any) -> None:
        ledger, now = open_ledger(self.settings), SystemClock().now()
        ledger.append([Entry(stream_of(event), now, "t", event) for event in events])
        ledger.close()

    def done(self, *words: str, given: str = "") -> str:
        ended = subprocess.run(
            [sys.executable, "-m", "portcullis", "alert", *words],
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def wait_until_said(self, holds: Callable[[str], bool]) -> None:
        deadline = time.monotonic() + 30
        while not holds(self.text()):
            assert time.monotonic() < deadline, self.text()
            assert self.sender.poll() is None, self.text()
            time.sleep(0.05)

    def text(self) -> str:
        return self.said.read_text()


@pytest.fixture
def shell(settings) -> Iterator[Shell]:
    made = Shell(settings)
    yield made
    made.sender.kill()
    made.sender.wait(10)


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with http_sink() as started:
        yield started


@pytest.mark.slow
def test_alerts_go_and_are_answered_over_a_server_that_goes_away(shell, sink, server) -> None:
    shell.done("connect", "desk", given=f"json://127.0.0.1:{sink.port}/hook")
    shell.done("subscribe", "desk", "--accounts", "all")
    assert "desk took it" in shell.done("test", "desk")
    shell.write(ModeChanged("ACTIVE", "OBSERVE_ONLY", "evidence is missing", ("backup: x",)))
    sink.wait_for(2)
    (alert,) = json.loads(shell.done("list", "-o", "json"))
    shell.done("ack", alert["alertId"])
    server.stop("immediate")
    shell.wait_until_said(lambda text: "channels: desk" in text and len(text.splitlines()) > 2)
    server.start()
    shell.wait_until_said(lambda text: text.rstrip().endswith("alerts are sent again"))
    shell.write(ModeChanged("OBSERVE_ONLY", "SHUTDOWN", "the fail-safe"))
    sink.wait_for(3)
    assert "SHUTDOWN" in sink.received[2].json()["message"]
    shell.sender.send_signal(signal.SIGTERM)
    assert shell.sender.wait(10) == 0
