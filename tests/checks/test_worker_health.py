"""The judgement of the worker, and verdicts on their way to the gate."""

import json
from contextlib import closing
from typing import Any

import msgspec

from checks import worker_health
from checks.verdicts import (
    EVENT_LOG,
    MARKET_DATA,
    OPERATIONS,
    SNAPSHOT,
    Finding,
    Grade,
    leave,
    verdict_of,
)
from checks.worker_health import Seen, judge
from portcullis.config.files import read_configuration
from portcullis.domain.model import MINUTE, SECOND, Verdict
from portcullis.store.opening import open_inbox
from portcullis.wiring import defaults_folder

NOW = 1_800_000_000_000_000
HEALTH: dict[str, Any] = {
    "mode": "ACTIVE",
    "database_accessible": True,
    "worker": {"pid": 7, "waiting": 0, "memory_mb": 80.0, "last_event": 12,
               "uptime_s": 9_000, "errors_per_minute": 0.0, "snapshot_age_s": 5.0,
               "market_data_age_s": 1.0},
}  # fmt: skip


def seen(*, age=SECOND, version="1", health=None, market_open=True, **worker):
    shown = {**HEALTH, "worker": {**HEALTH["worker"], **worker}} if health is None else health
    return Seen(NOW - age, version, shown, market_open=market_open)


def test_a_worker_that_is_well_passes():
    assert judge(seen(), NOW, "1").grade is Grade.PASS


def test_each_thing_that_is_wrong_is_named():
    for bad, word in (
        (seen(age=2 * MINUTE), "newest event"),
        (seen(version="0"), "version"),
        (seen(waiting=10_000), "waiting"),
        (seen(memory_mb=5_000.0), "memory"),
        (seen(health={**HEALTH, "database_accessible": False}), "store"),
        (seen(errors_per_minute=10.2), "errors a minute 10.2"),
        (seen(market_data_age_s=301.0), "market data age s 301"),
        (seen(market_data_age_s=None), "market data age s never"),
        (seen(snapshot_age_s=90_001.0), "snapshot age s"),
        (Seen(NOW, "1", None, "refused"), "gate refused"),
    ):
        found = judge(bad, NOW, "1")
        assert found.grade is Grade.FAIL
        assert word in found.summary


def test_nothing_is_overdue_while_the_market_is_closed_or_the_worker_young():
    assert judge(seen(market_data_age_s=9_000.0, market_open=False), NOW, "1").grade is Grade.PASS
    young = seen(market_data_age_s=None, snapshot_age_s=None, uptime_s=20)
    assert judge(young, NOW, "1").grade is Grade.PASS


def test_a_fallen_gate_is_no_fault_of_the_worker():
    assert judge(seen(health={**HEALTH, "mode": "OBSERVE_ONLY"}), NOW, "1").grade is Grade.PASS


def test_looking_at_a_home_whose_worker_is_away(settings):
    away = msgspec.structs.replace(settings, gate_port=1)
    found = worker_health.look(away, NOW)
    assert found.health is None
    assert found.newest_at > 0
    assert found.version


def test_the_beat_is_replaced_whole(settings):
    path = worker_health.write_beat(settings, 1, "a")
    assert worker_health.write_beat(settings, 2, "b") == path
    assert json.loads(path.read_text())["run"] == "b"
    assert [each.name for each in path.parent.iterdir()] == ["beat.json"]


def test_a_verdict_is_left_once_per_run(settings):
    verdict = verdict_of(OPERATIONS, Finding(Grade.FAIL, "why", []), NOW, "run-1")
    assert not verdict.passed
    assert leave(settings, verdict) == leave(settings, verdict)
    with closing(open_inbox(settings)) as inbox:
        (request,) = inbox.waiting(10)
    assert request.verb == "verdict"
    assert msgspec.msgpack.decode(request.body, type=Verdict) == verdict


def test_the_names_are_those_that_the_gate_waits_for():
    required = {need.name for need in read_configuration(defaults_folder()).plan.required}
    assert {k.name for k in (OPERATIONS, MARKET_DATA, EVENT_LOG, SNAPSHOT)} <= required
