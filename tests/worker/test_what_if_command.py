"""`portcullis what-if` on a ledger on disk: text, data, and an answer to every mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from portcullis.cli.main import app
from portcullis.config.files import read_configuration
from portcullis.domain.events import decode
from portcullis.errors import ConfigError, NotFound, PortcullisError, UsageError
from portcullis.ports import Entry
from portcullis.staging import demonstrate
from portcullis.store.ledger import SqliteLedger
from portcullis.wiring import defaults_folder


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    plan = msgspec.structs.replace(read_configuration(defaults_folder()).plan, required=())
    played = demonstrate(7, plan)
    ledger = SqliteLedger(folder)
    ledger.append([Entry(r.stream, r.at, r.trace, decode(r.payload)) for r in played.read()])
    ledger.close()
    text = (defaults_folder() / "accounts.yaml").read_text()
    assert "limit: 150," in text
    (folder / "tighter.yaml").write_text(text.replace("limit: 150,", "limit: 60,"))
    (folder / "faulty.yaml").write_text("profiles: {p: {max_contracts: {limit: -1, limt: 2}}}\n")
    return folder


def run(home: Path, *words: str) -> Any:
    environment = {"PORTCULLIS_HOME": str(home), "NO_COLOR": "1", "COLUMNS": "200"}
    return CliRunner().invoke(app, ["what-if", *words], env=environment)


RULES = str(defaults_folder() / "rules.yaml")


def test_the_command_shows_the_difference_and_warns(home):
    words = ("--rules", RULES, "--accounts", str(home / "tighter.yaml"))
    answer = run(home, *words)
    assert answer.exit_code == 0, answer.exception
    for text in (
        "What is set differently, from event 4 on",
        "DEMO-LOSS: hypothetical from event 145",
        "DEMO-END: no difference",
        "Warning: The market and the venue would have answered differently",
    ):
        assert text in answer.output
    body = json.loads(run(home, *words, "--account", "DEMO-LOSS", "-o", "json").stdout)
    (account,) = body["accounts"]
    assert account["hypothetical_from"]["position"] == 145
    assert account["kept"] == {"recorded": "0.00 USD", "new": "192.50 USD"}
    assert body["changes"] == [
        {
            "account": "DEMO-LOSS",
            "rule": "daily_unrealized_loss",
            "setting": "limit",
            "recorded": "150.00",
            "new": "60.00",
        }
    ]


def test_where_nothing_differs_the_command_says_where_limits_may_stand(home):
    answer = run(home, "--rules", RULES)
    assert "No account would have been under other limits" in answer.output
    assert "give that file with --accounts" in answer.output
    assert "Warning" not in answer.output


def test_the_command_takes_a_time(home):
    tighter = str(home / "tighter.yaml")
    answer = run(home, "--accounts", tighter, "--since", "2026-03-01")
    assert "DEMO-LOSS: hypothetical from" in answer.output


@pytest.mark.parametrize(
    ("words", "kind", "says"),
    [
        ((), UsageError, "nothing to try"),
        (("--rules", "nowhere.yaml"), NotFound, "there is no file nowhere.yaml"),
        (("--rules", "/"), NotFound, "/ is a folder"),
        (("--rules", RULES, "--since", "2031-03-04"), NotFound, "no event is as late as 2031"),
        (("--rules", RULES, "--since", "999999"), NotFound, "there is no event 999999"),
        (("--rules", RULES, "--since", "noon"), UsageError, "neither a position nor a time"),
        (("--rules", RULES, "--account", "NOBODY"), NotFound, "in neither set"),
    ],
)
def test_a_mistake_is_answered_with_a_remedy(home, words, kind, says):
    answer = run(home, *words)
    assert type(answer.exception) is kind
    assert says in str(answer.exception)
    assert isinstance(answer.exception, PortcullisError)
    assert answer.exception.remedy


def test_faults_come_out_all_at_once_and_name_the_file_that_was_given(home):
    faulty = home / "faulty.yaml"
    error = run(home, "--rules", str(faulty)).exception
    assert type(error) is ConfigError
    assert len(error.faults) >= 2
    assert all(str(faulty) in fault for fault in error.faults)
    assert "did you mean limit?" in str(error)
