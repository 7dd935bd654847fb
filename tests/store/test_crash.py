"""Killed, cut short, out of space: what was acknowledged is there, and the next writer goes on."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from portcullis.domain.events import PositionReported, decode
from portcullis.errors import StoreLocked
from portcullis.ports import Snapshot
from portcullis.store.database import LEDGER_FILE
from portcullis.store.keys import load_verifier
from portcullis.store.ledger import SqliteLedger
from portcullis.store.memory import MemoryLedger
from portcullis.store.verify import Mark, verify
from tests.conformance.ledger import concluded, issued, position

WRITER = [sys.executable, "-m", "tests.store.writing_process"]


# --- kill -9 of a real process --------------------------------------------------------------------


def test_kill_9_loses_nothing_acknowledged(tmp_path: Path) -> None:
    kill_over_and_over(tmp_path, kills=4, seed=1)


@pytest.mark.kill
def test_kill_9_a_hundred_times(tmp_path: Path) -> None:
    kill_over_and_over(tmp_path, kills=100, seed=2)


def kill_over_and_over(home: Path, kills: int, seed: int) -> None:
    random = Random(seed)
    for kill in range(kills):
        acknowledged = write_and_kill(home, random)
        found = check(home)
        print(f"kill {kill}: acknowledged {acknowledged}, found {found}")
        assert found >= acknowledged > 0


def write_and_kill(home: Path, random: Random) -> int:
    """Let a writer run for some acknowledgements, kill it; the last position it said."""
    command = [*WRITER, str(home), str(random.choice((1, 3, 20)))]
    last = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(random.randint(1, 300)):
            last = int(process.stdout.readline())
        process.kill()
        for line in process.stdout:  # what it had said by then counts too
            last = int(line) if line.endswith(b"\n") else last
    return last


def test_a_writer_that_is_stopped_still_holds_its_lock(tmp_path: Path) -> None:
    """SIGSTOP is not death: nobody takes over, and it goes on where it was."""
    command = [*WRITER, str(tmp_path), "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(50):
            process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        with pytest.raises(StoreLocked) as refused:
            SqliteLedger(tmp_path)
        assert str(process.pid) in str(refused.value)
        assert verify(tmp_path / LEDGER_FILE, load_verifier(tmp_path / "ledger.pub")).ok
        process.send_signal(signal.SIGCONT)
        after = [int(process.stdout.readline()) for _ in range(5_000)][-1]
        process.kill()
        process.stdout.read()
    assert check(tmp_path) >= after


def check(home: Path) -> int:
    """Verify the whole, compare each event with what was submitted; how many there are."""
    found = verify(home / LEDGER_FILE, load_verifier(home / "ledger.pub"))
    assert found.ok, found
    ledger = SqliteLedger(home)
    count = 0
    for count, row in enumerate(ledger.read(), start=1):
        event = decode(row.payload)
        assert isinstance(event, PositionReported)
        assert (row.position, event.size) == (count, count)
    ledger.close()
    return count


# --- no space left --------------------------------------------------------------------------------


def test_a_file_that_may_not_grow_ends_it_cleanly(tmp_path: Path) -> None:
    limit = 600_000

    def restrict() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    acknowledged, said = write_until_it_fails(tmp_path, preexec_fn=restrict)
    assert LEDGER_FILE in said
    assert check(tmp_path) == acknowledged


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
def test_a_full_disk_ends_it_cleanly(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        acknowledged, said = write_until_it_fails(small)
        assert "disk is full" in said
        assert "free space" in said
        copy = Path(shutil.copytree(small, tmp_path / "copy"))
        assert check(copy) == acknowledged
    finally:
        subprocess.run(["umount", str(small)], check=True)


def write_until_it_fails(home: Path, **how) -> tuple[int, str]:
    """The last acknowledged position, and what the writer said at its end."""
    SqliteLedger(home).close()  # begun while there was room
    process = subprocess.run(
        [*WRITER, str(home), "7"], capture_output=True, text=True, timeout=60, check=False, **how
    )
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    return int(process.stdout.splitlines()[-1]), process.stderr


# --- any sequence of calls, crashes and openings --------------------------------------------------


class Crashing(RuleBasedStateMachine):
    """A ledger on disk beside one in memory, through crashes: a crash is a copy taken meanwhile."""

    folder: Path

    @initialize()
    def begin(self) -> None:
        self.number = 0
        self.home = self.folder / "0"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.home.mkdir(parents=True)
        self.ledger = SqliteLedger(self.home)
        self.model = MemoryLedger()
        self.keys = 0
        self.mark: Mark | None = None

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()

    @rule(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=40))
    def append(self, sizes: list[int]) -> None:
        entries = [position("ABCDEF"[size], size) for size in sizes]
        assert self.ledger.append(entries) == self.model.append(entries)

    @rule()
    def issue(self) -> None:
        self.keys += 1
        entries = [issued(f"k{self.keys}")]
        assert self.ledger.append(entries) == self.model.append(entries)

    @rule(of=st.integers(1, 5))
    def conclude(self, of: int) -> None:
        entries = [concluded(f"k{of}")]
        assert self.ledger.append(entries) == self.model.append(entries)

    @rule(state=st.binary(max_size=50))
    def snapshot(self, state: bytes) -> None:
        snapshot = Snapshot(self.model.head().position, 1, 1, state)
        self.ledger.save_snapshot(snapshot)
        self.model.save_snapshot(snapshot)

    @rule()
    def checkpoint(self) -> None:
        self.ledger.checkpoint()

    @rule()
    def idle(self) -> None:
        self.ledger.tidy()

    @rule()
    def reopen(self) -> None:
        self.ledger.close()
        self.ledger = SqliteLedger(self.home)

    @rule()
    def crash(self) -> None:
        """The files as they are now, without a close, are what the next worker finds."""
        self.number += 1
        left = self.folder / str(self.number)
        shutil.copytree(self.home, left, ignore=shutil.ignore_patterns("*-shm"))
        self.ledger.close()
        self.home = left
        self.ledger = SqliteLedger(left)

    @rule()
    def verify(self) -> None:
        key = load_verifier(self.home / "ledger.pub")
        found = verify(self.home / LEDGER_FILE, key, since=self.mark)
        assert found.ok, found
        self.mark = found.mark

    @invariant()
    def same(self) -> None:
        if hasattr(self, "ledger"):
            assert self.ledger.head() == self.model.head()
            assert self.ledger.last_at() == self.model.last_at()
            assert self.ledger.pending() == self.model.pending()
            assert self.ledger.latest_snapshot() == self.model.latest_snapshot()
            assert list(self.ledger.read()) == list(self.model.read())


def test_crashes_between_any_calls(tmp_path: Path) -> None:
    class Here(Crashing):
        folder = tmp_path / "machine"

    short = settings(max_examples=15, stateful_step_count=25, deadline=None)
    run_state_machine_as_test(Here, settings=short)
