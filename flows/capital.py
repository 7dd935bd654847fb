"""Do the pools agree with their accounts?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from checks import capital as capital_checks
from checks.verdicts import CAPITAL
from tasks.evidence import judged
from tasks.punctuality import skipped_when_late


@flow(name="capital", flow_run_name="pools and accounts", timeout_seconds=120)
@skipped_when_late(timedelta(hours=1))
async def capital() -> State[Any]:
    """Each pool's own book beside those of its accounts: verdict `capital`."""
    return await judged(CAPITAL, capital_checks.check)
