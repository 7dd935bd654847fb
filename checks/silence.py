"""Nobody heard a heartbeat: is it the worker, or the side that should judge it?"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import psutil

from checks import worker_health
from checks.verdicts import Finding, Grade
from portcullis.config.settings import Settings
from portcullis.domain.model import SECOND
from portcullis.domain.money import duration
from portcullis.errors import StoreError

SILENT_AFTER = 120 * SECOND


class Beat(NamedTuple):
    """The operations side's last sign of life: when (us), by which process, and how that is now."""

    at: int
    pid: int
    process: str


def check(settings: Settings, now: int, runs: list[str]) -> Finding:
    """Look at both sides; `runs` are heartbeats that Prefect has not seen end, by their states."""
    beat = last_beat(settings)
    try:
        worker = worker_health.judge(worker_health.look(settings, now), now)
    except StoreError as error:
        worker = Finding(Grade.ERROR, str(error), [])
    return judge(beat, worker, runs, now)


def judge(beat: Beat | None, worker: Finding, runs: list[str], now: int) -> Finding:
    """FAIL with the reason; EARLY where it was a false alarm, so that no verdict is left."""
    silent = None if beat is None else max(0, now - beat.at)
    told = "never" if silent is None else f"{duration(silent)} ago"
    rows: list[dict[str, Any]] = [
        {"what": "last heartbeat", "says": told},
        {"what": "operations process", "says": "unknown" if beat is None else beat.process},
        {"what": "heartbeats not over", "says": ", ".join(runs) or "none"},
        {"what": "worker", "says": f"{worker.grade}: {worker.summary}"},
    ]
    if silent is not None and silent <= SILENT_AFTER:
        return Finding(Grade.EARLY, f"a heartbeat came {told}: it is back", rows)
    why = f"the operations side: last heartbeat {told}; {rows[1]['says']}"
    why += f"; not over: {rows[2]['says']}" if runs else ""
    return Finding(Grade.FAIL, f"{why}; the worker, {rows[3]['says']}", rows)


def patience(settings: Settings, now: int) -> float:
    """Seconds until the last heartbeat would be two minutes old; none where it is."""
    beat = last_beat(settings)
    waits = 0 if beat is None else beat.at + SILENT_AFTER + SECOND - now
    return min(max(0, waits), SILENT_AFTER) / SECOND


def last_beat(settings: Settings) -> Beat | None:
    """What `heartbeat` wrote last, and whether the process that wrote it is there."""
    try:
        found = json.loads((settings.operations_path / "beat.json").read_bytes())
        at, pid = int(found["at"]), int(found["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Beat(at, pid, _process(pid))


def _process(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            size = process.memory_info().rss / 1e6
            how = f"{process.status()}, {process.num_threads()} threads, {size:.0f} MB"
            return f"process {pid} is {how}"
    except psutil.Error:
        return f"process {pid} is gone"
