"""Runs that come too late are skipped: after an outage the next one on time is worth more."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, get_type_hints

from prefect import runtime
from prefect.client.schemas.objects import State
from prefect.states import Completed

from portcullis.clock import SystemClock

P = ParamSpec("P")
Flow = Callable[P, Awaitable[State[Any]]]


def skipped_when_late(interval: timedelta) -> Callable[[Flow[P]], Flow[P]]:
    """Skip the body of a flow that starts more than one interval after its scheduled time."""

    def wrap(body: Flow[P]) -> Flow[P]:
        @functools.wraps(body)
        async def guarded(*args: P.args, **kwargs: P.kwargs) -> State[Any]:
            late = lateness()
            if late > interval:
                return Completed(name="Skipped", message=f"started {late} late")
            return await body(*args, **kwargs)

        # Evaluated where the flow is written: Prefect makes the form from it, and would look here.
        guarded.__signature__ = inspect.signature(body, eval_str=True)  # type: ignore[attr-defined]
        guarded.__annotations__ = get_type_hints(body, include_extras=True)
        return guarded

    return wrap


def lateness() -> timedelta:
    """How long after its scheduled time this run started; nothing outside a run."""
    scheduled: datetime | None = runtime.flow_run.scheduled_start_time
    if scheduled is None:
        return timedelta(0)
    now = datetime.fromtimestamp(SystemClock().now() / 1_000_000, tz=UTC)
    return now - scheduled
