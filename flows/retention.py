"""What is old leaves the ledger and the disk."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from checks import retained
from portcullis.config.settings import read_settings
from tasks.evidence import carry_out, ended, show
from tasks.punctuality import skipped_when_late


@flow(name="retention", flow_run_name="archive of old events", timeout_seconds=3_600)
@skipped_when_late(timedelta(days=1))
async def retention() -> State[Any]:
    """Archive segments older than `keep_online`, let the worker drop them, clear old logs."""
    found = await carry_out("retention", read_settings(), retained.retain)
    await show("retention", found)
    return ended(found)
