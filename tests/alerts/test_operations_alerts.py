"""What the operations side leaves while the worker is dead reaches a person, once and once over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from checks import failed_flows, worker_silence
from checks.worker_health import Seen
from portcullis.alerts.message import Message, Outcome
from portcullis.alerts.policy import CALM
from portcullis.config.settings import Settings
from portcullis.domain.events import RequestAnswered, RequestReceived, TimePassed, WorkerStarted
from portcullis.domain.model import MINUTE, SECOND
from portcullis.worker.requests import Asked
from tests.alerts.harness import Desk

START = 1_800_000_000 * SECOND
UNTIL_OVER = (CALM + MINUTE) // SECOND


class Stage:
    """A home whose worker is dead, a sender, and a clock that is moved by hand."""

    def __init__(self, home: Path) -> None:
        self.at = START
        self.settings = Settings(home=str(home))
        self.desk = Desk(home, lambda: self.at)
        self.writes = False
        self.arrived: list[Message] = []
        self.desk.open({"desk": "json://127.0.0.1:9/hook"}, carry=self._carry)

    def _carry(self, _address: str, message: Message, *_rest: object) -> Outcome:
        self.arrived.append(message)
        return Outcome("delivered")

    def pass_time(self, seconds: int) -> None:
        """Turn the sender once a second; a worker that lives writes."""
        for _ in range(seconds):
            self.at += SECOND
            if self.writes:
                self.desk.write(TimePassed())
            self.desk.sender.turn(0.002)

    def beat(self, health: dict[str, str] | None, newest_at: int) -> None:
        """A heartbeat that sees this of the worker."""
        worker_silence.tell(self.settings, Seen(newest_at, "1", health, "refused"), self.at)

    def titles(self) -> list[str]:
        return [message.title for message in self.arrived]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.desk.close()


def test_a_dead_worker_is_told_once_by_whoever_sees_it_and_once_that_it_is_back(stage):
    stage.desk.write(WorkerStarted("1", 7, True))
    stage.pass_time(2)
    for _ in range(6):
        stage.pass_time(30)
        stage.beat(None, START)
    stage.pass_time(30)
    assert len([t for t in stage.titles() if "silent" in t]) == 1
    stage.writes = True
    for waiting in stage.desk.waiting():  # the worker is back, and takes what waited
        if waiting.verb == "alert":
            body = msgspec.msgpack.decode(waiting.body, type=Asked)
            stage.desk.write(
                RequestReceived(
                    waiting.request_id,
                    "alert",
                    waiting.by,
                    "operator",
                    body.reason,
                    None,
                    dict(body.arguments),
                ),
                RequestAnswered(waiting.request_id, "done", "recorded"),
            )
    stage.pass_time(30)
    stage.beat({"mode": "ACTIVE"}, stage.at)
    stage.pass_time(UNTIL_OVER)
    with stage.desk.reader() as store:
        assert store.alerts() == []
    told = [t for t in stage.titles() if "silent" in t]
    assert len(told) == 2, told


def test_a_flow_that_fails_again_and_again_is_told_once(stage):
    for number in range(3):
        failed_flows.failed(stage.settings, "backup", f"run-{number}", "Crashed", stage.at)
        stage.pass_time(30)
    (incident,) = failed_flows.open_failures(stage.settings)
    with stage.desk.reader() as store:
        (alert,) = store.alerts()
    assert (alert.kind, alert.subject) == ("flow_failed", "backup")
    failed_flows.mended(stage.settings, incident, "backup: Pass", stage.at)
    stage.pass_time(UNTIL_OVER)
    with stage.desk.reader() as store:
        assert store.alerts() == []
    assert len(stage.arrived) == 2
