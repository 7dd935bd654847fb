"""Runs that Prefect has not seen end, or that ended in a way no flow of ours gives."""

from __future__ import annotations

from uuid import UUID

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateName,
)
from prefect.client.schemas.objects import FlowRun

SHOWN_MAX = 10
UNENDED = ["Late", "Pending", "Submitting", "Running"]


@task(
    name="look for runs", task_run_name="look for runs of {name}", retries=2, cache_policy=NO_CACHE
)
async def unended(name: str) -> list[str]:
    """Runs of a deployment that should be over or under way, each with its state."""
    async with get_client() as client:
        found = await client.read_flow_runs(
            deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[name])),
            flow_run_filter=FlowRunFilter(
                state=FlowRunFilterState(name=FlowRunFilterStateName(any_=UNENDED))
            ),
            limit=SHOWN_MAX,
        )
    return [f"{run.state.name} {run.id}" for run in found if run.state is not None]


@task(name="read the run", retries=2, cache_policy=NO_CACHE)
async def read_run(run: UUID) -> FlowRun:
    """A run as the server has it. Raises ObjectNotFound."""
    async with get_client() as client:
        return await client.read_flow_run(run)
