"""What ends a worker is known at the next start, also when the disk takes nothing new."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from portcullis.domain.events import ModeChanged, WorkerFailed
from portcullis.domain.plan import Requirement
from portcullis.worker.last_words import SIZE, LastWords
from tests.worker.harness import World


def test_words_survive_until_they_are_cleared(tmp_path: Path):
    words = LastWords(tmp_path)
    assert words.prepare() == ""
    words.leave("StoreError: disk is full")
    assert LastWords(tmp_path).prepare() == "StoreError: disk is full"
    words.clear()
    assert LastWords(tmp_path).prepare() == ""


def test_the_file_never_grows_so_a_full_disk_takes_it(tmp_path: Path):
    words = LastWords(tmp_path)
    words.prepare()
    words.leave("x" * 10_000)
    assert words.path.stat().st_size == SIZE
    assert words.path.stat().st_blocks * 512 >= SIZE
    assert LastWords(tmp_path).prepare() == "x" * SIZE


@pytest.mark.parametrize("left", [b"short", b"y" * 9_000, b"\xff" * 20])
def test_a_damaged_file_is_taken_for_words_and_mended(tmp_path: Path, left: bytes):
    (tmp_path / "worker.last").write_bytes(left)
    assert LastWords(tmp_path).prepare()
    assert (tmp_path / "worker.last").stat().st_size == SIZE


def test_a_folder_that_is_gone_does_not_hide_the_error_itself(tmp_path: Path):
    words = LastWords(tmp_path / "gone")
    words.leave("whatever")


def test_a_worker_enters_them_and_the_gate_stays_shut_over_restarts():
    world = World(required=(Requirement("venue", at_start=True),))

    async def story(world: World) -> None:
        worker = await world.start()
        assert worker.core.engine.state.system.mode == "ACTIVE"
        await world.kill()
        world.last_words = "ZeroDivisionError: division by zero"
        worker = await world.start()
        assert worker.begun.is_set()
        assert worker.core.engine.state.system.mode == "SHUTDOWN"
        world.last_words = ""
        await world.kill()
        worker = await world.start()
        await asyncio.sleep(60)
        assert worker.core.engine.state.system.mode == "SHUTDOWN"

    world.play(story)
    assert len(world.events(WorkerFailed)) == 1
    assert any("division by zero" in change.why for change in world.events(ModeChanged))
