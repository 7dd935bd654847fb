"""The command line against a real worker and venue in processes of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pysqlite3 import dbapi2
from typer.testing import CliRunner

from portcullis.cli.main import app
from portcullis.errors import NotFound, PortcullisError
from portcullis.store.ledger import SqliteLedger

CONFIG = Path(__file__).parents[2] / "config"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Machine:
    """A home with a venue and a worker running, and the command line in this process."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {
            "PORTCULLIS_HOME": str(home),
            "PORTCULLIS_GATE_PORT": str(free_port()),
            "PORTCULLIS_VENUE_PORT": str(free_port()),
            "NO_COLOR": "1",
            "COLUMNS": "160",
        }
        config = home / "config"
        config.mkdir()
        for name in ("rules.yaml", "accounts.yaml", "calendar.yaml", "capital.yaml"):
            (config / name).write_text((CONFIG / name).read_text())
        (config / "monitoring.yaml").write_text("required: {venue: {at_start: true}}\n")
        self.processes = [self.spawn("venue"), self.spawn("worker")]

    def spawn(self, name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "portcullis", name],
            env=os.environ | self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> list[int]:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        return [process.wait(40) for process in self.processes]

    def run(self, *words: str) -> Any:
        return CliRunner().invoke(app, list(words), env=self.environment)

    def data(self, *words: str) -> Any:
        answer = self.run(*words, "-o", "json")
        assert answer.exit_code == 0, (answer.output, answer.exception)
        return json.loads(answer.stdout)

    def error(self, *words: str) -> PortcullisError:
        answer = self.run(*words)
        assert isinstance(answer.exception, PortcullisError), (answer.output, answer.exception)
        return answer.exception

    def until_open(self) -> None:
        deadline = time.monotonic() + 40
        while self.run("status", "--exit-code").exit_code:
            if time.monotonic() > deadline:
                raise TimeoutError(self.run("mode", "show").output)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    made = Machine(tmp_path_factory.mktemp("home"))
    try:
        made.until_open()
        yield made
    finally:
        for process in made.processes:
            if process.poll() is None:
                process.kill()
                process.wait()


def test_status_shows_every_account_with_its_distances(machine):
    found = machine.data("status")
    assert found["live"]
    assert {row["account"] for row in found["accounts"]} == {
        "DEMO-SIZE",
        "DEMO-LOSS",
        "DEMO-HABIT",
        "DEMO-PROFIT",
        "DEMO-END",
    }
    assert all(row["distances"] or row["account"] for row in found["accounts"])
    text = machine.run("status").output
    assert "Gate OPEN" in text
    assert "DEMO-LOSS" in text


def test_tightening_needs_no_credential_and_loosening_does(machine, tmp_path):
    locked = machine.data("account", "lock", "DEMO-END", "--reason", "enough", "--for", "1 h")
    assert locked["outcome"] == "done"
    rows = machine.data("account", "show", "DEMO-END")["locks"]
    manual = next(row for row in rows if row["rule"] == "manual")
    key = machine.home / "administrator.key"
    elsewhere = key.rename(tmp_path / "moved.key")
    release = (
        "account",
        "release",
        "DEMO-END",
        "--row",
        str(manual["id"]),
        "--reason",
        "ok",
        "--yes",
    )
    assert machine.error(*release).exit_code == 4
    machine.environment["PORTCULLIS_ADMINISTRATOR_KEY"] = str(elsewhere)
    try:
        assert machine.data(*release)["outcome"] == "done"
    finally:
        del machine.environment["PORTCULLIS_ADMINISTRATOR_KEY"]
        elsewhere.rename(key)
    rows = machine.data("account", "show", "DEMO-END")["locks"]
    assert "manual" not in [row["rule"] for row in rows]


def test_the_gate_is_shut_and_raised_by_a_person(machine):
    assert machine.data("mode", "observe", "--reason", "lunch")["outcome"] == "done"
    told = machine.run("mode", "show").output
    assert re.search(r"the gate is shut \(shut by .* ago: lunch\)", told), told
    assert machine.data("mode", "show")["mode"] == "OBSERVE_ONLY"
    proposal = machine.run("gate", "propose", "DEMO-SIZE", "buy", "1", "ES")
    assert proposal.exit_code == 6
    assert "the gate is shut: OBSERVE_ONLY" in proposal.output
    assert machine.data("mode", "release", "--reason", "back", "--yes")["outcome"] == "done"
    assert machine.data("mode", "show")["gate_open"]


