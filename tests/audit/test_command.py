"""`portcullis audit`: exit codes, both forms, standard input, and what is said of a bad file."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from portcullis.domain.model import MICRO
from portcullis.domain.rules import max_contracts
from tests.audit.stage import Stage


def run(*arguments: object, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "portcullis", "audit", *map(str, arguments)],
        input=given,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def lines():
    stage = Stage(1, max_contracts.Params(limit=1))
    stage.quote("ES", 0)
    stage.fill("ES", 1, 2)
    stage.wait(5 * MICRO)
    return stage.lines()


def test_an_honest_export_agrees(lines, tmp_path):
    file = tmp_path / "ledger.jsonl"
    file.write_bytes(b"".join(lines))
    done = run(file)
    assert done.returncode == 0, done.stderr
    assert b"they agree" in done.stdout
    done = run("-", "-o", "json", given=b"".join(lines))
    body = json.loads(done.stdout)
    assert (done.returncode, body["agrees"], body["differences"]) == (0, True, [])
    assert body["events"] == len(lines)


def test_a_difference_is_named_and_ends_with_1(lines, tmp_path):
    events = [json.loads(line) for line in lines]
    kept = [event for event in events if event["kind"] != "breach_found"]
    assert len(kept) < len(events)
    given = [json.dumps(e | {"position": n}).encode() + b"\n" for n, e in enumerate(kept, start=1)]
    done = run("-", given=b"".join(given))
    assert done.returncode == 1
    assert b"max_contracts" in done.stdout
    assert b"expected" in done.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (b"", b"holds no event"),
        (b"{}\n", b"line 1: not an exported event"),
        (b"no json\n", b"line 1: not an exported event"),
        (
            b'{"position":1,"at":"2026-03-03T15:00:00Z","kind":"quote","payload":{}}\n',
            b"event 1 or a decision behind it: its payload cannot be read",
        ),
    ],
)
def test_what_cannot_be_read_ends_with_2_and_names_the_line(given, said):
    done = run("-", given=given)
    assert done.returncode == 2
    assert said in done.stderr
    assert b"remedy: " in done.stderr


def test_a_part_of_a_ledger_is_refused_by_its_line(lines, tmp_path):
    file = tmp_path / "part.jsonl"
    file.write_bytes(b"".join(lines[:5] + lines[6:]))
    done = run(file)
    assert done.returncode == 2
    assert f"{file}, line 6: event 7 where 6 was due".encode() in done.stderr.replace(b"\n", b"")
    assert run(tmp_path / "none").returncode == 2
