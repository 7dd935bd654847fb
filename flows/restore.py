"""A restore on demand: beside the live ledger, or in its place with a person's word."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed
from pydantic import Field

from checks import restores
from checks.restores import Asked, Outcome
from checks.verdicts import Finding, Grade
from portcullis.config.settings import Settings, read_settings
from portcullis.errors import PortcullisError
from tasks import restoring
from tasks.evidence import show
from tasks.restoring import put_back_what_is_unsettled

FOLDER, IN_PLACE = "folder", "in place"
BackupName = Annotated[str, Field(max_length=120)]
EventNumber = Annotated[int, Field(ge=1, le=2**62)]
BY_HAND = "a run of Prefect"


def _name() -> str:
    from prefect import runtime

    given = runtime.flow_run.parameters
    what = given.get("event") or given.get("moment") or given.get("backup") or "what is newest"
    return f"restore of {what}, {given.get('where') or FOLDER}"


@flow(
    name="restore",
    flow_run_name=_name,
    timeout_seconds=3_600,
    on_crashed=[put_back_what_is_unsettled],
    on_cancellation=[put_back_what_is_unsettled],
)
async def restore(
    backup: BackupName | None = None,
    event: EventNumber | None = None,
    moment: datetime | None = None,
    where: Literal["folder", "in place"] = "folder",
) -> State[Any]:
    """Restore the ledger; in place only with a person's word, and only where it holds there.

    Args:
        backup: A name of `portcullis backup list`; empty: the one that reaches what is wanted.
        event: No later than this event of the ledger; empty: to the end.
        moment: No later than this moment, UTC where no zone is given; empty: to the end.
        where: `folder`: below `restored` in the home. `in place`: the worker must be stopped.
    """
    settings, asked = read_settings(), Asked(backup, event, moment)
    try:
        outcome, by, reason = await _restored(settings, asked, where)
    except restoring.Refused as error:
        return Failed(name="Refused", message=f"{error}; {error.remedy}")
    except PortcullisError as error:
        return Failed(name="Undone", message=f"{error}; {error.remedy}")
    told = restores.rows(outcome, by, reason)
    summary = f"event {outcome.restored.position} of {outcome.restored.name} in {outcome.folder}"
    await show("restore", Finding(Grade.PASS, summary, told))
    return Completed(name="Restored", message=summary)


async def _restored(settings: Settings, asked: Asked, where: str) -> tuple[Outcome, str, str]:
    """The outcome, who asked for it and why."""
    manifest = await restoring.choose_backup(settings, asked)
    if where == FOLDER:
        outcome = await restoring.restore_beside(settings, asked, manifest, BY_HAND)
        return outcome, BY_HAND, "to look at"
    restores.refuse_running_worker(settings)
    word = await restoring.confirmed(settings, manifest)
    outcome = await restoring.replace_and_prove(settings, asked, manifest, word)
    return outcome, word.name, word.reason