def test_flatten_shows_first_and_is_carried_out(machine):
    assert (
        machine.run("account", "flatten", "DEMO-SIZE", "--reason", "x", "--dry-run").exit_code == 0
    )
    ended = machine.data("account", "flatten", "DEMO-SIZE", "--reason", "x", "--yes")
    assert ended["ended"] == "confirmed"
    assert "on two reads" in ended["says"]


def test_the_worker_of_another_home_is_not_taken_for_ones_own(machine, tmp_path):
    other = machine.environment | {"PORTCULLIS_HOME": str(tmp_path)}
    answer = CliRunner().invoke(app, ["status"], env=other)
    assert isinstance(answer.exception, NotFound)
    SqliteLedger(tmp_path).close()
    propose = CliRunner().invoke(
        app, ["gate", "propose", "DEMO-SIZE", "buy", "1", "MES"], env=other
    )
    assert isinstance(propose.exception, PortcullisError)
    assert f"is not that of {tmp_path}" in str(propose.exception)


def test_rules_are_listed_and_explained_with_their_numbers(machine):
    assert len(machine.data("rule", "list")) == 14
    found = machine.data("rule", "explain", "DEMO-LOSS", "RULE-003")
    assert machine.data("rule", "explain", "DEMO-LOSS", "3") == found
    assert found["distances"][0]["limit"] == "350.00 USD"
    error = machine.error("rule", "explain", "DEMO-LOSS", "daily_realised_loss")
    assert "did you mean daily_realized_loss?" in error.remedy


def test_events_are_listed_filtered_and_exported(machine):
    kinds = {row["kind"] for row in machine.data("event", "list", "--limit", "500")}
    assert "worker_started" in kinds
    assert "quote" not in kinds
    lines = machine.run("event", "export", "--kind", "rules_loaded").stdout.splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["rules_loaded"]
    assert "neither" not in machine.run("event", "list", "--since", "2026-01-01T00:00:00").output
    assert machine.error("event", "list", "--since", "noon").exit_code == 2


def test_a_reload_takes_effect_and_a_faulty_one_changes_nothing(machine):
    file = machine.home / "config" / "accounts.yaml"
    before = file.read_text()
    file.write_text(before.replace("limit: 350", "limit: 340"))
    answer = machine.data("config", "reload", "--reason", "tested")
    assert "daily_realized_loss: limit 350.00 -> 340.00" in answer["detail"]
    file.write_text(before.replace("limit: 350", "limt: 350"))
    refused = machine.error("config", "reload", "--reason", "x")
    assert (refused.exit_code, "did you mean limit?" in str(refused)) == (6, True)
    found = machine.data("rule", "explain", "DEMO-LOSS", "daily_realized_loss")
    assert found["distances"][0]["limit"] == "340.00 USD"
    file.write_text(before)


def test_a_rule_that_measures_nothing_is_told_from_one_that_is_not_set(machine):
    idle = machine.run("rule", "explain", "DEMO-SIZE", "symbol_blocks").output
    assert "is set for DEMO-SIZE" in idle
    assert "NQ" in idle
    absent = machine.run("rule", "explain", "DEMO-SIZE", "trailing_drawdown").output
    assert "is not set for DEMO-SIZE; set are: max_contracts" in absent


def test_a_looser_limit_waits_and_is_listed_until_somebody_withdraws_it(machine, tmp_path):
    file = machine.home / "config" / "accounts.yaml"
    before = file.read_text()
    file.write_text(before.replace("limit: 350", "limit: 370"))
    (row,) = machine.data("config", "pending")["unasked"]
    assert (row["account"], row["setting"], row["new"]) == ("DEMO-LOSS", "limit", "370.00")
    assert "looser, and waits" in machine.data("config", "reload", "--reason", "more")["detail"]
    found = machine.data("config", "pending")
    assert found["unasked"] == []
    assert (found["asked"]["reason"], len(found["asked"]["changes"])) == ("more", 1)
    shown = machine.run("config", "pending").output
    assert all(words in shown for words in ("in force", "asked for", "or an approver")), shown
    own = (machine.home / "administrator.pub").read_text().strip()
    refused = machine.error("approver", "enrol", "Me", own, "--reason", "alone")
    assert (refused.exit_code, "the administrator's own key" in str(refused)) == (6, True)
    key = tmp_path / "sam.key"
    public = machine.run("approver", "make", str(key)).stdout.strip()
    again = machine.error("approver", "make", str(key))
    assert (again.exit_code, "never written over another" in str(again)) == (1, True)
    assert (
        "Sam is an approver"
        in machine.data("approver", "enrol", "Sam", public, "--reason", "second desk")["detail"]
    )
    assert [each["name"] for each in machine.data("approver", "list")] == ["Sam"]
    assert "may agree from" in machine.run("approver", "list").output
    plan = found["asked"]["plan"]
    assert plan[:12] in machine.run("config", "pending").output
    agree = ("config", "approve", plan[:12], "--reason", "seen", "--key")
    refused = machine.error(*agree, str(key))
    assert (refused.exit_code, "24 hours" in str(refused)) == (6, True)
    assert machine.error(*agree, "/none").exit_code == 4
    assert machine.data("approver", "dismiss", "Sam", "--reason", "r")["outcome"] == "done"
    assert "no approver" in machine.run("approver", "list").output
    assert machine.data("config", "withdraw", "--reason", "calm again")["outcome"] == "done"
    assert machine.data("config", "pending")["asked"] is None
    file.write_text(before)


