"""Verification of the ledger: what is new every hour, everything every week."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from checks.apart import check_apart
from checks.verdicts import EVENT_LOG
from tasks.evidence import judged
from tasks.punctuality import skipped_when_late


def _name() -> str:
    from prefect import runtime

    everything = runtime.flow_run.parameters.get("full")
    return "ledger, every event" if everything else "ledger, what is new"


@flow(name="integrity", flow_run_name=_name, timeout_seconds=2_000)
@skipped_when_late(timedelta(hours=1))
async def integrity(full: bool = False) -> State[Any]:
    """Chain, folded states and decisions derived again: verdict `event_log`.

    Args:
        full: Verify from the first event instead of from the last mark.
    """
    return await judged(
        EVENT_LOG, lambda settings, _now: check_apart(settings, "checks.log_integrity", full=full)
    )
