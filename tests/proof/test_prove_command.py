"""`portcullis prove` as a person types it: what it says, and what it refuses before it starts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from portcullis.proof import story, swarm


def prove(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "portcullis", "prove", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_it_says_a_line_for_each_run_and_ends_with_what_was_shown(tmp_path: Path):
    done = prove(
        "--seeds", 2, "--seconds", 60, "--jobs", 1, "--keep", tmp_path / "new", "-o", "json"
    )
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert [ran["seed"] for ran in body["runs"]] == [1, 2]
    assert body["asked"] == 2
    assert "1 of 2: seed 1" in done.stderr
    assert "2 of 2: seed 2" in done.stderr


def test_a_kept_story_is_replayed(tmp_path: Path):
    path = tmp_path / "story.json"
    path.write_bytes(story.write(swarm.draw(5, 60)))
    done = prove("--story", path, "-o", "json")
    assert done.returncode == 0, done.stderr
    assert [ran["seed"] for ran in json.loads(done.stdout)["runs"]] == [5]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--keep", "a-file"), 2, "no folder for stories that fail"),
        (("--story", "."), 5, "is a folder"),
        (("--story", "nowhere.json"), 5, "there is no file"),
        (("--story", "a-file"), 2, "this is no story"),
        (("--story", "a-file", "--mutants"), 2, "give one of them"),
        (("--seeds", "0"), 2, "--seeds"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_runs(
    arguments: tuple[str, ...], code: int, said: str, tmp_path: Path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("a-file").write_text("not a story")
    done = prove(*arguments)
    assert done.returncode == code
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def left_in_group(group: int) -> list[psutil.Process]:
    """The processes of a group that do not end by themselves either."""
    members = []
    for each in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(each.pid) == group:
                members.append(each)
    return psutil.wait_procs(members, timeout=30)[1]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_campaign_that_is_ended_tells_what_was_shown_and_leaves_nobody_behind(how: int):
    command = [sys.executable, "-m", "portcullis", "prove", "--seeds", "500", "--jobs", "2"]
    process = subprocess.Popen(
        [*command, "--seconds", "30", "-o", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    first = process.stderr.readline()
    os.killpg(process.pid, how) if how == signal.SIGINT else process.send_signal(how)
    answer, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "1 of 500" in first
    assert "Traceback" not in said
    assert 1 <= len(json.loads(answer)["runs"]) < 500
    assert left_in_group(process.pid) == []
