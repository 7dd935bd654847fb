"""One judged operation: carry a check out, leave its verdict, show it, name the run's end by it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

from prefect import runtime, task
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from checks import reports
from checks.verdicts import Finding, Grade, Kind, leave, verdict_of
from portcullis.clock import SystemClock
from portcullis.config.orchestrator import prefect_address
from portcullis.config.settings import Settings, read_settings
from portcullis.errors import ConfigError, StoreError
from tasks import progress

ATTEMPTS = 3
PAUSE_SECONDS = 1.0

Check = Callable[[Settings, int], Finding]


@task(name="check", task_run_name="check {what}", cache_policy=NO_CACHE)
async def carry_out(what: str, settings: Settings, check: Check) -> Finding:
    """Run a check on a thread. What cannot be carried out, or not in part, is tried again."""
    found = Finding(Grade.ERROR, "", [])
    for attempt in range(ATTEMPTS):
        try:
            working = asyncio.to_thread(check, settings, SystemClock().now())
            found = await progress.shown(settings, what, working)
        except (StoreError, ConfigError, OSError) as error:
            found = Finding(Grade.ERROR, f"could not be carried out: {error}", [])
        if found.grade is not Grade.ERROR:
            break
        if attempt + 1 < ATTEMPTS:
            await asyncio.sleep(PAUSE_SECONDS)
    return found


@task(
    name="leave verdict",
    task_run_name="leave verdict {kind.name}",
    retries=2,
    cache_policy=NO_CACHE,
)
async def leave_verdict(
    settings: Settings, kind: Kind, found: Finding, run_id: str, link: str
) -> str:
    """Put the verdict into the inbox. Safe to repeat: the request id is the run's."""
    verdict = verdict_of(kind, found, SystemClock().now(), run_id, link)
    return await asyncio.to_thread(leave, settings, verdict)


async def judged(kind: Kind, check: Check) -> State[Any]:
    """Carry out, leave the verdict whatever it is, show the rows, and end by the grade."""
    settings = read_settings()
    found: Finding = await carry_out(kind.name, settings, check)
    page = ""
    if found.grade is not Grade.EARLY:
        run_id, link = this_run(settings)
        await leave_verdict(settings, kind, found, run_id, link)
        page = await asyncio.to_thread(page_kept, settings, kind, found, run_id, link)
    await show(kind.name, found, page)
    return ended(found)


def page_kept(settings: Settings, kind: Kind, found: Finding, run_id: str, link: str) -> str:
    """Where the verdict's page is, or why there is none: that is no reason to fail."""
    try:
        return str(reports.keep(settings, kind, found, SystemClock().now(), run_id, link))
    except OSError as error:
        return f"no page could be written: {error}"


def ended(found: Finding) -> State[Any]:
    """The run's final state; its name is the grade, so that the list of runs tells the story."""
    message = f"{found.grade}: {found.summary}"
    if found.grade.holds or found.grade is Grade.EARLY:
        return Completed(name=found.grade.capitalize(), message=message)
    return Failed(name=found.grade.capitalize(), message=message)


async def show(name: str, found: Finding, page: str = "") -> None:
    """An artifact where there is something to see, with where its page is."""
    key = re.sub(r"[^a-z0-9]+", "-", name.lower())
    told = f"**{found.grade}** {found.summary}" + f"\n\nPage: `{page}`" * bool(page)
    if found.rows:
        table = [{k: _cell(v) for k, v in row.items()} for row in found.rows]
        await acreate_table_artifact(key=key, table=table, description=told)
    else:
        await acreate_markdown_artifact(key=key, markdown=told)


def _cell(value: Any) -> Any:
    return value if isinstance(value, int | float | str | bool) or value is None else str(value)


def this_run(settings: Settings) -> tuple[str, str]:
    """The run's id, and where a person looks at it."""
    run_id = str(runtime.flow_run.id or "by-hand")
    return run_id, f"{prefect_address(settings)}/runs/flow-run/{run_id}"
