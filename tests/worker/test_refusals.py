"""What must not start says so: one sentence, a remedy, an exit code, and nothing changed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portcullis.config.files import read_configuration
from portcullis.domain.events import TimePassed
from portcullis.errors import ConfigError
from portcullis.ports import Entry
from portcullis.store.ledger import SqliteLedger

CONFIG = Path(__file__).parents[2] / "config"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call(home: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = (
        os.environ
        | {
            "PORTCULLIS_HOME": str(home),
            "PORTCULLIS_GATE_PORT": str(free_port()),
            "PORTCULLIS_VENUE_PORT": str(free_port()),
        }
        | settings
    )
    return subprocess.run(
        [sys.executable, "-m", "portcullis", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def refused(answer: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    assert answer.returncode == code, answer.stderr
    assert "Traceback" not in answer.stderr
    assert "remedy:" in answer.stderr
    for part in parts:
        assert part in answer.stderr


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    shutil.copytree(CONFIG, tmp_path / "config")
    return tmp_path


@pytest.mark.parametrize(
    ("file", "text", "parts"),
    [
        (
            "rules.yaml",
            "profiles:\n  p:\n    daily_realized_loss: {limt: 5}\n",
            ("rules.yaml:3: profiles.p.daily_realized_loss.limt", "did you mean limit?"),
        ),
        (
            "rules.yaml",
            "profiles:\n  p:\n    daily_realized_loss: {limit: -5}\n",
            ("rules.yaml:3", "limits are positive amounts", "given: -5"),
        ),
        (
            "rules.yaml",
            "profiles:\n  p:\n    max_contracts: {limit: 5, on_breach: }\n",
            ("rules.yaml:3", "a limit without an action protects nothing"),
        ),
        (
            "rules.yaml",
            "profiles:\n  p:\n    symbol_blocks: {blocked: [MNX]}\n",
            ("rules.yaml:3", "unknown instrument", "did you mean"),
        ),
        ("rules.yaml", "- a\n- b\n", ("rules.yaml:1", "the file is a list")),
        ("rules.yaml", "profiles: [\n", ("rules.yaml", "not YAML")),
        ("rules.yaml", "profiles: {}\nprofiles: {}\n", ("rules.yaml:2", "given twice")),
        (
            "accounts.yaml",
            "accounts:\n  A: {zone: America/Chicgo, rules: {auth_loss_guard: {}}}\n",
            ("accounts.yaml:2", "no such time zone", "did you mean America/Chicago?"),
        ),
        ("accounts.yaml", "accounts:\n  A: {calendar: none}\n", ("accounts.yaml:2", "no rule")),
        ("accounts.yaml", None, ("accounts.yaml:1", "the file is missing")),
        ("monitoring.yaml", "required: {}\n", ("monitoring.yaml:1: required", "no evidence")),
        (
            "monitoring.yaml",
            "required:\n  market_dat: {}\n",
            ("monitoring.yaml:2: required.market_dat", "unknown evidence", "mean market_data?"),
        ),
        (
            "monitoring.yaml",
            "required:\n  market_data: {shutdown_after: }\n",
            ("monitoring.yaml:2: required.market_data.shutdown_after", "not a duration"),
        ),
        (
            "monitoring.yaml",
            "required:\n  market_data: {shutdown_after: -5 min, lasts: soon}\n",
            ("monitoring.yaml:2: required.market_data.shutdown_after", "market_data.lasts"),
        ),
        (
            "monitoring.yaml",
            "required:\n  market_data: {shutdown_when_failed: perhaps}\n",
            ("monitoring.yaml:2: required.market_data.shutdown_when_failed",),
        ),
    ],
)
def test_every_fault_of_a_configuration_is_named(configured, file, text, parts):
    path = configured / "config" / file
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        read_configuration(configured / "config")
    for part in parts:
        assert part in str(raised.value)


def test_a_faulty_configuration_is_refused_before_anything_is_opened(configured):
    (configured / "config" / "rules.yaml").write_text("profiles: {p: {max_contracts: {limit: 0}}}")
    refused(call(configured, "worker"), 2, "rules.yaml:1", "out of bounds")
    assert sorted(p.name for p in configured.iterdir()) == ["config"]


def test_all_faults_come_in_one_pass(configured):
    (configured / "config" / "rules.yaml").write_text(
        "profiles: {p: {nope: {}, max_contracts: {x: 1}}}"
    )
    (configured / "config" / "monitoring.yaml").write_text("requird: {}\n")
    answer = call(configured, "config", "check")
    refused(
        answer,
        2,
        "unknown rule",
        "max_contracts.x",
        "monitoring.yaml:1: requird",
        "did you mean required?",
        "monitoring.yaml:1: required: required and missing",
    )


def test_a_misspelt_setting_is_refused(tmp_path):
    refused(
        call(tmp_path, "status", PORTCULLIS_GATE_PROT="1"),
        2,
        "PORTCULLIS_GATE_PROT",
        "did you mean PORTCULLIS_GATE_PORT?",
    )


def test_a_taken_port_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(
            call(tmp_path, "worker", PORTCULLIS_GATE_PORT=port), 1, f"127.0.0.1:{port} is taken"
        )
        refused(call(tmp_path, "venue", PORTCULLIS_VENUE_PORT=port), 1, port)


def test_a_second_worker_is_refused(tmp_path):
    ledger = SqliteLedger(tmp_path)
    try:
        refused(call(tmp_path, "worker"), 6, str(os.getpid()))
    finally:
        ledger.close()


def test_a_clock_behind_the_ledger_is_refused_and_nothing_is_written(tmp_path):
    ledger = SqliteLedger(tmp_path)
    ahead = (int(time.time()) + 3600) * 1_000_000
    ledger.append([Entry("system", ahead, "t", TimePassed())])
    ledger.close()
    refused(call(tmp_path, "worker"), 1, "behind the newest event")
    ledger = SqliteLedger(tmp_path)
    assert ledger.head().position == 1
    ledger.close()


def test_a_store_that_is_none_is_refused(tmp_path):
    (tmp_path / "ledger.db").write_text("this is not a database, however long it may go on" * 50)
    refused(call(tmp_path, "worker"), 1, "ledger.db")
    assert (tmp_path / "ledger.db").read_text().startswith("this is not")


def test_a_home_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    refused(call(tmp_path / "file" / "home", "worker"), 1, "home")


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        ("time,price\n2026-03-02T15:00:01Z,5000.25\n2026-03-02T15:00:00Z,5000.50\n", "mine.csv:3"),
        ("time,price\n2026-03-02T15:00:01Z,5000.26\n", "mine.csv:2"),
        ("time,price\n2026-03-02T15:00:01Z,-5\n", "mine.csv:2"),
    ],
)
def test_market_data_out_of_order_or_off_its_tick_are_refused_by_line(tmp_path, rows, part):
    file = tmp_path / "mine.csv"
    file.write_text(rows)
    refused(call(tmp_path, "venue", PORTCULLIS_MARKET_DATA=str(file)), 2, "mine.csv", part)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("status",), 5),
        (("account", "show", "X"), 5),
        (("ledger", "verify"), 5),
        (("gate", "propose", "A", "buy", "1", "ES"), 3),
        (("account", "flatten", "A", "--reason", "x"), 5),
        (("rule", "explain", "A", "max_contract"), 5),
        (("event", "list", "--since", "yesterday"), 5),
    ],
)
def test_looking_where_there_is_nothing_says_so(tmp_path, words, code):
    refused(call(tmp_path, *words), code)


def test_a_verb_that_loosens_needs_the_credential(tmp_path):
    SqliteLedger(tmp_path).close()
    answer = call(tmp_path, "mode", "release", "--reason", "x", "--yes")
    refused(answer, 4, "administrator's credential")


def test_nobody_to_ask_is_a_refusal_that_names_the_option(tmp_path):
    refused(call(tmp_path, "mode", "release", "--reason", "x"), 2, "--yes")


def test_a_place_for_last_words_that_is_none_is_named(configured):
    (configured / "worker.last").mkdir()
    refused(call(configured, "worker"), 1, "worker.last", "directory")
