"""`portcullis alert` and `portcullis send` as a person uses them, with no worker there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from portcullis.alerts.outbox import Outbox
from portcullis.cli.main import app
from portcullis.clock import SystemClock
from portcullis.domain.events import AlertRaised, ModeChanged, RulesLoaded, stream_of
from portcullis.domain.plan import AccountPlan, Plan, encode_plan
from portcullis.errors import PortcullisError
from portcullis.ports import Entry
from portcullis.store.ledger import SqliteLedger
from tests.alerts.sinks import HttpSink, http_sink


class Shell:
    """A home, a sender at work on it, and a person who types."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ledger = SqliteLedger(home)
        self.write(RulesLoaded("d", encode_plan(Plan((AccountPlan("ACCOUNT-1", ()),)))))
        own = {k: v for k, v in os.environ.items() if not k.startswith("PORTCULLIS_")}
        self.environment = {**own, "PORTCULLIS_HOME": str(home), "PORTCULLIS_GATE_PORT": "1"}
        self.sender = subprocess.Popen(
            [sys.executable, "-m", "portcullis", "send"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
        )

    def write(self, *events: Any) -> None:
        now = SystemClock().now()
        self.ledger.append([Entry(stream_of(event), now, "t", event) for event in events])

    def say(self, *words: str, given: str = "") -> tuple[int, str, str]:
        """In this process, where starting the program costs nothing."""
        ended = CliRunner().invoke(app, ["alert", *words], env=self.environment, input=given)
        if isinstance(ended.exception, PortcullisError):
            return ended.exception.exit_code, ended.stdout, str(ended.exception)
        return ended.exit_code, ended.stdout, ended.stderr

    def done(self, *words: str, given: str = "") -> str:
        code, said, problem = self.say(*words, given=given)
        assert code == 0, said + problem
        return said

    def rows(self, *words: str) -> Any:
        return json.loads(self.done(*words, "-o", "json"))

    def end(self) -> None:
        self.sender.terminate()
        assert self.sender.wait(20) == 0
        self.ledger.close()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    yield made
    made.end()


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with http_sink() as started:
        yield started


def test_from_no_channel_to_an_acknowledged_alert(shell: Shell, sink: HttpSink) -> None:
    assert "nobody is told" in shell.done("channels")
    address = f"json://user:topsecret@127.0.0.1:{sink.port}/hook"
    said = shell.done("connect", "desk", given=address + "\n")
    assert "portcullis alert test desk" in said
    assert "it is told of nothing yet" in said
    assert "topsecret" not in said

    assert "desk took it" in shell.done("test", "desk")
    assert sink.received[0].json()["title"] == "[INFO] A test"
    shell.done("subscribe", "desk", "--accounts", "all", "--quiet", "22:00-07:00 Europe/Berlin")
    (row,) = shell.rows("channels")
    assert row["told_of"] == [
        "warning and worse of everything; accounts: all; quiet 22:00-07:00 Europe/Berlin"
    ]
    assert "topsecret" not in json.dumps(row)
    assert (row["delivered"], row["dead"]) == (1, 0)

    shell.write(ModeChanged("ACTIVE", "OBSERVE_ONLY", "evidence is missing", ("backup: x",)))
    sink.wait_for(2)
    (alert,) = shell.rows("list")
    assert (alert["severity"], alert["kind"], alert["acknowledged"]) == (
        "CRITICAL", "gate_fell", False,
    )  # fmt: skip
    assert alert["recommendedAction"].startswith("mend what lacks")
    shell.done("ack", alert["alertId"], "--note", "on it")
    found = shell.rows("show", alert["alertId"])
    assert (found["state"], found["metadata"]["note"]) == ("acknowledged", "on it")
    assert [row["state"] for row in found["deliveries"]] == ["delivered"]
    assert "OBSERVE_ONLY: evidence is missing" in shell.done("show", alert["alertId"])


@pytest.mark.slow
def test_silences_and_what_was_given_up(shell: Shell, sink: HttpSink) -> None:
    shell.done("connect", "desk", given=f"json://127.0.0.1:{sink.port}/hook")
    shell.done("subscribe", "desk", "--accounts", "ACCOUNT-1")
    shell.done("silence", "add", "--reason", "work", "--topic", "account", "--for", "30min")
    (silence,) = shell.rows("silence", "list")
    shell.write(AlertRaised("balance_changed", "warning", "ACCOUNT-1", "by 5", "compare"))
    sink.behave("refused")
    shell.write(ModeChanged("ACTIVE", "SHUTDOWN", "the fail-safe"))
    sink.wait_for(1)
    assert "SHUTDOWN" in sink.received[0].json()["message"]
    (kept_back,) = [row for row in shell.rows("list") if row["kind"] == "balance_changed"]
    assert "nobody was told; not yet: desk at 2" in shell.done("show", kept_back["alertId"])
    dead: list[Any] = []
    while not dead:
        dead = shell.rows("list", "--dead")
    sink.behave("ok")
    shell.done("redeliver", dead[0]["alerts"][0])
    sink.wait_for(2)
    shell.done("silence", "end", silence["id"])
    sink.wait_for(3)
    assert "by 5" in sink.received[2].json()["message"]
    shell.done("disconnect", "desk")
    (row,) = shell.rows("channels")
    assert row["connected"] is False


def test_a_channel_that_is_spared_says_until_when(tmp_path: Path, sink: HttpSink) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "alerts.yaml").write_text(
        "storm: {messages: 1, within: 10 min}\n"
        "warning: {window: 0 s, repeat: 0 s, most: 1, acknowledged_for: 8 h}\n"
    )
    shell = Shell(tmp_path)
    try:
        shell.done("connect", "desk", given=f"json://127.0.0.1:{sink.port}/hook")
        shell.done("subscribe", "desk", "--accounts", "all")
        assert shell.rows("channels")[0]["spared_until"] is None
        shell.write(AlertRaised("balance_changed", "warning", "ACCOUNT-1", "by 5", "compare"))
        sink.wait_for(1)
        shell.write(AlertRaised("lost_fills", "warning", "ACCOUNT-1", "2 fills", "compare"))
        while shell.rows("channels")[0]["spared_until"] is None:
            pass
        assert "what is not critical waits" in " ".join(shell.done("channels").split())
    finally:
        shell.end()


