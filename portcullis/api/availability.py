"""Good time: how long, of the time that this process looked, the worker turned on fresh data."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from portcullis.api.here import Here
from portcullis.domain.model import SECOND

LOOK_EVERY = 10.0
SILENT = 30 * SECOND
"""A worker that vouches for itself writes more often than that."""


def is_good(seen: Mapping[str, Any], now: int) -> bool:
    """Whether the worker answers, writes, and no check of the market's data fails or is overdue."""
    if not seen["live"] or now - seen["as_of"] >= SILENT:
        return False
    states = {row["name"]: row["state"] for row in seen["evidence"]}
    # Before anything has looked, as at the first start, nothing is known to be wrong.
    return states.get("market_data", "missing") in ("passing", "missing")


async def watch(here: Here) -> None:
    """Look every ten seconds and count the time since the last look, for as long as this runs."""
    last = here.monotonic()
    while True:
        await asyncio.sleep(LOOK_EVERY)
        now = here.monotonic()
        await look(here, min(now - last, 2 * LOOK_EVERY))
        last = now


async def look(here: Here, seconds: float) -> None:
    """Count so much time as good or bad, by how it is now."""
    good = is_good(await here.seen.status(), here.now())
    here.meters.watched(seconds, good=good)
