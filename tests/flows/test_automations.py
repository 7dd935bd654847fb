"""Prefect's server notices by itself: a heartbeat that is missing, and a run that ended badly."""

import asyncio
import datetime as dt
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from portcullis.domain.model import Verdict
from tests.checks.inbox import alerts_left

pytestmark = [pytest.mark.flow, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).parent.parent.parent
NOTICED_SECONDS = 60


async def in_force(client):
    from tasks import timetable

    await timetable.make_pools(client)
    return await timetable.put_in_force(ROOT / "prefect.yaml")


async def runs_of(client, name, count) -> list[Any]:
    """The runs of a deployment, once something made so many."""
    from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName

    where = DeploymentFilter(name=DeploymentFilterName(any_=[name]))
    async with asyncio.timeout(NOTICED_SECONDS):
        while len(runs := await client.read_flow_runs(deployment_filter=where)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.3)
    return runs


async def ended(flow, run) -> Any:
    """The final state of a run that is there already, carried out here."""
    from prefect.flow_engine import run_flow_async

    return await run_flow_async(flow, flow_run=run, parameters=run.parameters, return_type="state")


def last_verdict(settings, name):
    from portcullis.store.opening import open_inbox

    with closing(open_inbox(settings)) as inbox:
        waiting = inbox.waiting(200)
    found = [
        msgspec.msgpack.decode(each.body, type=Verdict)
        for each in waiting
        if each.verb == "verdict"
    ]
    return [each for each in found if each.name == name][-1]


async def test_they_are_put_in_force_twice_without_change(quick):
    from prefect.client.orchestration import get_client

    from tasks import automations

    async with get_client() as client:
        deployed = await in_force(client)
        wanted = automations.wanted(deployed)
        await automations.put_in_force(client, wanted)
        first = [await client.read_automations_by_name(each.name) for each in wanted]
        await automations.put_in_force(client, wanted)
        again = [await client.read_automations_by_name(each.name) for each in wanted]
        assert [len(each) for each in first] == [1, 1]
        assert first == again, "a trigger that is renewed forgets what it saw"
        longer = automations.wanted(deployed, dt.timedelta(minutes=3))
        await automations.put_in_force(client, longer)
        (renewed,) = await client.read_automations_by_name(wanted[0].name)
        assert renewed.id == first[0][0].id
        assert renewed.trigger.within == dt.timedelta(minutes=3)
        for (each,) in again:
            await client.delete_automation(each.id)


async def test_a_missing_heartbeat_is_noticed_and_leaves_a_failing_verdict(quick):
    from prefect.client.orchestration import get_client

    from flows.heartbeat import heartbeat
    from flows.silence import silence
    from tasks import automations

    async with get_client() as client:
        deployed = await in_force(client)
        wanted = automations.wanted(deployed, dt.timedelta(seconds=10))
        await automations.put_in_force(client, wanted[:1])
        (beats,) = [each for each in deployed if each.name == "heartbeat"]
        try:
            await ended(heartbeat, await client.create_flow_run_from_deployment(beats.id))
            run = (await runs_of(client, "silence", 1))[0]
        finally:
            for made in await client.read_automations_by_name(wanted[0].name):
                await client.delete_automation(made.id)
    assert run.work_pool_name == "processes", "the warm one may be what hangs"
    (quick.operations_path / "beat.json").unlink(missing_ok=True)
    state = await ended(silence, run)
    assert state.name == "Fail"
    verdict = last_verdict(quick, "operations")
    assert (verdict.passed, verdict.run_id) == (False, str(run.id))
    assert "last heartbeat never" in verdict.summary


async def test_a_run_that_crashed_is_kept_with_what_it_said(quick):
    from prefect.client.orchestration import get_client
    from prefect.states import Crashed, Running

    from flows.ended_badly import ended_badly
    from tasks import automations

    async with get_client() as client:
        deployed = await in_force(client)
        wanted = automations.wanted(deployed)
        await automations.put_in_force(client, wanted[1:])
        (victim,) = [each for each in deployed if each.name == "replay"]
        broken = []
        for said in ("killed by somebody", "killed again"):
            run = await client.create_flow_run_from_deployment(victim.id)
            states: list[Any] = [Running(), Crashed(message=said)]
            for state in states:
                await client.set_flow_run_state(run.id, state, force=True)
            broken.append(str(run.id))
        try:
            runs = await runs_of(client, "ended_badly", 2)
        finally:
            for made in await client.read_automations_by_name(wanted[1].name):
                await client.delete_automation(made.id)
    assert {each.parameters["run"] for each in runs} == set(broken)
    ends = [await ended(ended_badly, each) for each in runs]
    assert {each.name for each in ends} == {"Noted"}
    assert any("Crashed: killed by somebody" in each.message for each in ends)
    (left,) = [each for each in alerts_left(quick) if each.arguments["subject"] == "replay"]
    assert left.arguments["kind"] == "flow_failed"
    assert "killed" in left.arguments["message"]


async def test_a_later_run_that_came_to_a_result_ends_the_alert_of_its_flow(quick):
    from prefect.client.orchestration import get_client
    from prefect.states import Completed, Crashed, Failed

    from tasks.failed_flows import leave_failure, resolve_mended

    async def run_of(client, deployment, state):
        run = await client.create_flow_run_from_deployment(deployment.id)
        await client.set_flow_run_state(run.id, state, force=True)
        return await client.read_flow_run(run.id)

    def told():
        return [
            each.arguments["state"]
            for each in alerts_left(quick)
            if each.arguments.get("subject") == "capital"
        ]

    async with get_client() as client:
        deployed = await in_force(client)
        (capital,) = [each for each in deployed if each.name == "capital"]
        bad = await run_of(client, capital, Crashed(message="killed"))
        await leave_failure(quick, bad.flow_id, bad.id, "Crashed: killed")
        nothing: list[Any] = [Completed(name="Skipped"), Failed(), Crashed()]
        for state in nothing:
            await run_of(client, capital, state)
        assert "capital" not in await resolve_mended(quick)
        assert told() == ["firing"]
        await run_of(client, capital, Failed(name="Fail"))
        assert "capital" in await resolve_mended(quick)
        assert "capital" not in await resolve_mended(quick)
    assert told() == ["firing", "resolved"]
