"""The parts of `portcullis up` that need no processes: bounds, ports, the lock, what is shown."""

import io
import os
import socket

import pytest
from rich.console import Console

from portcullis.cli import children as parts
from portcullis.cli.children import DEATHS_MAX, DEATHS_WITHIN, Restarts, refuse_taken_ports
from portcullis.cli.gate_watch import GateWatch, state_of
from portcullis.cli.output import Declined
from portcullis.cli.relay import Relay, say
from portcullis.cli.single import OnlyOne
from portcullis.clock import SystemClock
from portcullis.config.exposure import refuse_exposed
from portcullis.config.orchestrator import prefect_environment
from portcullis.config.settings import SECRETS, Settings, as_environment, read_settings
from portcullis.daily_log import DailyLog
from portcullis.errors import PortTaken, UsageError


def console(**terms):
    return Console(file=io.StringIO(), width=80, **terms)


def text_of(shown):
    return shown.file.getvalue()


def test_pauses_grow_and_end():
    now = [0.0]
    restarts = Restarts(lambda: now[0])
    waits = [restarts.after(1) for _ in range(DEATHS_MAX)]
    assert waits == [0.5, 1.0, 2.0, 4.0, None]
    now[0] = DEATHS_WITHIN + 1
    assert restarts.after(-9) == 0.5, "old deaths are forgotten"


def test_a_wrong_configuration_is_not_tried_again():
    assert Restarts().after(2) is None


def test_taken_ports_are_named_with_their_holder():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=f"{port} .process {os.getpid()}") as raised:
            refuse_taken_ports(Settings(gate_port=port))
        assert "PORTCULLIS_GATE_PORT" in raised.value.remedy


def test_one_port_for_two_is_refused_before_anything_starts():
    with pytest.raises(UsageError, match="GATE_PORT=4180, PORTCULLIS_API_PORT=4180"):
        refuse_taken_ports(Settings(api_port=4180))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"api_host": "0.0.0.0"}, "keys would go to 0.0.0.0 in clear"),
        ({"api_origins": "board.example"}, "'board.example' is no origin"),
        ({"api_origins": "https://a.example, https://b.example/page"}, "b.example/page' is no"),
        ({"api_names": "http://board.example"}, "is no host name"),
        ({"api_certificate": "/chain.pem"}, "needs a certificate and its key"),
    ],
)
def test_an_api_that_would_be_reached_as_it_must_not_is_refused(given, says):
    with pytest.raises(UsageError, match=says) as raised:
        refuse_exposed(Settings(**given))
    assert raised.value.remedy


def test_origins_and_names_as_they_are_sent_are_taken():
    sent = Settings(api_origins="https://board.example:8443", api_names="board.example, 10.0.0.7")
    assert refuse_exposed(sent) is None


def test_one_per_home_and_the_second_is_told_who(tmp_path):
    with (
        OnlyOne(tmp_path, {"gate": "http://here"}),
        pytest.raises(Declined, match=f"process {os.getpid()}, since 20.*\n  gate: http://here"),
    ):
        OnlyOne(tmp_path, {})
    with OnlyOne(tmp_path, {}):
        pass
    assert not (tmp_path / "up.json").exists()


def test_lines_are_whole_named_and_plain_without_a_terminal():
    shown = console()
    relay = Relay("worker", shown)
    relay({"data": b"one\ntw"})
    relay({"data": "o \x1b[1mbold ü".encode() + b"\n\n"})
    lines = text_of(shown).splitlines()
    assert lines[0] == "worker     | one"
    assert lines[1].startswith("worker     | two")
    assert relay.last[0] == "one"


def test_a_line_that_never_ends_is_cut():
    relay = Relay("venue", console())
    relay({"data": b"x" * 5_000})
    assert len(relay.last[0]) == 5_000
    relay({"data": b"y\n"})
    assert relay.last[1] == "y"


def test_of_a_traceback_only_the_error_is_shown_and_the_log_has_it_whole(tmp_path):
    shown = console()
    log = DailyLog(tmp_path / "logs" / "prefect.log", SystemClock().now)
    relay = Relay("prefect", shown, log)
    said = (
        "before\nTraceback (most recent call last):\n  File one, line 1\n    boom()\n"
        "sqlite3.OperationalError: database is locked\n"
        "\nThe above exception was the direct cause of the following exception:\n\n"
        "Traceback (most recent call last):\n  File two\nmy.Error: no\n[SQL: INSERT]\n"
        "| an ordinary line\n  indented, and shown\n"
    )
    relay({"data": said.encode()})
    log.close()
    lines = [line.partition("| ")[2].strip() for line in text_of(shown).splitlines()]
    assert lines == [
        "before",
        "sqlite3.OperationalError: database is locked",
        "my.Error: no",
        "| an ordinary line",
        "indented, and shown",
    ]
    kept = (tmp_path / "logs" / "prefect.log").read_text()
    assert "File one, line 1" in kept
    assert "[SQL: INSERT]" in kept


