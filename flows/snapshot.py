"""The daily record of every account, each at its own reset."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from checks import account_records
from checks.verdicts import SNAPSHOT
from tasks.evidence import judged
from tasks.punctuality import skipped_when_late


@flow(name="snapshot", flow_run_name="records that are due", timeout_seconds=2_000)
@skipped_when_late(timedelta(minutes=10))
async def snapshot(full: bool = False) -> State[Any]:
    """Record each account after its own reset, and judge all records: verdict `snapshot`.

    Args:
        full: Look at every record instead of at those of the last 35 days.
    """
    return await judged(
        SNAPSHOT,
        lambda settings, now: account_records.record_where_it_fits(settings, now, full=full),
    )
