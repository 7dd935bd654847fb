"""Nobody heard a heartbeat: who is silent is told, and a false alarm closes nothing."""

import json
import os

from checks import silence, worker_health
from checks.silence import Beat
from checks.verdicts import Finding, Grade
from portcullis.config.settings import Settings
from portcullis.domain.model import MINUTE, SECOND

NOW = 1_800_000_000 * SECOND
WELL = Finding(Grade.PASS, "the worker is well", [])
GONE = Finding(Grade.FAIL, "the worker: gate refused", [])


def test_a_beat_that_came_meanwhile_is_a_false_alarm():
    found = silence.judge(Beat(NOW - 2 * MINUTE, 7, "process 7 is running"), GONE, [], NOW)
    assert (found.grade, found.grade.holds) == (Grade.EARLY, False)
    later = silence.judge(Beat(NOW - 2 * MINUTE - 1, 7, "process 7 is running"), WELL, [], NOW)
    assert later.grade is Grade.FAIL


def test_the_reason_names_both_sides():
    beat = Beat(NOW - 5 * MINUTE, 7, "process 7 is gone")
    found = silence.judge(beat, GONE, ["Late 1", "Running 2"], NOW)
    assert found.grade is Grade.FAIL
    for word in ("5 min", "process 7 is gone", "Late 1, Running 2", "FAIL: the worker: gate"):
        assert word in found.summary


def test_a_side_that_never_beat_is_silent():
    found = silence.judge(None, WELL, [], NOW)
    assert found.grade is Grade.FAIL
    assert "last heartbeat never" in found.summary


def test_the_beat_is_read_as_it_was_written_and_its_process_looked_at(tmp_path):
    settings = Settings(home=str(tmp_path))
    assert silence.last_beat(settings) is None
    path = worker_health.write_beat(settings, NOW, "run")
    beat = silence.last_beat(settings)
    assert (beat.at, beat.pid) == (NOW, os.getpid())
    assert beat.process.startswith(f"process {os.getpid()} is running")
    path.write_text(json.dumps({"at": NOW, "pid": 2**22 + 1}))
    assert silence.last_beat(settings).process.endswith("is gone")
    path.write_text("{")
    assert silence.last_beat(settings) is None


def test_without_a_ledger_it_still_says_what_it_saw(tmp_path):
    found = silence.check(Settings(home=str(tmp_path), gate_port=9), NOW, [])
    assert found.grade is Grade.FAIL
    assert "ERROR" in found.summary


def test_it_waits_until_the_last_beat_is_old_enough_and_no_longer(tmp_path):
    settings = Settings(home=str(tmp_path))
    assert silence.patience(settings, NOW) == 0
    worker_health.write_beat(settings, NOW, "run")
    assert silence.patience(settings, NOW + MINUTE) == 61
    assert silence.patience(settings, NOW + 5 * MINUTE) == 0
    assert silence.patience(settings, NOW - 60 * MINUTE) == 120, "a clock that was put back"
    late = NOW + MINUTE + 61 * SECOND
    assert silence.judge(silence.last_beat(settings), WELL, [], late).grade is Grade.FAIL
