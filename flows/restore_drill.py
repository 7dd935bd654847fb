"""A backup is known to restore because it was restored."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from checks import backups
from checks.verdicts import RESTORE
from tasks.evidence import judged
from tasks.punctuality import skipped_when_late


@flow(name="restore_drill", flow_run_name="restore of the newest backup", timeout_seconds=3_600)
@skipped_when_late(timedelta(days=1))
async def restore_drill() -> State[Any]:
    """Restore beside the live store, verify, fold, compare; RTO and RPO: verdict `restore`."""
    return await judged(RESTORE, backups.drill)
