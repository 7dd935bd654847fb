"""How far a long run is, by how long the last one of its name took. A short run shows none."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from prefect import runtime
from prefect.artifacts import acreate_progress_artifact, aupdate_progress_artifact

from checks.worker_health import replace_file
from portcullis.config.settings import Settings

EVERY_SECONDS = 5.0
TELL_SECONDS = 3.0  # a server that is away must not hold up what is shown
SHARE_MAX = 95.0
UNKNOWN = 5.0
T = TypeVar("T")


async def shown(settings: Settings, what: str, work: Awaitable[T]) -> T:
    """Do the work; where it takes more than `EVERY_SECONDS`, tell how far it is.

    Raises what the work raises, and nothing of its own: to show is no reason to fail.
    """
    name = re.sub(r"[^a-z0-9]+", "-", str(runtime.flow_run.name or what).lower()).strip("-")
    path = settings.operations_path / "took" / name
    began, last, artifact = time.monotonic(), last_took(path), None
    working = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait((working,), timeout=EVERY_SECONDS))[0]:
            artifact = await _tell(artifact, name, time.monotonic() - began, last)
    finally:
        working.cancel()
    if artifact is not None:
        took = time.monotonic() - began
        await _update(artifact, 100.0, f"done in {took:.0f} s")
        await asyncio.to_thread(_remember, path, took)
    return working.result()


def share(elapsed: float, last: float | None) -> float:
    """Percent done after `elapsed` seconds, where the last one took `last`; never all of it."""
    return min(SHARE_MAX, 100.0 * elapsed / last) if last else UNKNOWN


def last_took(path: Path) -> float | None:
    """Seconds that the last one took; None where that is not known."""
    try:
        took = float(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return took if 0 < took < float("inf") else None


def _remember(path: Path, took: float) -> None:
    try:
        replace_file(path, f"{took:.1f}".encode("ascii"))
    except OSError:  # the next one then shows no share
        return


async def _tell(
    artifact: UUID | None, name: str, elapsed: float, last: float | None
) -> UUID | None:
    """One artifact for the run: made the first time, renewed after that."""
    beside = f"the last one took {last:.0f} s" if last else "how long it takes is not known yet"
    told = f"{elapsed:.0f} s so far; {beside}"
    if artifact is not None:
        await _update(artifact, share(elapsed, last), told)
        return artifact
    try:
        async with asyncio.timeout(TELL_SECONDS):
            return await acreate_progress_artifact(
                share(elapsed, last), key=f"progress-{name}", description=told
            )
    except Exception:  # noqa: BLE001 - see `shown`
        return None


async def _update(artifact: UUID, percent: float, told: str) -> None:
    try:
        async with asyncio.timeout(TELL_SECONDS):
            await aupdate_progress_artifact(artifact, percent, description=told)
    except Exception:  # noqa: BLE001 - see `shown`
        return
