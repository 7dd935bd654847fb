"""The flow `restore` through a real server: a person's word, the proof, and the way back."""

import asyncio
import contextlib
import shutil
import time
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from checks import restores
from portcullis.backup import replaced
from portcullis.backup.make import make
from portcullis.backup.target import Target
from portcullis.cli.flow_runs import Scheduler
from portcullis.cli.output import Declined
from portcullis.store.ledger import SqliteLedger
from portcullis.store.reading import LedgerReader
from portcullis.wiring import defaults_folder

pytestmark = [pytest.mark.flow, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).parent.parent.parent
NOW = 1_780_000_000_000_000
SECONDS = 90


@pytest.fixture
def home(quick, tmp_path, monkeypatch):
    """Settings of a home of its own, with a backup, on the server of the session."""
    folder = tmp_path / "home"
    shutil.copytree(quick.home_path, folder, ignore=shutil.ignore_patterns("prefect", "restored"))
    SqliteLedger(folder).close()
    make(folder, defaults_folder(), Target(str(folder / "backups")), (), NOW)
    monkeypatch.setenv("PORTCULLIS_HOME", str(folder))
    monkeypatch.setenv("PORTCULLIS_CONFIG", str(defaults_folder()))
    return msgspec.structs.replace(quick, home=str(folder))


def rows(folder):
    with LedgerReader(folder) as reader:
        return list(reader.read())


async def asked(**parameters) -> Any:
    """A run that nobody has begun."""
    from prefect.client.orchestration import get_client

    from tasks import timetable

    async with get_client() as client:
        await timetable.make_pools(client)
        deployed = await timetable.put_in_force(ROOT / "prefect.yaml")
        (found,) = [each for each in deployed if each.name == "restore"]
        return await client.create_flow_run_from_deployment(found.id, parameters=parameters)


async def ended(run) -> Any:
    """Its final state, carried out here."""
    from prefect.flow_engine import run_flow_async

    from flows.restore import restore

    given = {"backup": None, "event": None, "moment": None, **run.parameters}
    return await run_flow_async(restore, flow_run=run, parameters=given, return_type="state")


async def until_it_is(scheduler, run, kind):
    """Wait for a kind of state, as somebody who looks at the server sees it."""
    while (await asyncio.to_thread(scheduler.run, str(run.id))).type != kind:  # noqa: ASYNC110
        await asyncio.sleep(0.1)


async def answered(settings, run, **fields) -> Any:
    """Its final state, where a person gives it these fields once it asks."""
    running = asyncio.create_task(ended(run))
    scheduler = Scheduler(settings)
    try:
        async with asyncio.timeout(SECONDS):
            await until_it_is(scheduler, run, "PAUSED")
        await asyncio.to_thread(scheduler.answer, str(run.id), fields)
        return await running
    finally:
        running.cancel()


def word(settings, **other):
    fields = {"name": "Ada", "reason": "a test", "ledger": restores.ledger_id(settings)}
    return {**fields, **other}


async def test_a_folder_of_its_own_needs_no_word(home):
    before = rows(home.home_path)
    state = await ended(await asked(event=400, where="folder"))
    assert (state.name, state.is_completed()) == ("Restored", True)
    (folder,) = (home.home_path / "restored").iterdir()
    assert str(folder) in state.message
    assert rows(folder)[:390] == before[:390]
    assert rows(home.home_path) == before


async def test_in_place_with_a_persons_word(home):
    before = rows(home.home_path)
    state = await answered(home, await asked(event=400, where="in place"), **word(home))
    assert state.name == "Restored", state.message
    after = rows(home.home_path)
    assert after[:390] == before[:390]
    assert len(after) < len(before)
    assert replaced.unsettled(home.home_path) is None
    (kept,) = home.home_path.glob("replaced-*")
    assert rows(kept) == before


async def test_a_wrong_word_changes_nothing(home):
    before = rows(home.home_path)
    run = await asked(where="in place")
    state = await answered(home, run, **word(home, ledger="00000000"))
    assert (state.name, state.is_failed()) == ("Refused", True)
    assert "nothing was changed" in state.message
    assert rows(home.home_path) == before
    assert not list(home.home_path.glob("replaced-*"))