def test_a_signal_has_the_files_read_again(machine):
    file = machine.home / "config" / "accounts.yaml"
    before = file.read_text()
    file.write_text(before.replace("limit: 350", "limit: 330"))
    machine.processes[1].send_signal(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while machine.data("config", "pending")["unasked"]:
        assert time.monotonic() < deadline
    found = machine.data("rule", "explain", "DEMO-LOSS", "daily_realized_loss")
    assert found["distances"][0]["limit"] == "330.00 USD"
    assert machine.processes[1].poll() is None
    file.write_text(before)


def test_pools_are_listed_with_what_is_left(machine):
    found = machine.data("capital")
    (pool,) = found["pools"]
    assert (pool["capital"], pool["left"]) == ("250,000.00 USD", "25,000.00 USD")
    assert pool["total"] == pool["accounts_total"]
    assert len(found["allocations"]) == 5
    assert found["capital_faults"] == []
    assert machine.data("account", "show", "DEMO-SIZE")["pool"] == "demonstration"
    assert "demonstration" in machine.run("capital").output
    assert "opening-range" in machine.run("status").output


def test_a_strategy_is_moved_by_people_and_asked_for_at_the_gate(machine):
    move = ("strategy", "move", "opening-range")
    assert "ACTIVE to PAUSED" in machine.data(*move, "paused", "--reason", "news")["detail"]
    propose = ("gate", "propose", "DEMO-SIZE", "buy", "1", "MES", "--strategy")
    denied = machine.run(*propose, "opening-range")
    assert denied.exit_code == 6
    assert "strategy_not_trading: strategy opening-range is PAUSED" in denied.output
    assert "unknown_strategy" in machine.run(*propose, "opening").output
    back = machine.data(*move, "ACTIVE", "--reason", "over")
    assert back["outcome"] == "done"
    assert "opening-range" in machine.run("strategy", "list").output
    rows = {row["strategy"]: row for row in machine.data("strategy", "list")}
    assert (rows["opening-range"]["state"], rows["opening-range"]["moves"]) == ("ACTIVE", 3)
    illegal = machine.error("strategy", "move", "mean-reversion", "draft", "--reason", "x")
    assert "ACTIVE, PAUSED, RETIRED" in str(illegal)
    assert machine.error("strategy", "move", "mean", "PAUSED", "--reason", "x").exit_code == 5
    assert machine.error("strategy", "move", "mean-reversion", "x", "--reason", "x").exit_code == 2


def test_without_a_terminal_nothing_is_asked(machine):
    error = machine.error("mode", "release", "--reason", "x")
    assert error.exit_code == 2
    assert "--yes" in error.remedy


def test_the_ledger_holds_replays_and_shows_where_it_was_touched(machine):
    """Last: it stops the worker and breaks the ledger."""
    codes = machine.stop()
    assert codes == [0, 0]
    assert machine.run("ledger", "verify").exit_code == 0
    assert machine.run("replay").exit_code == 0
    found = machine.data("status")
    assert (found["live"], found["gate_open"]) == (False, False)
    assert found["why"].startswith("no worker answers")
    ledger = dbapi2.connect(machine.home / "ledger.db")
    for trigger in [
        row[0] for row in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    ]:
        ledger.execute(f"DROP TRIGGER {trigger}")
    ledger.execute("UPDATE events SET trace = trace || 'x' WHERE position = 9")
    ledger.commit()
    ledger.close()
    answer = machine.run("ledger", "verify")
    assert answer.exit_code == 1
    assert "position 9" in answer.output
