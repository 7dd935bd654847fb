"""A run crashed, took too long or raised: an alert, one line in the log, a page to look at."""

from __future__ import annotations

import sys
from typing import Any
from uuid import UUID

from prefect import flow
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.objects import State
from prefect.states import Completed

from portcullis.config.settings import read_settings
from tasks.failed_flows import leave_failure
from tasks.unended import read_run


@flow(name="ended_badly", flow_run_name="what became of {run}", timeout_seconds=60)
async def ended_badly(run: UUID) -> State[Any]:
    """Keep which run it was and what it said, and leave the alert `flow_failed` of its flow; its
    evidence lacks from the end of its time on.

    Args:
        run: The id of the run that ended badly.
    """
    found = await read_run(run)
    state = found.state
    how = "ended" if state is None else f"{state.name}: {state.message or 'it said nothing'}"
    line = f"{found.name}: {how}"
    sys.stderr.write(f"{line}\n")
    await acreate_markdown_artifact(key="ended-badly", markdown=f"**{found.name}** {how}")
    await leave_failure(read_settings(), found.flow_id, found.id, line)
    return Completed(name="Noted", message=line)
