"""The operations process: waits for the server, puts the timetable in force, runs both workers."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
from prefect.client.orchestration import get_client
from prefect.workers.process import ProcessWorker

from checks import worker_health
from checks.suites import running
from portcullis.clock import SystemClock
from portcullis.config.orchestrator import prefect_address
from portcullis.config.settings import Settings
from portcullis.errors import Retryable
from tasks import automations, memory, restoring, timetable
from tasks.warm_worker import WarmWorker

SERVER_SECONDS = 120.0
GATE_SECONDS = 600.0  # as long as the worker itself waits for its start-up evidence
POLL_SECONDS = 0.25
WARM_RUNS_MAX = 6
PROCESS_RUNS_MAX = 2
WARM_PREFETCH = 7.0  # a run fetched early keeps its place until its time has come
STOP_SECONDS = 8.0

Say = Callable[[str], None]


class ServerAway(Retryable):
    """The Prefect server did not answer in time."""


async def operate(settings: Settings, root: Path, say: Say) -> None:
    """Work until SIGTERM or SIGINT; raises ServerAway when there is no server."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    working = asyncio.create_task(_work(settings, root, say), name="work")
    asked = asyncio.create_task(stopping.wait(), name="stopping")
    await asyncio.wait((working, asked), return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if working.done():
        working.result()
        return
    working.cancel()
    await asyncio.wait((working,), timeout=STOP_SECONDS)
    await asyncio.to_thread(end_children)
    say("stopped")


async def _work(settings: Settings, root: Path, say: Say) -> None:
    loading = asyncio.create_task(asyncio.to_thread(running.load), name="load suite")
    if not await until(lambda: server_answers(settings), SERVER_SECONDS):
        raise ServerAway(
            f"no Prefect server at {prefect_address(settings)} after {SERVER_SECONDS:.0f} s",
            remedy="look at the lines of `prefect` above; `portcullis up` starts it",
        )
    async with get_client() as client:
        await timetable.make_pools(client)
        deployed = await timetable.put_in_force(root / "prefect.yaml")
        await automations.put_in_force(client, automations.wanted(deployed))
        ended = await timetable.tidy(client)
        # A trigger of before this start may fire at once: this process lives, and has two minutes.
        now = SystemClock().now()
        await asyncio.to_thread(worker_health.write_beat, settings, now, "start")
        if left := await asyncio.to_thread(restoring.put_back_left, settings.home_path):
            say(left)
        say(f"{len(deployed)} deployments in force" + (f"; ended {ended} old runs" * bool(ended)))
    warm = WarmWorker(
        timetable.WARM, name="warm", limit=WARM_RUNS_MAX, prefetch_seconds=WARM_PREFETCH
    )
    processes = ProcessWorker(timetable.PROCESSES, name="processes", limit=PROCESS_RUNS_MAX)
    async with asyncio.TaskGroup() as group:
        group.create_task(warm.start(printer=say), name="warm")
        group.create_task(processes.start(printer=say), name="processes")
        group.create_task(memory.keep_small(), name="memory")
        group.create_task(_first_evidence(settings, deployed, loading, say), name="first evidence")


async def _first_evidence(
    settings: Settings, deployed: list[timetable.Deployed], loading: asyncio.Task[None], say: Say
) -> None:
    """Judge everything as soon as there is something to judge: before that, all would fail."""
    await loading
    if not await until(lambda: gate_can_judge(settings), GATE_SECONDS):
        say(f"the worker has not compared itself with its venue in {GATE_SECONDS:.0f} s")
    async with get_client() as client:
        await timetable.run_at_once(client, deployed)


async def until(holds: Callable[[], bool], seconds: float) -> bool:
    """Ask on a thread, again and again, until it holds or the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - it is elsewhere
                await asyncio.sleep(POLL_SECONDS)
            return True
    return False


def server_answers(settings: Settings) -> bool:
    """Whether Prefect's server is ready."""
    connection = http.client.HTTPConnection(settings.host, settings.prefect_port, timeout=5)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def gate_can_judge(settings: Settings) -> bool:
    """Whether the worker has compared every account with its venues."""
    health, _ = worker_health.ask_gate(settings)
    if health is None or not health["venues"]:
        return False
    compared = not any(each.startswith("venue:") for each in health["lacking"])
    return compared and all(health["venues"].values())


def end_children() -> None:
    """End the processes of runs that are still under way; the next start tidies their records."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.terminate()
    _, alive = psutil.wait_procs(children, timeout=3)
    for child in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
