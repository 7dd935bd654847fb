"""The health family: looking only, no venue, and an answer also where the worker is dead."""

from __future__ import annotations

import hashlib
import shutil
from typing import Any

from fastapi import APIRouter, Request, Response

from portcullis import __version__
from portcullis.api.access import GuardedRoute
from portcullis.api.answers import answer, described, rfc3339
from portcullis.api.here import Here, here_of, in_ledger
from portcullis.api.problems import Problem
from portcullis.api.shapes import Alive, ApiHealth, Health, LastSnapshot, Ready, Uptime
from portcullis.api.shut import Shut
from portcullis.domain.events import VenueLinked, decode
from portcullis.domain.model import MICRO, SECOND
from portcullis.domain.money import duration
from portcullis.errors import PortcullisError
from portcullis.store.reading import EventFilter, LedgerReader

router = APIRouter(route_class=GuardedRoute, tags=["health"])
STALLED_SECONDS = 10.0
DISK_LEAST = 200 * 2**20
LINKS_LOOKED_AT = 200_000


@router.get("/healthz", operation_id="healthz", responses=described(Alive))
@router.get("/livez", operation_id="livez", responses=described(Alive))
async def alive() -> Response:
    """Whether this process is alive. Nothing else is asked."""
    return answer({"status": "alive"})


@router.get("/health", operation_id="health", responses=described(Health, also=503))
async def health(request: Request) -> Response:
    """How it is. 503 when unhealthy; a gate that is shut on purpose is degraded, with 200."""
    body = await health_of(here_of(request))
    return answer(body, 503 if body["status"] == "unhealthy" else 200)


async def health_of(here: Here) -> dict[str, Any]:
    seen = await here.seen.status()
    store, shut = await _ledger_end(here), await _shut(here, seen)
    readable = store is not None and seen["live"]
    fine = seen["gate_open"] and bool(seen["venues"]) and all(seen["venues"].values())
    figures = seen.get("worker", {})
    return {
        "status": ("healthy" if fine else "degraded") if readable else "unhealthy",
        "mode": seen["mode"],
        "gate_open": seen["gate_open"],
        "why": seen.get("away") or seen["why"],
        "shut": shut and {**shut._asdict(), "at": rfc3339(shut.at)},
        "lacking": seen["lacking"],
        "uptime": figures.get("uptime_s", 0),
        "accounts_monitored": len(seen["accounts"]),
        "venues": await _venues(here, seen),
        **_of_topstepx(here, seen),
        "database_accessible": store is not None,
        "last_event": rfc3339(store["at"]) if store else None,
        "last_position": store["position"] if store else None,
        "worker_alive": seen["live"],
        "version": __version__,
    }


def _of_topstepx(here: Here, seen: dict[str, Any]) -> dict[str, Any]:
    if here.settings.venue != "projectx":
        return {}
    return {"signalr_connected": bool(seen["venues"]) and all(seen["venues"].values())}


async def _ledger_end(here: Here) -> dict[str, Any] | None:
    """Where the ledger ends; None where it cannot be read."""
    try:
        found = await in_ledger(here, lambda r: {"at": r.last_at(), "position": r.head().position})
    except (PortcullisError, Problem):
        return None
    return dict(found)


async def _venues(here: Here, seen: dict[str, Any]) -> dict[str, Any]:
    """Each with its connection, and since when it is as it is."""
    names = seen["venues"]
    if not names:
        return {}

    def changes(reader: LedgerReader) -> dict[str, int]:
        found: dict[str, int] = {}
        after = max(0, reader.head().position - LINKS_LOOKED_AT)
        where = EventFilter("system", ("venue_linked",))
        for stored in reader.events(where, after=after, newest_first=True):
            linked = decode(stored.payload)
            assert isinstance(linked, VenueLinked)
            if linked.venue in names and linked.venue not in found:
                found[linked.venue] = stored.at
            if len(found) == len(names):
                break
        return found

    asked = tuple(names.items())
    if here.links.get("of") != asked:
        try:
            found = await in_ledger(here, changes)
        except (PortcullisError, Problem):
            found = {}
        here.links.update(of=asked, since=found)
    since = here.links["since"]
    return {
        name: {"connected": bool(connected), "since": rfc3339(since.get(name))}
        for name, connected in names.items()
    }


