"""The daily record of every account."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from checks import account_records
from checks.verdicts import SNAPSHOT
from tasks.evidence import judged
from tasks.punctuality import skipped_when_late


@flow(name="snapshot", flow_run_name="record of every account", timeout_seconds=120)
@skipped_when_late(timedelta(days=1))
async def snapshot() -> State[Any]:
    """Write figures, tables and equity curves under `snapshots` in the home: verdict `snapshot`."""
    return await judged(SNAPSHOT, account_records.record)
