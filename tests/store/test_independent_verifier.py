"""The verifier that is one file: what it holds against an export, and every way it is lied to."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from portcullis import independent_verifier as verifier
from portcullis.cli.main import app
from portcullis.store.ledger import SqliteLedger
from portcullis.store.merkle import root_of
from tests.conformance.ledger import position

EVENTS = 60


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("verified")
    ledger = SqliteLedger(made)
    for number in range(EVENTS):
        ledger.append([position("ABC"[number % 3], number)])
        if number in (10, 40):
            ledger.checkpoint()
    ledger.close()
    return made


@pytest.fixture(scope="module")
def lines(home) -> list[str]:
    environment = {"PORTCULLIS_HOME": str(home)}
    answer = CliRunner().invoke(app, ["event", "export", "--evidence"], env=environment)
    assert answer.exit_code == 0, answer.output
    return answer.stdout.splitlines()


@pytest.fixture(scope="module")
def key(home) -> verifier.Key:
    return verifier.Key((home / "ledger.pub").read_text())


def test_what_holds_is_said_to_hold(lines, key):
    assert verifier.verify(lines, key) == (EVENTS, 3)


def test_an_export_without_a_checkpoint_proves_nothing(lines, key):
    events = [line for line in lines if "checkpoint" not in json.loads(line)]
    for nothing in ([], events):
        with pytest.raises(verifier.Broken, match="no checkpoint"):
            verifier.verify(nothing, key)


def test_it_is_one_file_that_runs_alone(home, lines, tmp_path):
    shutil.copyfile(verifier.__file__, tmp_path / "alone.py")
    (tmp_path / "export").write_text("\n".join(lines))
    command = [sys.executable, "-I", "alone.py", "export", str(home / "ledger.pub")]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert f"holds: {EVENTS} events, 3 checkpoints" in ended.stdout
    (tmp_path / "export").write_text("\n".join(lines[:-1]))
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, "the end is missing" in ended.stdout) == (1, True)
    command[-1] = "export"
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 2


COLUMNS = ("position", "stream", "seq", "at", "kind", "version", "trace", "payload", "previous")


@pytest.mark.parametrize("column", COLUMNS)
def test_every_column_is_bound(lines, key, column):
    event = json.loads(lines[5])
    old = event[column]
    event[column] = old + 1 if isinstance(old, int) else ("00" + old if old else "x")
    changed = [*lines[:5], json.dumps(event), *lines[6:]]
    with pytest.raises(verifier.Broken, match="event 6"):
        verifier.verify(changed, key)


def test_a_row_hashed_anew_is_found_by_what_follows_it(lines, key):
    event = json.loads(lines[5])
    event["trace"] = "forged"
    event["hash"] = verifier.event_hash(event).hex()
    with pytest.raises(verifier.Broken):
        verifier.verify([*lines[:5], json.dumps(event), *lines[6:]], key)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda rows: [*rows[:20], *rows[21:]], "is missing"),
        (lambda rows: [*rows[:20], rows[21], rows[20], *rows[22:]], "is missing"),
        (lambda rows: [*rows[:20], rows[20], *rows[20:]], "is missing"),
        (lambda rows: rows[:30], "the end is missing"),
        (lambda rows: [*rows[:5], "nonsense", *rows[5:]], "line 6 is no event"),
        (lambda rows: [*rows[:5], "[]", *rows[5:]], "line 6 is no event"),
        (lambda rows: [*rows[:5], rows[-1], *rows[5:]], "stands behind event 5"),
    ],
)
def test_what_is_left_out_added_or_moved(lines, key, change, says):
    with pytest.raises(verifier.Broken, match=says):
        verifier.verify(change(lines), key)


def test_a_checkpoint_of_another_key_is_none(lines, tmp_path):
    ledger = SqliteLedger(tmp_path)
    ledger.close()
    other = verifier.Key((tmp_path / "ledger.pub").read_text())
    with pytest.raises(verifier.Broken, match="not signed by this key"):
        verifier.verify(lines, other)


def test_a_checkpoint_kept_elsewhere_finds_a_past_written_anew(lines, key, home, tmp_path):
    kept = json.loads(next(line for line in lines if "checkpoint" in line))["checkpoint"]
    assert verifier.verify(lines, key, kept)[0] == EVENTS
    forged = tmp_path / "forged"
    forged.mkdir()
    shutil.copyfile(home / "ledger.key", forged / "ledger.key")
    again = SqliteLedger(forged)
    for number in range(EVENTS):
        again.append([position("A", number)])
    again.close()
    environment = {"PORTCULLIS_HOME": str(forged)}
    made = CliRunner().invoke(app, ["event", "export", "--evidence"], env=environment)
    with pytest.raises(verifier.Broken):
        verifier.verify(made.stdout.splitlines(), key, kept)


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=300))
@settings(deadline=None)
def test_its_root_is_the_stores_root(leaves):
    root = verifier.Root()
    for leaf in leaves:
        root.add(leaf)
    assert root.value() == root_of(leaves)


def test_evidence_is_of_the_whole_ledger(home):
    answer = CliRunner().invoke(
        app,
        ["event", "export", "--evidence", "--kind", "quote"],
        env={"PORTCULLIS_HOME": str(home)},
    )
    assert "whole ledger" in str(answer.exception)
