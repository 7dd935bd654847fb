"""Is the enforcement worker alive and well? Judged from its ledger and its gate, not its word."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from checks.market_data import is_open
from checks.plan import plan_to_go_by
from checks.verdicts import Finding, Grade
from portcullis import __version__, gate_client
from portcullis.config.settings import Settings
from portcullis.domain.events import SYSTEM, WorkerStarted, decode
from portcullis.domain.model import SECOND
from portcullis.domain.money import duration
from portcullis.store.opening import is_own, open_reader
from portcullis.store.reading import EventFilter, LedgerReader

ANSWER_SECONDS = 5.0
SILENT_AFTER = 60 * SECOND
WAITING_MAX = 5_000
MEMORY_MB_MAX = 1_024.0
ERRORS_MAX = 10.0  # a minute
DATA_AGE_MAX_S = 300.0
SNAPSHOT_AGE_MAX_S = 25 * 3600.0


class Seen(msgspec.Struct, frozen=True):
    """What was seen of the worker; `health` is None when its gate did not answer.

    `market_open`: whether quotes are due at all. `stopped`: it is away because it was asked to be.
    """

    newest_at: int
    version: str
    health: dict[str, Any] | None
    problem: str = ""
    market_open: bool = False
    stopped: bool = False


def look(settings: Settings, now: int) -> Seen:
    """Look at the ledger and the gate; raises StoreError where there is no ledger."""
    health, problem = ask_gate(settings)
    market_open = is_open(plan_to_go_by(settings), now)
    with open_reader(settings) as reader:
        pid = int(health["worker"]["pid"]) if health else 0
        version = version_of_worker(settings, pid)
        stopped = health is None and _was_stopped(reader)
        return Seen(reader.last_at(), version, health, problem, market_open, stopped)


def _was_stopped(reader: LedgerReader) -> bool:
    """Whether the newest run of a worker ended because somebody asked it to."""
    where = EventFilter(stream=SYSTEM, kinds=("worker_started", "worker_stopped"))
    newest = next(iter(reader.events(where, newest_first=True)), None)
    return newest is not None and newest.kind == "worker_stopped"


def ask_gate(settings: Settings) -> tuple[dict[str, Any] | None, str]:
    """The gate's own account of itself, or None and why not."""
    try:
        return gate_client.health(settings, ANSWER_SECONDS, is_own), ""
    except gate_client.NoAnswer as error:
        return None, f"{settings.host}:{settings.gate_port}: {error}"


@lru_cache(maxsize=8)
def version_of_worker(settings: Settings, pid: int) -> str:
    """The version the newest start was recorded with; looked up once per worker process."""
    with open_reader(settings) as reader:
        where = EventFilter(stream=SYSTEM, kinds=("worker_started",))
        for row in reader.events(where, newest_first=True):
            event = decode(row.payload)
            if isinstance(event, WorkerStarted) and pid in (0, event.pid):
                return event.version
    return ""


def judge(seen: Seen, now: int, ours: str = __version__) -> Finding:
    """The worker's health from what was seen. The mode is shown, not judged: falling is allowed."""
    silent = max(0, now - seen.newest_at)
    rows = [
        _row("newest event", duration(silent), duration(SILENT_AFTER), silent <= SILENT_AFTER),
        _row("version", seen.version or "unknown", ours, seen.version == ours),
    ]
    if seen.health is None:
        rows.append(_row("gate", seen.problem, "answers", False))
        return _finding(rows, "its gate does not answer")
    worker, mode = seen.health["worker"], seen.health["mode"]
    waiting, memory = int(worker["waiting"]), float(worker["memory_mb"])
    errors = float(worker["errors_per_minute"])
    reachable = bool(seen.health["database_accessible"])
    rows += [
        _row("gate", "answers", "answers", True),
        _row("mode", mode, "any", True),
        _row("waiting events", waiting, WAITING_MAX, waiting <= WAITING_MAX),
        _row("memory MB", memory, MEMORY_MB_MAX, memory <= MEMORY_MB_MAX),
        _row("store", "written" if reachable else "failed", "written", reachable),
        _row("errors a minute", errors, ERRORS_MAX, errors <= ERRORS_MAX),
        _aged("snapshot age s", worker["snapshot_age_s"], SNAPSHOT_AGE_MAX_S, worker),
    ]
    if seen.market_open:
        rows.append(_aged("market data age s", worker["market_data_age_s"], DATA_AGE_MAX_S, worker))
    return _finding(rows, f"mode {mode}, {memory:.0f} MB, event {worker['last_event']}")


def _row(what: str, measured: Any, limit: Any, ok: bool) -> dict[str, Any]:
    return {"what": what, "measured": measured, "limit": limit, "ok": ok}


def _aged(what: str, age: float | None, limit: float, worker: dict[str, Any]) -> dict[str, Any]:
    """What never came is stale, as soon as there was time for it to come."""
    known = float(worker["uptime_s"]) if age is None else age
    return _row(what, "never" if age is None else age, limit, known <= limit)


def _finding(rows: list[dict[str, Any]], summary: str) -> Finding:
    bad = [f"{r['what']} {r['measured']} (limit {r['limit']})" for r in rows if not r["ok"]]
    if bad:
        return Finding(Grade.FAIL, "the worker: " + "; ".join(bad), rows)
    return Finding(Grade.PASS, f"the worker is well: {summary}", rows)


def write_beat(settings: Settings, now: int, run_id: str) -> Path:
    """The operations side's own sign of life, replaced in one step."""
    path = settings.operations_path / "beat.json"
    replace_file(path, json.dumps({"at": now, "pid": os.getpid(), "run": run_id}).encode())
    return path


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(path.suffix + ".new")
    draft.write_bytes(data)
    draft.replace(path)
