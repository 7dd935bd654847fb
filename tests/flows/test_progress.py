"""Progress of what takes long: shown while it runs, whole at its end, nothing for a short run."""

import asyncio
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.verdicts import Finding, Grade
from tasks import progress
from tasks.evidence import carry_out

pytestmark = [pytest.mark.flow, pytest.mark.filterwarnings("ignore")]
GOOD = Finding(Grade.PASS, "good", [])
LONG = st.floats(0.1, 1e6)


@given(LONG, LONG, LONG)
def test_the_share_grows_with_time_and_is_never_all(elapsed, more, last):
    assert 0 < progress.share(elapsed, last) <= progress.SHARE_MAX
    assert progress.share(elapsed + more, last) >= progress.share(elapsed, last)
    assert progress.share(elapsed, None) == progress.UNKNOWN


@pytest.mark.parametrize("text", ["", "soon", "nan", "-1", "inf", "0"])
def test_what_is_no_time_counts_for_nothing(tmp_path, text):
    (tmp_path / "took").write_text(text)
    assert progress.last_took(tmp_path / "took") is None
    assert progress.last_took(tmp_path / "nothing") is None


async def artifacts(name) -> list[Any]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

    async with get_client() as client:
        return await client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[f"progress-{name}"]))
        )


async def test_a_long_run_shows_how_far_it_is(quick, monkeypatch):
    from prefect import flow

    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.1)
    enough = threading.Event()

    def check(_settings, _now):
        assert enough.wait(60)
        return GOOD

    @flow(name="long", flow_run_name="a long one")
    async def long():
        return await carry_out("x", quick, check)

    running = asyncio.create_task(long())
    async with asyncio.timeout(60):
        while not await artifacts("a-long-one"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    enough.set()
    assert await running == GOOD
    (found,) = await artifacts("a-long-one")
    assert float(found.data) == 100
    assert "done in" in found.description
    assert progress.last_took(quick.operations_path / "took" / "a-long-one") is not None


async def test_a_short_run_shows_nothing(quick):
    from prefect import flow

    @flow(name="short", flow_run_name="a short one")
    async def short():
        return await carry_out("x", quick, lambda _settings, _now: GOOD)

    assert await short() == GOOD
    assert await artifacts("a-short-one") == []


async def test_what_the_work_raises_is_raised(quick):
    async def broken():
        raise KeyError("broken")

    with pytest.raises(KeyError):
        await progress.shown(quick, "x", broken())
