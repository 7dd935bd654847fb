"""The heartbeat is missing: look at both sides, from another pool than the one that may hang."""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from checks import silence as silences
from checks.verdicts import OPERATIONS
from portcullis.clock import SystemClock
from portcullis.config.settings import read_settings
from tasks.evidence import judged
from tasks.unended import unended


@flow(name="silence", flow_run_name="silence of the heartbeat", timeout_seconds=200)
async def silence() -> State[Any]:
    """Who is silent, and since when? Leaves `operations` as failed unless a heartbeat came."""
    await asyncio.sleep(silences.patience(read_settings(), SystemClock().now()))
    runs = await unended("heartbeat")
    return await judged(OPERATIONS, lambda settings, now: silences.check(settings, now, runs))