def test_what_is_said_while_stopping_is_for_the_log_alone(tmp_path):
    shown = console()
    log = DailyLog(tmp_path / "logs" / "operations.log", SystemClock().now)
    relay = Relay("operations", shown, log)
    relay.only_logs = True
    relay({"data": b"TerminationSignal\n"})
    log.close()
    assert text_of(shown) == ""
    assert "TerminationSignal" in (tmp_path / "logs" / "operations.log").read_text()


def test_names_have_colours_on_a_terminal():
    shown = console(force_terminal=True, color_system="standard")
    Relay("worker", shown)({"data": b"one\n"})
    assert "\x1b[32m" in text_of(shown)


HEALTH = {"mode": "ACTIVE", "why": "all is in", "lacking": []}


def test_the_gate_is_told_once_per_change():
    shown = console()
    watch = GateWatch(Settings(), shown)
    for health in (
        None,
        HEALTH,
        HEALTH,
        {**HEALTH, "mode": "OBSERVE_ONLY", "lacking": ["x: gone"]},
    ):
        watch.note(health)
    watch.note(None)
    told = text_of(shown)
    assert told.count("OPEN") == 1
    assert told.count("SHUT, OBSERVE_ONLY") == 1
    assert "lacking x: gone" in told
    assert told.count("AWAY") == 1
    assert state_of({**HEALTH, "lacking": ["x"]}) != "OPEN"


def test_a_start_that_finds_the_gate_shut_is_not_told_as_its_reason():
    shown = console()
    watch = GateWatch(Settings(), shown)
    watch.note({**HEALTH, "mode": "STARTING", "why": "the worker started"})
    watch.note({**HEALTH, "mode": "OBSERVE_ONLY", "why": "all start-up evidence is in"})
    told = text_of(shown)
    assert "SHUT, OBSERVE_ONLY: as it was left before the start" in told
    assert "all start-up evidence" not in told


def test_every_line_of_a_longer_text_is_named():
    shown = console()
    say(shown, "gate", "2 faults:\n  one\n  two")
    assert text_of(shown).splitlines() == [
        "gate       | 2 faults:",
        "gate       |   one",
        "gate       |   two",
    ]


def test_settings_reach_other_processes_whole(tmp_path):
    given = Settings(home=str(tmp_path), gate_port=5, operations=False, heartbeat_lasts=1_500_000)
    passed = read_settings(as_environment(given))
    assert passed.home_path == tmp_path
    assert (passed.gate_port, passed.operations, passed.heartbeat_lasts) == (5, False, 1_500_000)


def test_the_scheduled_side_gets_no_secret(monkeypatch, tmp_path):
    monkeypatch.setenv("PORTCULLIS_VENUE_TOKEN", "secret")
    monkeypatch.setenv("PORTCULLIS_ADMINISTRATOR_KEY_FILE", "/a/key")
    found = {each.name: each for each in parts.children(Settings(home=str(tmp_path)))}
    assert list(found) == ["api", "operations", "prefect", "worker", "venue", "sender", "shipper"]
    assert found["worker"].environment["PORTCULLIS_VENUE_TOKEN"] == "secret"
    for name in ("api", "operations", "prefect", "sender", "shipper"):
        known = {key.removesuffix("_FILE") for key in found[name].environment}
        assert known.isdisjoint(f"PORTCULLIS_{secret.upper()}" for secret in SECRETS)
        assert "secret" not in found[name].environment.values()
    names = [each.name for each in parts.children(Settings(operations=False))]
    assert names == ["api", "worker", "venue"]


def test_without_a_checkout_there_is_a_way_out(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError) as raised:
        parts.checkout()
    assert "PORTCULLIS_OPERATIONS=false" in raised.value.remedy


def test_prefect_listens_on_loopback_and_tells_nobody(tmp_path):
    found = prefect_environment(Settings(home=str(tmp_path), prefect_port=4999))
    assert found["PREFECT_API_URL"] == "http://127.0.0.1:4999/api"
    assert found["PREFECT_SERVER_API_HOST"] == "127.0.0.1"
    assert found["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert found["DO_NOT_TRACK"] == "1"
    assert found["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert not any("0.0.0.0" in value for value in found.values())