async def test_an_answer_without_a_reason_is_not_taken_and_the_run_goes_on_waiting(home):
    run = await asked(where="in place")
    with pytest.raises(Declined, match="'reason' is a required property"):
        await answered(home, run, name="Ada", ledger=restores.ledger_id(home))
    assert not list(home.home_path.glob("replaced-*"))


async def test_nobody_there_in_time_changes_nothing(home, monkeypatch):
    from tasks import restoring

    monkeypatch.setattr(restoring, "ANSWER_SECONDS", 2)
    monkeypatch.setattr(restoring, "LOOK_SECONDS", 1)
    before = rows(home.home_path)
    state = await ended(await asked(where="in place"))
    assert state.name == "Refused"
    assert "nobody confirmed" in state.message
    assert rows(home.home_path) == before


async def test_a_running_worker_is_in_the_way_before_anybody_is_asked(home):
    ledger = SqliteLedger(home.home_path)
    try:
        state = await ended(await asked(where="in place"))
    finally:
        ledger.close()
    assert state.name == "Undone"
    assert "stop the worker" in state.message


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"backup": "nothing-of-the-kind"}, "nothing-of-the-kind"),
        ({"event": 5, "moment": "2026-01-01T00:00:00"}, "an event and a moment"),
    ],
)
async def test_what_cannot_be_is_said_in_the_runs_message(home, parameters, says):
    state = await ended(await asked(**parameters, where="folder"))
    assert state.is_failed()
    assert says in state.message


async def test_what_breaks_after_the_replacement_is_rolled_back(home, monkeypatch):
    """The disk lies between the replacement and the proof: really, in the live file."""
    before = rows(home.home_path)
    sound = restores.prove

    def on_a_bad_disk(settings, found):
        path = settings.ledger_path
        data = bytearray(path.read_bytes())
        spot = data.index(b"a test")
        data[spot : spot + 6] = b"a lie!"
        path.write_bytes(data)
        return sound(settings, found)

    monkeypatch.setattr(restores, "prove", on_a_bad_disk)
    state = await answered(home, await asked(event=400, where="in place"), **word(home))
    assert (state.name, state.is_failed()) == ("Undone", True)
    assert "does not hold" in state.message
    assert rows(home.home_path) == before
    assert replaced.unsettled(home.home_path) is None


async def test_a_run_killed_between_replacement_and_proof_is_put_back(home):
    """A real process of the pool `processes`, killed with SIGKILL as soon as the note is there."""
    from prefect.workers.process import ProcessWorker

    from tasks import timetable

    before = rows(home.home_path)
    run = await asked(event=400, where="in place")
    scheduler = Scheduler(home)
    note = home.home_path / replaced.NOTE_FILE
    async with ProcessWorker(timetable.PROCESSES, prefetch_seconds=0) as worker:
        await worker.sync_with_backend()
        await worker.get_and_submit_flow_runs()
        async with asyncio.timeout(SECONDS):
            await until_it_is(scheduler, run, "PAUSED")
            await asyncio.to_thread(scheduler.answer, str(run.id), word(home))
            await asyncio.to_thread(killed_once, note)
            await until_it_is(scheduler, run, "CRASHED")
            while note.exists():  # noqa: ASYNC110 - the hook runs in a process of Prefect's
                await asyncio.sleep(0.1)
    assert rows(home.home_path) == before


def killed_once(note):
    """Kill the processes of the run as soon as it has replaced the ledger, or is about to."""
    deadline = time.monotonic() + SECONDS
    while not note.exists():
        assert time.monotonic() < deadline, "it never came to replace anything"
        time.sleep(0.001)
    children = psutil.Process().children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.Error):
            if "prefect" in " ".join(child.cmdline()) and "tasks.server" not in child.cmdline():
                child.kill()


def test_a_start_puts_back_what_a_dead_process_left(home):
    from tasks.restoring import put_back_left

    before = rows(home.home_path)
    assert put_back_left(home.home_path) == ""
    wanted = restores.Asked(None, 400, None)
    restores.in_place(home, wanted, restores.chosen(home, wanted), "me", "a test", NOW)
    assert "what was there is back" in put_back_left(home.home_path)
    assert rows(home.home_path) == before
    assert put_back_left(home.home_path) == ""
