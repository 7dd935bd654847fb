"""The machine's clock is set while everything runs: by libfaketime, where Debian's package is."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from portcullis.wiring import defaults_folder
from tests.damage.conftest import fell, stays_shut
from tests.damage.running import Running

pytestmark = pytest.mark.damage

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


class Clock:
    """What the system takes for the time of day; monotonic time is the real one."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "clock"
        self.step(0)

    def step(self, seconds: int) -> None:
        draft = self.path.with_suffix(".new")
        draft.write_text(f"{seconds:+d}s\n")
        draft.replace(self.path)

    def environment(self) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self.path),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    if LIBRARY is None:
        pytest.skip("needs libfaketime: apt-get install faketime")
    return Clock(tmp_path)


@pytest.fixture
def set_by(clock: Clock, tmp_path: Path) -> Iterator[Running]:
    """Worker and venue, whose clock can be set. (Prefect's server does not live under it.)"""
    config = tmp_path / "config"
    shutil.copytree(defaults_folder(), config)
    required = "".join(f"  {name}: {{at_start: true}}\n" for name in ("venue", "clock", "ledger"))
    (config / "monitoring.yaml").write_text(f"required:\n{required}")
    running = Running(
        tmp_path,
        PORTCULLIS_CONFIG=str(config),
        PORTCULLIS_OPERATIONS="false",
        **clock.environment(),
    )
    try:
        running.up.wait_for("| OPEN:")
        yield running
    finally:
        running.end()


@pytest.mark.parametrize("seconds", [30, -30])
def test_a_clock_that_is_set(set_by: Running, clock: Clock, seconds: int):
    began = time.monotonic()
    clock.step(seconds)
    fell(
        set_by, "clock", f"the machine's clock set by {seconds:+d} s",
        says="clock: (failed|expired)", began=began, seconds=60,
    )  # fmt: skip
    if seconds < 0:
        clock.step(0)  # one set ahead is followed, since the venue's time bears it out
    stays_shut(set_by)
    set_by.release()
