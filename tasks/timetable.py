"""Putting `prefect.yaml` in force: work pools, deployments, and the runs due at a start."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import yaml
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import ConcurrencyLimitConfig, FlowRun, State, StateType
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron, Interval, Schedule
from prefect.states import Cancelled, Crashed
from prefect.types import DateTime
from prefect.workers.process import ProcessWorker

from tasks.warm_worker import WarmWorker

WARM, PROCESSES = "warm", "processes"
EVIDENCE, FIGURES, ON_DEMAND, WATCH = "evidence", "figures", "on-demand", "watch"
TIDY_MAX = 200


class Deployed(NamedTuple):
    """A deployment in force."""

    name: str
    id: UUID
    tags: tuple[str, ...]


def read_timetable(path: Path) -> list[RunnerDeployment]:
    """The deployments of a `prefect.yaml`; an entrypoint that cannot be loaded raises."""
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [_deployment(each, written["pull"]) for each in written["deployments"]]


class PullSteps:
    """Where a run finds its code, in the form that a deployment takes."""

    pull_interval = None

    def __init__(self, steps: list[dict[str, Any]]) -> None:
        self.destination = Path()
        self._steps = steps

    def set_base_path(self, path: Path) -> None:
        """Nothing is fetched, so nothing is put anywhere."""

    async def pull_code(self) -> None:
        """The code is there already."""

    def to_pull_step(self) -> list[dict[str, Any]]:
        return self._steps


def _deployment(written: dict[str, Any], pull: list[dict[str, Any]]) -> RunnerDeployment:
    limit = written.get("concurrency_limit")
    made: Any = RunnerDeployment.from_entrypoint(
        written["entrypoint"],
        written["name"],
        description=written["description"],
        tags=written["tags"],
        schedules=[_schedule(each) for each in written["schedules"]],
        parameters=written.get("parameters", {}),
        concurrency_limit=ConcurrencyLimitConfig(**limit) if limit else None,
        work_pool_name=written["work_pool"]["name"],
    )
    found: RunnerDeployment = made
    found.storage = PullSteps(pull)
    return found


def _schedule(written: dict[str, Any]) -> Schedule:
    common = {
        "timezone": written["timezone"],
        "slug": written["slug"],
        "parameters": written.get("parameters", {}),
    }
    if "cron" in written:
        return Cron(written["cron"], **common)
    anchor = written["anchor_date"]
    return Interval(timedelta(seconds=written["interval"]), anchor_date=anchor, **common)


async def make_pools(client: PrefectClient) -> None:
    """The two work pools, made where missing and left alone where not."""
    for name, worker in ((WARM, WarmWorker), (PROCESSES, ProcessWorker)):
        pool = WorkPoolCreate(
            name=name,
            type=worker.type,
            base_job_template=worker.get_default_base_job_template(),
            description=worker.get_description(),
        )
        await client.create_work_pool(pool, overwrite=True)


async def put_in_force(path: Path) -> list[Deployed]:
    """Create or update every deployment; the same file again changes nothing."""
    found = []
    for each in read_timetable(path):
        identity: Any = each.apply()
        found.append(Deployed(each.name, await identity, tuple(each.tags or ())))
    return found


async def tidy(client: PrefectClient) -> int:
    """End what a process before this one left behind: unfinished runs, and runs long overdue.

    There is one operations process per server, so nothing unfinished can still be running.
    """
    unfinished = FlowRunFilterState(
        type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING])
    )
    lost = await _end(
        client,
        await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=unfinished), limit=TIDY_MAX
        ),
        Crashed(message="the operations process that ran this is gone"),
    )
    waiting = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]))
    overdue = FlowRunFilterNextScheduledStartTime(before_=DateTime.now("UTC"))
    late = await _end(
        client,
        await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(state=waiting, next_scheduled_start_time=overdue),
            limit=TIDY_MAX,
        ),
        Cancelled(message="nobody was there to run this in time"),
    )
    return lost + late


async def _end(client: PrefectClient, runs: Sequence[FlowRun], state: State[Any]) -> int:
    for run in runs:
        await client.set_flow_run_state(run.id, state, force=True)
    return len(runs)


async def run_at_once(client: PrefectClient, deployed: Sequence[Deployed]) -> None:
    """A run now of everything that leaves evidence, so that the gate need not wait."""
    for each in deployed:
        if EVIDENCE in each.tags:
            await client.create_flow_run_from_deployment(each.id, tags=["at-start"])
