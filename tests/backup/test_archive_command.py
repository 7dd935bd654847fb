"""`portcullis archive` as a person types it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from portcullis.cli.main import app


def call(store: Path, *words: str):
    home = {"PORTCULLIS_HOME": str(store), "PORTCULLIS_GATE_PORT": "1"}
    return CliRunner().invoke(app, ["archive", *words], env=home)


def test_young_events_stay_and_say_how_long(store):
    answer = call(store, "create", "--retire")
    assert answer.exit_code == 0, answer.output
    said = " ".join(answer.output.split())
    assert "0 segments archived" in said
    assert "nothing to drop yet" in said


@pytest.mark.parametrize("words", [("verify",), ("export",), ("export", "--evidence")])
def test_what_is_not_there_is_said(store, words):
    answer = call(store, *words)
    assert answer.exit_code != 0
    assert "nothing archived" in str(answer.exception) or "every event" in str(answer.exception)


def test_without_a_ledger_it_says_how_to_begin(tmp_path):
    for words in (("create",), ("verify",), ("export",)):
        answer = call(tmp_path, *words)
        assert "there is no ledger" in str(answer.exception)
