"""Which flow a run was of, and whether a flow that failed has run well since."""

from __future__ import annotations

import asyncio
import datetime as dt
from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort

from checks import failed_flows
from portcullis.clock import SystemClock
from portcullis.config.orchestrator import prefect_address
from portcullis.config.settings import Settings
from tasks.automations import BADLY

NOTHING_DONE = ("Skipped", "Early")
"""Names of states that a run which did nothing ends with: it proves nothing."""

LOOKED_AT_MAX = 20
MICRO = dt.timedelta(microseconds=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@task(name="leave alert", retries=2, cache_policy=NO_CACHE)
async def leave_failure(settings: Settings, flow: UUID, run: UUID, how: str) -> str:
    """Leave the alert of a run's flow; the answer is the request's id. Safe to repeat."""
    async with get_client() as client:
        name = (await client.read_flow(flow)).name
    now, link = SystemClock().now(), _page(settings, run)
    return await asyncio.to_thread(failed_flows.failed, settings, name, str(run), how, now, link)


@task(name="look for mended flows", retries=1, cache_policy=NO_CACHE)
async def resolve_mended(settings: Settings) -> list[str]:
    """End the alerts of flows that have run well since; the flows' names."""
    found = []
    for incident in failed_flows.open_failures(settings):
        good = await _good_run(incident.subject, incident.since)
        if good is not None and good.state is not None:
            now, how = SystemClock().now(), f"{good.name}: {good.state.name}"
            await asyncio.to_thread(
                failed_flows.mended, settings, incident, how, now, _page(settings, good.id)
            )
            found.append(incident.subject)
    return found


async def _good_run(flow: str, since: int) -> FlowRun | None:
    """A run of a flow that ended after a moment and came to a result, whatever that was."""
    ended = FlowRunFilter(
        state=FlowRunFilterState(
            type=FlowRunFilterStateType(any_=[StateType.COMPLETED, StateType.FAILED])
        ),
        end_time=FlowRunFilterEndTime(after_=EPOCH + since * MICRO),
    )
    async with get_client() as client:
        runs = await client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
            flow_run_filter=ended,
            sort=FlowRunSort.END_TIME_DESC,
            limit=LOOKED_AT_MAX,
        )
    return next((run for run in runs if run.state and _is_good(run.state.name or "")), None)


def _is_good(name: str) -> bool:
    return name not in (*BADLY, *NOTHING_DONE)


def _page(settings: Settings, run: UUID) -> str:
    return f"{prefect_address(settings)}/runs/flow-run/{run}"