@pytest.mark.parametrize(
    ("words", "given", "code", "says"),
    [
        (("connect", "desk"), "telegram://x", 2, "remedy"),
        (("connect", "desk"), "", 2, "no address was given"),
        (("connect", "desk", "json://topsecret"), "", 2, "not taken from the command line"),
        (("connect", "My Desk"), "json://127.0.0.1/x", 2, "is no name for a channel"),
        (("connect", "desk"), "mailto://u:p@mail.example?to=a@x.example,b@x.example", 2, "one"),
        (("subscribe", "nobody", "--accounts", "all"), "", 5, "no channel 'nobody' is connected"),
        (("test", "nobody"), "", 5, "no channel 'nobody' is connected"),
        (("disconnect", "nobody"), "", 5, "no channel 'nobody' is connected"),
        (("unsubscribe", "nobody"), "", 5, "nobody has no subscription by command"),
        (("show", "nothing"), "", 5, "there is no alert 'nothing'"),
        (("ack", "nothing"), "", 5, "there is no alert 'nothing'"),
        (("redeliver", "nothing"), "", 5, "there is no alert 'nothing'"),
        (("silence", "end", "nothing"), "", 5, "there is no silence 'nothing'"),
        (("silence", "add", "--reason", "x"), "", 2, "silence of what?"),
        (("silence", "add", "--reason", "x", "--topic", "gates"), "", 2, "no topic is named"),
        (("silence", "add", "--reason", "x", "--kind", "y"), "", 2, "no kind is named 'y'"),
        (("silence", "add", "--reason", "x", "--topic", "gate", "--for", "soon"), "", 2, "--for"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_what_mends_it(
    home: dict[str, str], words: tuple[str, ...], given: str, code: int, says: str
) -> None:
    ended, problem = refused(home, *words, given=given)
    assert (ended, says in problem) == (code, True), problem


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--severity", "loud", "give one of info, warning, critical"),
        ("--topics", "gate,gates", "no topic is named 'gates'"),
        ("--accounts", "ACCOUNT-2", "no account is named 'ACCOUNT-2'"),
        ("--quiet", "22-7", "give two times and a zone"),
        ("--after", "soon", "--after: 'soon'"),
    ],
)
def test_what_is_wrong_with_a_subscription(
    home: dict[str, str], option: str, value: str, says: str
) -> None:
    assert refused(home, "connect", "phone", given="json://127.0.0.1:1/x") == (0, "")
    ended, problem = refused(home, "subscribe", "phone", option, value)
    assert (ended, says in problem) == (2, True), problem


def refused(home: dict[str, str], *words: str, given: str = "") -> tuple[int, str]:
    """How a command ends in this process, and the error with its remedy."""
    ended = CliRunner().invoke(app, ["alert", *words], env=home, input=given)
    if isinstance(ended.exception, PortcullisError):
        return ended.exception.exit_code, f"{ended.exception}\nremedy: {ended.exception.remedy}"
    return ended.exit_code, "" if ended.exit_code == 0 else ended.output


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """A home whose sender has run and ended."""
    ledger = SqliteLedger(tmp_path)
    plan = Plan((AccountPlan("ACCOUNT-1", ()),))
    loaded = RulesLoaded("d", encode_plan(plan))
    ledger.append([Entry(stream_of(loaded), SystemClock().now(), "t", loaded)])
    ledger.close()
    Outbox(tmp_path).close()
    return {"PORTCULLIS_HOME": str(tmp_path), "PORTCULLIS_GATE_PORT": "1"}
