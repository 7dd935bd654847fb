"""Is every strategy where its moves led it?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from checks import strategies as strategies_checks
from checks.verdicts import STRATEGIES
from tasks.evidence import judged
from tasks.punctuality import skipped_when_late


@flow(name="strategies", flow_run_name="moves of strategies", timeout_seconds=120)
@skipped_when_late(timedelta(hours=1))
async def strategies() -> State[Any]:
    """Every recorded move legal, ending in the present state: verdict `strategies`."""
    return await judged(STRATEGIES, strategies_checks.check)
