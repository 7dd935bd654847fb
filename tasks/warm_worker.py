"""A Prefect worker that runs flows inside its own process.

Starting a process for each run costs four CPU seconds and a hundred megabytes; a warm one costs a
tenth of a second. Only for short flows that await: one that blocks would hold up all others.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

import anyio.abc
from prefect.client.schemas.objects import State
from prefect.flow_engine import run_flow_async
from prefect.flows import load_flow_from_flow_run
from prefect.states import Crashed
from prefect.utilities.callables import get_parameter_defaults
from prefect.workers.base import (
    BaseJobConfiguration,
    BaseVariables,
    BaseWorker,
    BaseWorkerResult,
)

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

RUN_SECONDS_MAX = 3_600.0  # above every flow's own time-out: the bound for what ignores its own


class WarmResult(BaseWorkerResult):
    """A run that ended here; its state says how."""


class WarmWorker(BaseWorker[BaseJobConfiguration, BaseVariables, WarmResult]):
    """Awaits flow runs in this process."""

    type = "warm"
    job_configuration = BaseJobConfiguration
    job_configuration_variables = BaseVariables
    _description = "Runs short flows inside the operations process."

    async def run(
        self,
        flow_run: FlowRun,
        configuration: BaseJobConfiguration,  # noqa: ARG002 - nothing to configure: no process
        task_status: anyio.abc.TaskStatus[int] | None = None,
    ) -> WarmResult:
        """Run to the end, `RUN_SECONDS_MAX` at most; a failed flow is a result, not an error."""
        name = f"{os.getpid()}-{flow_run.id}"
        flow: Any = await load_flow_from_flow_run(
            flow_run, ignore_storage=True, use_placeholder_flow=False
        )
        if task_status is not None:
            task_status.started(os.getpid())
        parameters = {**get_parameter_defaults(flow.fn), **flow_run.parameters}
        try:
            async with asyncio.timeout(RUN_SECONDS_MAX):
                await run_flow_async(
                    flow, flow_run=flow_run, parameters=parameters, return_type="state"
                )
        except TimeoutError:
            overdue: State[Any] = Crashed(message=f"did not end within {RUN_SECONDS_MAX:.0f} s")
            await self.client.set_flow_run_state(flow_run.id, overdue, force=True)
        return WarmResult(identifier=name, status_code=0)
