"""A silent worker is told once, by who still lives, and once that it answers again."""

import msgspec
import pytest

from checks import alerts, worker_health
from checks.worker_health import Seen
from checks.worker_silence import tell
from portcullis.config.settings import Settings
from portcullis.domain.events import SYSTEM, WorkerStarted, WorkerStopped
from portcullis.domain.model import MINUTE, SECOND
from portcullis.ports import Entry
from portcullis.store.ledger import SqliteLedger
from tests.checks.inbox import alerts_left

NOW = 1_800_000_000 * SECOND
BEAT = 30 * SECOND


@pytest.fixture
def bare(tmp_path):
    return Settings(home=str(tmp_path), gate_port=9)


def well(now):
    return Seen(now - SECOND, "1", {"mode": "ACTIVE"})


def away(now, age=SECOND, stopped=False):
    return Seen(now - age, "1", None, "127.0.0.1:9: refused", stopped=stopped)


def test_a_worker_that_is_well_leaves_nothing(bare):
    assert tell(bare, well(NOW), NOW) == ""
    assert alerts_left(bare) == []


def test_a_gate_that_was_away_for_one_look_is_a_restart(bare):
    assert tell(bare, away(NOW), NOW) == ""
    assert tell(bare, well(NOW + BEAT), NOW + BEAT) == ""
    assert tell(bare, away(NOW + 2 * BEAT), NOW + 2 * BEAT) == "", "another incident, seen once"
    assert alerts_left(bare) == []


def test_it_is_told_once_however_often_it_is_seen_and_once_that_it_is_over(bare):
    looks = [NOW + number * BEAT for number in range(6)]
    for at in looks:
        tell(bare, away(at, at - NOW), at, "http://127.0.0.1:4210/runs/flow-run/r")
    (firing,) = alerts_left(bare)
    assert firing.request_id == f"alert-worker_silent-{NOW}-firing"
    assert (firing.by, firing.asked_at) == ("heartbeat", looks[1])
    assert firing.arguments["kind"] == "worker_silent"
    assert firing.arguments["state"] == "firing"
    assert "its gate does not answer (127.0.0.1:9: refused)" in firing.arguments["message"]
    assert firing.arguments["link"].endswith("/r")
    for at in (looks[-1] + BEAT, looks[-1] + 2 * BEAT):
        tell(bare, well(at), at)
    _, over = alerts_left(bare)
    assert over.request_id == f"alert-worker_silent-{NOW}-resolved"
    assert over.arguments["state"] == "resolved"
    assert "answers again, after 3 min" in over.arguments["message"]


def test_a_worker_that_answers_and_writes_nothing_is_told_at_once(bare):
    stuck = Seen(NOW - 2 * MINUTE - 1, "1", {"mode": "ACTIVE"})
    assert tell(bare, Seen(NOW - 2 * MINUTE, "1", {"mode": "ACTIVE"}), NOW) == ""
    assert tell(bare, stuck, NOW)
    assert "its gate answers" in alerts_left(bare)[0].arguments["message"]


def test_the_next_time_is_another_incident(bare):
    for start in (NOW, NOW + 60 * MINUTE):
        tell(bare, away(start, 3 * MINUTE), start)
        tell(bare, well(start + BEAT), start + BEAT)
    assert len({left.request_id for left in alerts_left(bare)}) == 4


def test_what_could_not_be_remembered_as_told_is_told_under_the_same_id(bare):
    tell(bare, away(NOW, 3 * MINUTE), NOW)
    incident = alerts.known(bare, "worker_silent")
    assert incident is not None
    alerts.keep(bare, msgspec.structs.replace(incident, told=False))
    tell(bare, away(NOW + BEAT, 4 * MINUTE), NOW + BEAT)
    assert len(alerts_left(bare)) == 1


def test_a_memory_that_cannot_be_read_is_a_new_incident(bare):
    tell(bare, away(NOW, 3 * MINUTE), NOW)
    (path,) = (bare.operations_path / "incidents").iterdir()
    path.write_text("{")
    tell(bare, away(NOW + BEAT, 4 * MINUTE), NOW + BEAT)
    assert len(alerts_left(bare)) == 2


def test_a_worker_that_a_person_stopped_is_not_told(bare, tmp_path):
    ledger = SqliteLedger(tmp_path)
    ledger.append([Entry(SYSTEM, NOW, "t", WorkerStarted("1", 7, True))])
    assert not worker_health.look(bare, NOW).stopped
    ledger.append([Entry(SYSTEM, NOW, "t", WorkerStopped("asked to stop"))])
    ledger.close()
    seen = worker_health.look(bare, NOW + 10 * MINUTE)
    assert seen.stopped
    assert tell(bare, seen, NOW + 10 * MINUTE) == ""
    assert alerts_left(bare) == []
