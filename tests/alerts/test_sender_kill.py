"""kill -9 of the real sender, over and over: nothing is lost, and one message repeated at most."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from portcullis.alerts.alert_reader import AlertReader
from portcullis.alerts.configured import FILE
from portcullis.alerts.outbox import Kept, Outbox, Planned
from portcullis.clock import SystemClock
from portcullis.domain.events import AlertRaised, stream_of
from portcullis.ports import Entry
from portcullis.store.ledger import SqliteLedger
from tests.alerts.sinks import HttpSink, http_sink

MARK = re.compile(r"number (\d+)")
SETTINGS = """
subscriptions:
  - {channel: desk, severity: info, accounts: all}
channels:
  desk: {pace: 0 s}
critical: {window: 0 s, repeat: 0 s}
storm: {messages: 100000}
"""


class Run:
    """A home with messages that wait, and a sender that is started again after every kill."""

    def __init__(self, home: Path, sink: HttpSink, waiting: int) -> None:
        self.home, self.sink, self.said = home, sink, home / "sender.said"
        self.ledger = SqliteLedger(home)
        config = home / "config"
        config.mkdir()
        (config / FILE).write_text(SETTINGS)
        channels = home / "channels.env"
        channels.write_text(f"desk=json://127.0.0.1:{sink.port}/hook\n")
        channels.chmod(0o600)
        now = SystemClock().now()
        outbox = Outbox(home)
        outbox.commit(
            Kept(),
            [
                Planned("desk", "new", "critical", (f"a{n}",), f"number {n}", f"number {n}", now)
                for n in range(waiting)
            ],
            now,
        )
        outbox.close()

    def tell(self, number: int) -> None:
        """An alert of the ledger, planned by the sender that is at work then."""
        event = AlertRaised("clock_stepped", "critical", f"A{number}", f"number {number}", "x")
        self.ledger.append([Entry(stream_of(event), SystemClock().now(), "trace", event)])

    def sender(self) -> subprocess.Popen[bytes]:
        own = {k: v for k, v in os.environ.items() if not k.startswith("PORTCULLIS_")}
        with self.said.open("ab") as said:
            return subprocess.Popen(
                [sys.executable, "-m", "portcullis", "send"],
                env={**own, "PORTCULLIS_HOME": str(self.home)},
                stdout=subprocess.DEVNULL,
                stderr=said,
            )

    def numbers(self) -> Counter[int]:
        return Counter(
            int(found)
            for request in list(self.sink.received)
            for found in set(MARK.findall(request.json()["message"]))
        )


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with http_sink() as started:
        yield started


def kill_over_and_over(run: Run, kills: int, waiting: int, told: int, seed: int) -> None:
    chance = random.Random(seed)
    between = waiting // (kills + 1)
    pauses = threading.Event()
    for kill in range(kills):
        process = run.sender()
        try:
            run.sink.wait_for(len(run.sink.received) + between, within=60)
            for number in range(told // kills):
                run.tell(waiting + kill * (told // kills) + number)
            pauses.wait(chance.random() * 0.02)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(20)
    process = run.sender()
    try:
        wanted = set(range(waiting + told // kills * kills))
        for _ in range(600):
            if run.numbers().keys() >= wanted:
                break
            pauses.wait(0.1)
    finally:
        process.terminate()
        process.wait(20)
    assert run.said.read_text() == "", f"seed {seed}"
    found = run.numbers()
    repeated = sum(found.values()) - len(found)
    lost = wanted - found.keys()
    print(
        f"{len(wanted)} messages, {kills} kills: {len(lost)} lost, {repeated} twice (seed {seed})"
    )
    assert lost == set(), f"seed {seed}"
    assert repeated <= kills, f"seed {seed}"
    with AlertReader(run.home) as store:
        assert store.dead() == []
        assert store.figures()["desk"].waiting == 0


def test_a_killed_sender_loses_nothing(tmp_path: Path, sink: HttpSink) -> None:
    kill_over_and_over(Run(tmp_path, sink, 300), kills=3, waiting=300, told=15, seed=11)


@pytest.mark.kill
def test_fifty_kills_over_five_thousand_deliveries(tmp_path: Path, sink: HttpSink) -> None:
    kill_over_and_over(Run(tmp_path, sink, 4_500), kills=50, waiting=4_500, told=500, seed=5)
