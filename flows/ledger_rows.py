"""The suite over the ledger's rows: what is new and a slice every hour, everything every week."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from checks import ledger_rows as rows
from checks.verdicts import LEDGER_ROWS
from tasks.evidence import judged
from tasks.punctuality import skipped_when_late


def _name() -> str:
    from prefect import runtime

    everything = runtime.flow_run.parameters.get("full")
    return "ledger rows, all" if everything else "ledger rows, what is new and a slice"


@flow(name="ledger_rows", flow_run_name=_name, timeout_seconds=2_000)
@skipped_when_late(timedelta(hours=1))
async def ledger_rows(full: bool = False) -> State[Any]:
    """Contiguity, order, duplicates, kinds, seals, outbox: verdict `ledger_rows`.

    Args:
        full: Look at every row instead of at what is new and a slice of the rest.
    """
    return await judged(
        LEDGER_ROWS, lambda settings, now: rows.check_where_it_fits(settings, now, full=full)
    )
