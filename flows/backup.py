"""A backup every hour, and on demand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from checks import backups
from checks.verdicts import BACKUP
from tasks.evidence import judged
from tasks.punctuality import skipped_when_late


@flow(name="backup", flow_run_name="backup of the home", timeout_seconds=1_800)
@skipped_when_late(timedelta(hours=1))
async def backup() -> State[Any]:
    """Copy, verify, pack, encrypt, store, read back, rotate: verdict `backup`."""
    return await judged(BACKUP, backups.back_up)
