"""`portcullis flow` against a real server: what is listed, run, refused, and how it ends."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from portcullis.cli.flow_runs import Deployment, Parameter, SchedulerAway, typed
from portcullis.cli.main import app
from portcullis.errors import NotFound, UsageError

pytestmark = [pytest.mark.flow, pytest.mark.filterwarnings("ignore")]
ROOT = Path(__file__).parent.parent.parent

FULL = Parameter("full", ("boolean",), False, "everything")
WINDOW = Parameter("window_seconds", ("integer",), 300, "how far back")
LASTS = Parameter("lasts", ("number", "null"), None, "")
WHO = Parameter("account", ("string", "null"), None, "")
SOME = Deployment("id", "some", "", "warm", (FULL, WINDOW, LASTS, WHO))


def test_words_become_what_the_form_takes():
    given = ["full=Yes", "window_seconds=5", "lasts=1.5", "account=A=B"]
    assert typed(SOME, given) == {
        "full": True,
        "window_seconds": 5,
        "lasts": 1.5,
        "account": "A=B",
    }
    assert typed(SOME, ["lasts=", "account="]) == {"lasts": None, "account": None}
    assert typed(SOME, []) == {}


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("full", "'full' is no parameter"),
        ("ful=yes", "did you mean full?"),
        ("full=maybe", "full: 'maybe' is no boolean"),
        ("window_seconds=1.5", "'1.5' is no integer"),
        ("full=", "'' is no boolean"),
    ],
)
def test_a_wrong_word_is_refused_by_name(word, says):
    with pytest.raises(UsageError, match=says.replace("?", r"\?")):
        typed(SOME, [word])


def said(*words):
    """What the command prints as data, its exit code, and the error it ended with."""
    result = CliRunner().invoke(app, ["flow", *words, "-o", "json"])
    body = msgspec.json.decode(result.stdout) if result.stdout.strip() else None
    return body, result.exit_code, result.exception


async def with_workers(work):
    """Do blocking work on a thread while what it starts is run in this process."""
    from prefect.client.orchestration import get_client

    from tasks import timetable
    from tasks.warm_worker import WarmWorker

    async with get_client() as client:
        await timetable.make_pools(client)
        await timetable.put_in_force(ROOT / "prefect.yaml")
    asked = asyncio.create_task(asyncio.to_thread(work))
    async with WarmWorker(timetable.WARM, prefetch_seconds=0) as worker:
        await worker.sync_with_backend()
        async with asyncio.timeout(60):
            while not asked.done():
                await worker.get_and_submit_flow_runs()
                await asyncio.wait((asked,), timeout=0.2)
    return await asked


async def test_a_flow_is_run_by_hand_and_its_end_is_the_exit_code(quick):
    body, code, error = await with_workers(lambda: said("run", "integrity", "-p", "full=true"))
    assert body is not None, error
    assert (code, body["type"], body["name"]) == (0, "COMPLETED", "ledger, every event")
    assert body["message"].startswith("PASS")
    assert body["page"].endswith(body["id"])
    body, code, _ = await with_workers(lambda: said("run", "heartbeat"))
    assert (code, body["type"]) == (1, "FAILED"), "nobody is at the gate"


async def test_what_is_listed_is_what_is_in_force(quick):
    from prefect.client.orchestration import get_client

    from tasks import timetable

    async with get_client() as client:
        await timetable.make_pools(client)
    deployed = await timetable.put_in_force(ROOT / "prefect.yaml")
    rows, code, _ = await asyncio.to_thread(said, "list")
    assert code == 0
    assert [row["name"] for row in rows] == sorted(each.name for each in deployed)
    one, _, _ = await asyncio.to_thread(said, "list", "market_data_quality")
    (window,) = one["parameters"]
    assert (window["name"], window["kind"], window["default"]) == ("window_seconds", "integer", 300)


async def test_what_is_out_of_bounds_is_refused_and_nothing_runs(quick):
    _, _, error = await with_workers(
        lambda: said("run", "market_data_quality", "-p", "window_seconds=0")
    )
    assert isinstance(error, UsageError)
    assert "minimum" in str(error) or "greater" in str(error)


async def test_an_unknown_flow_is_named_with_the_nearest(quick):
    _, _, error = await with_workers(lambda: said("run", "captial"))
    assert isinstance(error, NotFound)
    assert "did you mean capital?" in str(error)


async def test_a_run_that_waits_for_nothing_takes_no_answer(quick):
    body, _, _ = await with_workers(lambda: said("run", "capital"))
    _, _, error = await asyncio.to_thread(said, "answer", body["id"], "-p", "name=x")
    assert error is not None
    assert error.exit_code in (2, 6)


def test_without_a_server_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PORTCULLIS_HOME", str(tmp_path))
    monkeypatch.setenv("PORTCULLIS_PREFECT_PORT", "9")
    _, _, error = said("list")
    assert isinstance(error, SchedulerAway)
    assert "portcullis up" in error.remedy
