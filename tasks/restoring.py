"""A restore as tasks: chosen, confirmed by a person, replaced, proven; or put back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

from prefect import runtime, task
from prefect.artifacts import acreate_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import FlowPauseTimeout
from prefect.flow_runs import apause_flow_run
from prefect.flows import Flow
from prefect.input import RunInput
from prefect.states import Running
from prefect.transactions import Transaction, atransaction
from pydantic import Field

from checks import restores
from checks.restores import Asked, Outcome
from portcullis.backup import replaced
from portcullis.backup.manifest import Manifest
from portcullis.backup.restore import Restored
from portcullis.clock import SystemClock
from portcullis.config.settings import Settings, read_settings
from portcullis.errors import PortcullisError, StoreError, StoreLocked, UsageError
from tasks import progress

ANSWER_SECONDS = 1_800
LOOK_SECONDS = 2
BUSY_ATTEMPTS = 5  # a check may be reading the ledger for a moment


class Refused(UsageError):
    """A person did not say yes, or not rightly: nothing was changed."""


class Confirmation(RunInput):
    """A person's word for replacing the live ledger."""

    name: Annotated[str, Field(min_length=2, max_length=64, description="Who you are.")]
    reason: Annotated[
        str, Field(min_length=3, max_length=400, description="Why; kept in the ledger for ever.")
    ]
    ledger: Annotated[
        str, Field(max_length=16, description="How the ledger's id begins, as the page says it.")
    ]


@task(name="choose the backup", cache_policy=NO_CACHE)
async def choose_backup(settings: Settings, asked: Asked) -> Manifest:
    """Which backup it would be. Raises NotFound, StoreError, UsageError."""
    restores.both_given(asked)
    return await asyncio.to_thread(restores.chosen, settings, asked)


@task(name="restore beside", cache_policy=NO_CACHE)
async def restore_beside(settings: Settings, asked: Asked, manifest: Manifest, by: str) -> Outcome:
    """Into a folder of its own."""
    now = SystemClock().now()
    work = asyncio.to_thread(restores.beside, settings, asked, manifest, by, now)
    return await progress.shown(settings, "restore beside", work)


def _reader_was_there(_task: Any, _run: Any, state: State[Any]) -> bool:
    """Whether nothing was changed because somebody was reading; a worker is another matter."""
    found = state.data
    error = getattr(found, "exception", found)
    return isinstance(error, StoreError) and not isinstance(error, StoreLocked)


@task(
    name="replace the ledger",
    retries=BUSY_ATTEMPTS,
    retry_delay_seconds=1,
    retry_condition_fn=_reader_was_there,
    cache_policy=NO_CACHE,
)
async def replace(
    settings: Settings, asked: Asked, manifest: Manifest, by: str, reason: str
) -> Restored:
    """Set aside what is there, put the restored ledger in its place. Begun anew it puts back first
    what an attempt before it left.
    """
    now = SystemClock().now()
    work = asyncio.to_thread(restores.in_place, settings, asked, manifest, by, reason, now)
    return await progress.shown(settings, "restore in place", work)


@replace.on_rollback
def _put_back(_transaction: Transaction) -> None:
    replaced.put_back(read_settings().home_path)


@task(name="prove the ledger", cache_policy=NO_CACHE)
async def prove(settings: Settings, found: Restored) -> Outcome:
    """Verify and fold it where it lies now; what does not hold is rolled back."""
    return await asyncio.to_thread(restores.prove, settings, found)


async def confirmed(settings: Settings, manifest: Manifest) -> Confirmation:
    """Wait for a person's word. Raises Refused where none comes, or a wrong one."""
    key = restores.ledger_id(settings)
    told = [
        {"what": "replaces the ledger of", "says": str(settings.home_path)},
        {"what": "with backup", "says": f"{manifest.name}, up to event {manifest.position}"},
        {"what": "type as `ledger`", "says": key},
    ]
    await acreate_table_artifact(key="restore", table=told, description="Waiting for your word.")
    try:
        word = await apause_flow_run(
            wait_for_input=Confirmation, timeout=ANSWER_SECONDS, poll_interval=LOOK_SECONDS
        )
    except FlowPauseTimeout as error:
        await _go_on()
        raise Refused(
            f"nobody confirmed within {ANSWER_SECONDS} s: nothing was changed",
            remedy="run it again when somebody is there",
        ) from error
    why = restores.refusal(settings, word.ledger, word.name, word.reason)
    if why is not None:
        raise Refused(why, remedy="run it again and type what the page says")
    return word


async def _go_on() -> None:
    """The server ends a pause that ran out in its own words; ours say what became of it."""
    async with get_client() as client:
        await client.set_flow_run_state(runtime.flow_run.id, Running(), force=True)


async def replace_and_prove(
    settings: Settings, asked: Asked, manifest: Manifest, word: Confirmation
) -> Outcome:
    """Both or neither. Raises what went wrong; what was set aside is in its place again then."""
    try:
        async with atransaction():
            found = await replace(settings, asked, manifest, word.name, word.reason)
            return await prove(settings, found)
    except (PortcullisError, OSError):
        # The first task's own failure is none that its hook is called for.
        await asyncio.to_thread(replaced.put_back, settings.home_path)
        raise


def put_back_what_is_unsettled(
    flow: Flow[..., Any],  # noqa: ARG001 - hooks are called by these names
    flow_run: FlowRun,  # noqa: ARG001
    state: State[Any],  # noqa: ARG001
) -> None:
    """For a run whose process was killed, in whatever process Prefect calls this."""
    put_back_left(read_settings().home_path)


def put_back_left(home: Path) -> str:
    """Put back what a dead process left unsettled, and say so; empty where there is nothing."""
    try:
        kept = replaced.put_back(home)
    except PortcullisError as error:
        return f"{error}; {error.remedy}"
    return f"a restore was not proven: what was there is back, also in {kept}" if kept else ""