@router.get("/ready", operation_id="ready", responses=described(Ready, also=503))
@router.get("/readyz", operation_id="readyz", responses=described(Ready, also=503))
async def ready(request: Request) -> Response:
    """Whether it can be used, with every check. OBSERVE_ONLY warns and is no reason to restart."""
    here = here_of(request)
    seen, store = await here.seen.status(), await _ledger_end(here)
    shut = await _shut(here, seen)
    checks = [_worker(seen), _ledger(store), _disk(here), *_gate(here, seen, shut), *_links(seen)]
    is_ready = all(row["status"] != "fail" for row in checks) and not here.stopping.is_set()
    if here.stopping.is_set():
        checks.append(_check("api", "fail", "it is stopping", "ask the next one"))
    return answer({"ready": is_ready, "checks": checks}, 200 if is_ready else 503)


def _check(name: str, status: str, observed: str, remedy: str = "") -> dict[str, str]:
    return {
        "name": name, "status": status, "observed": observed,
        "remedy": "" if status == "pass" else remedy,
    }  # fmt: skip


def _worker(seen: dict[str, Any]) -> dict[str, str]:
    if not seen["live"]:
        return _check("worker", "fail", seen["away"], "start it with `portcullis up`")
    figures = seen["worker"]
    if figures["waiting"] and figures["event_write_age_s"] > STALLED_SECONDS:
        what = f"{figures['waiting']} events wait since {figures['event_write_age_s']} s"
        return _check("worker", "fail", what, "look at the disk; see `portcullis doctor`")
    return _check("worker", "pass", f"answers, up {duration(figures['uptime_s'] * SECOND)}")


def _ledger(store: dict[str, Any] | None) -> dict[str, str]:
    if store is None:
        return _check("ledger", "fail", "it cannot be read", "run `portcullis doctor`")
    return _check("ledger", "pass", f"event {store['position']}")


def _disk(here: Here) -> dict[str, str]:
    free = shutil.disk_usage(here.settings.home_path).free
    observed = f"{free // 2**20} MB free"
    return _check("disk", "pass" if free > DISK_LEAST else "fail", observed, "free space on it")


async def _shut(here: Here, seen: dict[str, Any]) -> Shut | None:
    """What shut the gate; None while it is open, or where the ledger cannot tell."""
    if seen["gate_open"]:
        return None
    try:
        found: Shut | None = await in_ledger(here, here.shutting.look)
    except (PortcullisError, Problem):
        return None
    return found


def _gate(here: Here, seen: dict[str, Any], shut: Shut | None) -> list[dict[str, str]]:
    how = "pass" if seen["gate_open"] else "warn"
    why = shut.told(here.now()) if shut else seen["why"]
    rows = [_check("mode", how, f"{seen['mode']}: {why}", _opens(seen))]
    for row in seen["evidence"]:
        if row["required"]:
            holds = row["state"] == "passing"
            observed = f"{row['state']} {row['summary']}".strip()
            remedy = f"see `portcullis evidence show {row['name']}`"
            rows.append(
                _check(f"evidence/{row['name']}", "pass" if holds else "warn", observed, remedy)
            )
    return rows


def _opens(seen: dict[str, Any]) -> str:
    """What opens a gate that is shut."""
    if seen["mode"] == "STARTING":
        return "wait for the checks of the start; then it is as it was before"
    first = "mend what lacks, then " if seen["lacking"] else "nothing is lacking: "
    return f"{first}`portcullis mode release --reason ...`"


