"""What Prefect's server does by itself: notice a heartbeat that is missing, and runs that broke."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from prefect.client.orchestration import PrefectClient
from prefect.events.actions import RunDeployment
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture

from checks.verdicts import Grade
from tasks.timetable import EVIDENCE, FIGURES, ON_DEMAND, Deployed

SILENT_AFTER = timedelta(minutes=1)
"""Windows follow each other: one to three of them pass; the flow waits until it is two minutes."""

HEARTBEAT, SILENCE, ENDED_BADLY = "heartbeat", "silence", "ended_badly"
BADLY = ("Crashed", "TimedOut", "Failed")
"""Names of states that no flow of ours gives a run: theirs are grades."""


def wanted(
    deployed: Sequence[Deployed], silent_after: timedelta = SILENT_AFTER
) -> list[AutomationCore]:
    """The automations for these deployments; a heartbeat is missed `silent_after` the last one."""
    beats = {_event(grade.capitalize()) for grade in Grade}
    ids = {each.name: each.id for each in deployed}
    return [
        AutomationCore(
            name="no heartbeat",
            description=f"No heartbeat has ended for {silent_after}: looks at both sides and "
            "leaves the verdict `operations`.",
            trigger=EventTrigger(
                posture=Posture.Proactive,
                match_related=_related("deployment", f"prefect.deployment.{ids[HEARTBEAT]}"),
                expect=beats,
                threshold=1,
                within=silent_after,
            ),
            actions=[RunDeployment(deployment_id=ids[SILENCE])],
        ),
        AutomationCore(
            name="a run ended badly",
            description="A run crashed, took too long or raised: keeps which, and what it said.",
            trigger=EventTrigger(
                posture=Posture.Reactive,
                # By tags that the flow it runs has not: it must never look after itself.
                match_related=_related(
                    "tag", *(f"prefect.tag.{tag}" for tag in (EVIDENCE, FIGURES, ON_DEMAND))
                ),
                expect={_event(name) for name in BADLY},
                for_each={"prefect.resource.id"},  # each run for itself
                threshold=1,
            ),
            actions=[
                RunDeployment(
                    deployment_id=ids[ENDED_BADLY], parameters={"run": _of_the_event("flow_run.id")}
                )
            ],
        ),
    ]


def _event(state: str) -> str:
    return f"prefect.flow-run.{state}"


def _related(role: str, *ids: str) -> Any:
    return {"prefect.resource.role": role, "prefect.resource.id": list(ids)}


def _of_the_event(path: str) -> dict[str, str]:
    return {"__prefect_kind": "jinja", "template": f"{{{{ {path} }}}}"}


async def put_in_force(client: PrefectClient, automations: Sequence[AutomationCore]) -> None:
    """Create what is missing, renew what is otherwise; the same again changes nothing.

    A renewed trigger begins to count anew, so one that is as wanted is left alone.
    """
    for each in automations:
        there = await client.read_automations_by_name(each.name)
        for other in there[1:]:
            await client.delete_automation(other.id)
        if not there:
            await client.create_automation(each)
        elif _shape(there[0]) != _shape(each):
            await client.update_automation(there[0].id, each)


def _shape(automation: AutomationCore | Automation) -> Any:
    """What an automation does, without the ids the server gave its parts."""
    plain = automation.model_dump(mode="json", include={"description", "enabled"})
    trigger = automation.trigger.model_dump(mode="json")
    trigger.pop("id", None)
    for name in ("after", "expect", "for_each"):
        trigger[name] = sorted(trigger[name])
    actions = [each.model_dump(mode="json", exclude_none=True) for each in automation.actions]
    return plain, trigger, actions
