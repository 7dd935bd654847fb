"""The flows through a real server: what runs leave behind, for the gate and for people."""

import asyncio
import datetime as dt
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from portcullis.domain.model import SECOND, Verdict

pytestmark = [pytest.mark.flow, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).parent.parent.parent


def verdicts(settings):
    """Every verdict in the inbox, the newest of each name."""
    from portcullis.store.opening import open_inbox

    with closing(open_inbox(settings)) as inbox:
        waiting = inbox.waiting(200)
    found = [
        msgspec.msgpack.decode(each.body, type=Verdict)
        for each in waiting
        if each.verb == "verdict"
    ]
    return {each.name: each for each in found}


async def ended_run(flow: Any, **parameters):
    """The final state of one run of a flow."""
    return await flow(**parameters, return_state=True)


async def state_of(client, run_id) -> Any:
    return (await client.read_flow_run(run_id)).state


async def description_of(name):
    """What the newest artifact of a flow says above its table."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    key = name.replace("_", "-")
    async with get_client() as client:
        found = await client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
        )
    return "".join(f"{each.description} {each.data}" for each in found)


async def test_each_flow_leaves_its_verdict_even_a_failing_one(quick):
    from flows.backup import backup
    from flows.capital import capital
    from flows.heartbeat import heartbeat
    from flows.integrity import integrity
    from flows.ledger_rows import ledger_rows
    from flows.market_data_quality import market_data_quality
    from flows.restore_drill import restore_drill
    from flows.snapshot import snapshot
    from flows.strategies import strategies

    ended = {
        "restore": await ended_run(restore_drill),  # there is no backup yet: it makes one
        "backup": await ended_run(backup),
        "operations": await ended_run(heartbeat, lasts_seconds=9),
        "market_data": await ended_run(market_data_quality),
        "event_log": await ended_run(integrity),
        "ledger_rows": await ended_run(ledger_rows),
        "snapshot": await ended_run(snapshot),
        "capital": await ended_run(capital),
        "strategies": await ended_run(strategies),
    }
    left = verdicts(quick)
    assert {name: verdict.passed for name, verdict in left.items()} == {
        "operations": False,  # nobody is at the gate, and the demonstration is long ago
        "market_data": False,
        "event_log": True,
        "ledger_rows": True,
        "snapshot": True,
        "capital": True,
        "strategies": True,
        "backup": True,
        "restore": True,
    }
    assert "RTO" in left["restore"].summary
    for name in left:
        page = quick.reports_path / f"{name}.html"
        assert left[name].run_id in page.read_text()
        assert str(page) in await description_of(name)
    for name, state in ended.items():
        assert state.is_completed() is left[name].passed
        assert state.message.startswith(str(state.name).upper())
        assert left[name].run_id == str(state.state_details.flow_run_id)
    assert left["operations"].expires_at - left["operations"].checked_at == 9 * SECOND
    assert left["market_data"].summary.startswith("EMPTY")


async def test_a_replay_shows_what_it_compared(quick):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    from flows.replay import replay

    assert (await ended_run(replay, account="DEMO-SIZE")).is_completed()
    nobody = await ended_run(replay, account="NOBODY")
    assert nobody.is_failed(), "a replay that compared nothing proves nothing"
    async with get_client() as client:
        found = await client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=["replay"]))
        )
    assert any("DEMO-SIZE" in str(each.description) for each in found)


async def test_a_run_that_comes_too_late_is_skipped(quick, monkeypatch):
    from flows.snapshot import snapshot
    from tasks import punctuality

    monkeypatch.setattr(punctuality, "lateness", lambda: dt.timedelta(days=2))
    state = await ended_run(snapshot)
    assert (state.name, state.is_completed()) == ("Skipped", True)


async def test_the_timetable_is_put_in_force_twice_without_change(quick):
    from prefect.client.orchestration import get_client

    from tasks import timetable

    async with get_client() as client:
        await timetable.make_pools(client)
        first = await timetable.put_in_force(ROOT / "prefect.yaml")
        again = await timetable.put_in_force(ROOT / "prefect.yaml")
        assert first == again
        written = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
        assert [each.name for each in first] == [each["name"] for each in written]
        for each in await client.read_deployments():
            slugs = {schedule.slug for schedule in each.schedules}
            (source,) = [w for w in written if w["name"] == each.name]
            assert slugs == {schedule["slug"] for schedule in source["schedules"]}
            assert each.description
            assert each.path is None
            assert str(ROOT) not in str(each.pull_steps)
            schema: Any = each.parameter_openapi_schema
            described = schema["properties"].values()
            assert all(p.get("description") for p in described), "they are the form"


async def test_the_warm_worker_runs_what_is_due_in_this_process(quick):
    from prefect.client.orchestration import get_client

    from tasks import timetable
    from tasks.warm_worker import WarmWorker

    async with get_client() as client:
        await timetable.make_pools(client)
        deployed = await timetable.put_in_force(ROOT / "prefect.yaml")
        (snapshot,) = [each for each in deployed if each.name == "snapshot"]
        run = await client.create_flow_run_from_deployment(snapshot.id)
        async with WarmWorker(timetable.WARM, prefetch_seconds=0) as worker:
            await worker.sync_with_backend()
            await worker.get_and_submit_flow_runs()
            async with asyncio.timeout(30):
                while not (await state_of(client, run.id)).is_final():  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        done = await client.read_flow_run(run.id)
    assert done.state is not None
    assert done.state.name == "Pass"
    assert done.infrastructure_pid == str(os.getpid())


async def test_schedules_make_runs_on_this_server(quick):
    """Prefect's scheduler fails with SQLAlchemy 2.1 unless it is mended: see tasks/server.py."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState
    from prefect.client.schemas.filters import FlowRunFilterStateType as Types
    from prefect.client.schemas.objects import StateType

    from tasks import timetable

    async with get_client() as client:
        await timetable.make_pools(client)
        await timetable.put_in_force(ROOT / "prefect.yaml")
        waiting = FlowRunFilter(state=FlowRunFilterState(type=Types(any_=[StateType.SCHEDULED])))
        async with asyncio.timeout(70):
            while not (runs := await client.read_flow_runs(flow_run_filter=waiting)):  # noqa: ASYNC110
                await asyncio.sleep(0.5)
    assert any(run.auto_scheduled for run in runs)


async def test_what_a_dead_process_left_behind_is_ended(quick):
    from prefect.client.orchestration import get_client
    from prefect.states import Running

    from tasks import timetable

    async with get_client() as client:
        await timetable.make_pools(client)
        deployed = await timetable.put_in_force(ROOT / "prefect.yaml")
        lost = await client.create_flow_run_from_deployment(deployed[-1].id)
        late = await client.create_flow_run_from_deployment(deployed[-1].id)
        await client.set_flow_run_state(lost.id, Running(), force=True)
        assert await timetable.tidy(client) >= 2
        assert (await state_of(client, lost.id)).is_crashed()
        assert (await state_of(client, late.id)).is_cancelled()