def _links(seen: dict[str, Any]) -> list[dict[str, str]]:
    reasons = seen["venue_reasons"]
    return [
        _check(
            f"venue/{name}",
            "pass" if connected else "warn",
            "connected" if connected else f"not connected {reasons.get(name, '')}".strip(),
            "the worker goes on trying; see `portcullis doctor`",
        )
        for name, connected in seen["venues"].items()
    ]


@router.get("/api/health", operation_id="api_health", responses=described(ApiHealth, also=503))
async def api_health(request: Request) -> Response:
    """The health in the names that other programs know; 503 when unhealthy."""
    body = await _api_health(here_of(request))
    return answer(body, 200 if body["healthy"] else 503)


async def _api_health(here: Here) -> dict[str, Any]:
    seen = await here.seen.status()
    store, figures, now = await _ledger_end(here), seen.get("worker", {}), here.now()
    snapshot = await _snapshot(here)

    def ago(age: float | None) -> str | None:
        return None if age is None else rfc3339(now - round(age * MICRO))

    return {
        "healthy": seen["live"] and store is not None,
        "uptime": figures.get("uptime_s", 0),
        "lastMarketDataUpdate": ago(figures.get("market_data_age_s")),
        "lastEventLogWrite": rfc3339(store["at"]) if store else None,
        "lastSnapshotWrite": snapshot["timestamp"] if snapshot else None,
        "executionQueueStatus": _queue(seen),
        "memoryUsage": figures.get("memory_mb"),
        "errorRate": figures.get("errors_per_minute"),
        "timestamp": rfc3339(now),
    }


def _queue(seen: dict[str, Any]) -> str:
    if not seen["live"]:
        return "STALLED"
    figures = seen["worker"]
    if figures["waiting"] and figures["event_write_age_s"] > STALLED_SECONDS:
        return "STALLED"
    enforcing = any(row["enforcing"] for row in seen["accounts"])
    return "PROCESSING" if enforcing or figures["waiting"] else "IDLE"


@router.get(
    "/api/health/status", operation_id="api_health_status", responses=described(Health, also=503)
)
async def status(request: Request) -> Response:
    """The health whole: what `/health` and `/api/health` tell, and the worker's figures."""
    here = here_of(request)
    body = {
        **await health_of(here),
        **await _api_health(here),
        "worker": (await here.seen.status()).get("worker"),
    }
    return answer(body, 503 if body["status"] == "unhealthy" else 200)


@router.get("/api/health/uptime", operation_id="api_health_uptime", responses=described(Uptime))
async def uptime(request: Request) -> Response:
    """How long the worker has run, for programs and for people."""
    here, now = here_of(request), here_of(request).now()
    seconds = (await here.seen.status()).get("worker", {}).get("uptime_s", 0)
    return answer(
        {
            "uptime": seconds,
            "human": in_words(seconds),
            "started": rfc3339(now - seconds * SECOND) if seconds else None,
            "api_uptime": (now - here.started) // SECOND,
        }
    )


def in_words(seconds: int) -> str:
    """`2d 5h 30m`."""
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    return f"{days}d {hours}h {minutes}m"


@router.get(
    "/api/health/last_snapshot",
    operation_id="api_health_last_snapshot",
    responses=described(LastSnapshot),
)
async def last_snapshot(request: Request) -> Response:
    """The newest snapshot with its sequence and hash; 404 before the first."""
    found = await _snapshot(here_of(request))
    if found is None:
        raise Problem(404, "there is no snapshot yet", remedy="the worker takes one as it goes")
    return answer(found)


async def _snapshot(here: Here) -> dict[str, Any] | None:
    def look(reader: LedgerReader) -> dict[str, Any] | None:
        newest = reader.latest_snapshot()
        if newest is None:
            return None
        return {
            "sequence": newest.position,
            "hash": hashlib.sha256(newest.state).hexdigest(),
            "timestamp": rfc3339(newest.taken_at),
            "age": round((here.now() - newest.taken_at) / MICRO, 1),
            "bytes": len(newest.state),
        }

    try:
        found = await in_ledger(here, look)
    except (PortcullisError, Problem):
        return None
    return None if found is None else dict(found)
