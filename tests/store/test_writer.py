"""Group commit and direct commit: order, positions, failure, bounds, drain."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event, Thread

import pytest

from portcullis.errors import StoreError
from portcullis.ports import Entry, Head
from portcullis.store import writer as writers
from portcullis.store.ledger import SqliteLedger
from portcullis.store.memory import MemoryLedger
from portcullis.store.writer import BATCH_ENTRIES, QUEUE_ENTRIES, DirectCommit, GroupCommit
from tests.conformance.ledger import position


class Gated(MemoryLedger):
    """A ledger whose disk is as slow, or as broken, as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.may_commit = Event()
        self.started = Event()
        self.failure: StoreError | None = None
        self.batches: list[int] = []

    def append(self, entries: Sequence[Entry]) -> Head:
        self.started.set()
        assert self.may_commit.wait(10)
        if self.failure is not None:
            raise self.failure
        self.batches.append(len(entries))
        return super().append(entries)


@pytest.fixture
def ledger():
    gated = Gated()
    yield gated
    gated.may_commit.set()


BROKEN = StoreError("the disk is gone", remedy="look for it")


def entries(count: int) -> list[Entry]:
    return [position("A", n) for n in range(count)]


def test_what_waits_goes_together_and_is_answered_in_order(ledger: Gated) -> None:
    writer = GroupCommit(ledger)
    answers: list[tuple[int, StoreError | None]] = []
    firsts = []
    for number in range(50):

        def answer(error: StoreError | None, number: int = number) -> None:
            answers.append((number, error))

        firsts.append(writer.submit(entries(3), answer))
        if number == 0:
            assert ledger.started.wait(10)  # the first is on its way alone
    assert firsts == list(range(1, 151, 3))
    assert writer.next_position == 151
    assert answers == []
    ledger.may_commit.set()
    writer.close()
    assert answers == [(number, None) for number in range(50)]
    assert ledger.batches == [3, 147]
    assert [row.position for row in ledger.read()] == list(range(1, 151))


def test_batches_are_bounded_and_submissions_stay_whole(ledger: Gated) -> None:
    writer = GroupCommit(ledger)
    done: list[StoreError | None] = []
    writer.submit(entries(1), done.append)
    assert ledger.started.wait(10)
    for count in (1_500, 400, 200, BATCH_ENTRIES + 500, 1):
        writer.submit(entries(count), done.append)
    ledger.may_commit.set()
    writer.close()
    assert ledger.batches == [1, 1_900, 200, BATCH_ENTRIES + 500, 1]
    assert done == [None] * 6


def test_an_empty_submission_is_answered_behind_what_came_before(ledger: Gated) -> None:
    writer = GroupCommit(ledger)
    said: list[str] = []
    writer.submit(entries(1), lambda _: said.append("events"))
    assert writer.submit([], lambda _: said.append("nothing")) == 2
    ledger.may_commit.set()
    writer.close()
    assert said == ["events", "nothing"]


def test_after_a_failure_everything_fails_alike(ledger: Gated) -> None:
    ledger.failure = BROKEN
    writer = GroupCommit(ledger)
    answers: list[StoreError | None] = []
    writer.submit(entries(1), answers.append)
    assert ledger.started.wait(10)
    writer.submit(entries(1), answers.append)
    ledger.may_commit.set()
    ledger.failure = BROKEN
    writer.close()
    assert answers == [BROKEN, BROKEN]
    with pytest.raises(StoreError) as caught:
        writer.submit(entries(1), answers.append)
    assert caught.value is BROKEN
    assert ledger.head().position == 0


def test_an_event_that_cannot_be_stored_ends_it_too(ledger: Gated) -> None:
    ledger.may_commit.set()
    writer = GroupCommit(ledger)
    answers: list[StoreError | None] = []
    writer.submit([position("A", 1)._replace(at=-1)], answers.append)
    writer.close()
    assert [type(answer) for answer in answers] == [StoreError]


def test_a_full_queue_makes_the_submitter_wait(ledger: Gated) -> None:
    writer = GroupCommit(ledger)
    writer.submit(entries(1), lambda _: None)
    assert ledger.started.wait(10)
    for _ in range(QUEUE_ENTRIES // 1_000):
        writer.submit(entries(1_000), lambda _: None)
    assert writer.room == 0
    assert not writer.wait_for_room(1, timeout=0.01)
    taken = Event()

    def submit_late() -> None:
        writer.submit(entries(1), lambda _: None)
        taken.set()

    late = Thread(target=submit_late)
    late.start()
    assert not taken.wait(0.05)
    ledger.may_commit.set()
    assert taken.wait(10)
    late.join()
    assert writer.wait_for_room(QUEUE_ENTRIES, timeout=10)
    writer.close()
    assert ledger.head().position == QUEUE_ENTRIES + 2


def test_a_disk_that_takes_nothing_is_a_failure(ledger: Gated, monkeypatch) -> None:
    monkeypatch.setattr(writers, "ROOM_SECONDS", 0.01)
    writer = GroupCommit(ledger)
    writer.submit(entries(1), lambda _: None)
    assert ledger.started.wait(10)
    answers: list[StoreError | None] = []
    writer.submit(entries(QUEUE_ENTRIES), answers.append)
    with pytest.raises(StoreError, match="none was stored"):
        writer.submit(entries(1), answers.append)
    ledger.may_commit.set()
    writer.close()
    assert len(answers) == 1
    assert answers[0] is not None


def test_close_drains_and_ends(ledger: Gated) -> None:
    writer = GroupCommit(ledger)
    done: list[StoreError | None] = []
    for _ in range(100):
        writer.submit(entries(10), done.append)
    ledger.may_commit.set()
    writer.close()
    assert done == [None] * 100
    assert ledger.head().position == 1_000
    writer.close()
    with pytest.raises(StoreError, match="closed"):
        writer.submit(entries(1), done.append)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_callback_that_raises_leaves_nobody_waiting(ledger: Gated) -> None:
    writer = GroupCommit(ledger)
    answers: list[StoreError | None] = []

    def explode(_: StoreError | None) -> None:
        raise RuntimeError("a fault in the caller")

    writer.submit(entries(1), explode)
    assert ledger.started.wait(10)
    writer.submit(entries(1), answers.append)
    ledger.may_commit.set()
    writer.close()
    assert len(answers) == 1
    assert answers[0] is not None
    with pytest.raises(StoreError):
        writer.submit(entries(1), answers.append)


def test_idle_runs_once_per_pause_and_lets_submitters_in(ledger: Gated, monkeypatch) -> None:
    monkeypatch.setattr(writers, "IDLE_SECONDS", 0.001)
    idle, go_on = Event(), Event()
    calls = []

    def on_idle() -> None:
        calls.append(ledger.head().position)
        idle.set()
        assert go_on.wait(10)

    ledger.may_commit.set()
    writer = GroupCommit(ledger, on_idle=on_idle)
    writer.submit(entries(1), lambda _: None)
    assert idle.wait(10)
    assert writer.submit(entries(1), lambda _: None) == 2  # not kept out meanwhile
    go_on.set()
    writer.close()
    assert calls[0] == 1
    assert len(calls) <= 2


def test_submitters_in_many_threads_get_positions_of_their_own(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path)
    writer = GroupCommit(ledger, on_idle=ledger.tidy)
    got: dict[int, str] = {}

    def work(name: str) -> None:
        for number in range(200):
            first = writer.submit([position(name, number), position(name, number)], lambda _: None)
            got[first] = name

    threads = [Thread(target=work, args=(name,)) for name in "ABCD"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    rows = list(ledger.read())
    assert len(rows) == 1_600
    for first, name in got.items():
        assert rows[first - 1].stream == rows[first].stream == f"account/{name}"
    ledger.close()


def test_a_process_that_dies_of_an_error_ends() -> None:
    program = (
        "from portcullis.store.memory import MemoryLedger\n"
        "from portcullis.store.writer import GroupCommit\n"
        "writer = GroupCommit(MemoryLedger())\n"
        "raise SystemExit(3)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], timeout=30, check=False)
    assert ended.returncode == 3


def test_direct_commit_answers_before_it_returns() -> None:
    ledger = MemoryLedger()
    writer = DirectCommit(ledger)
    answers: list[object] = []
    assert writer.next_position == 1
    assert writer.submit(entries(3), answers.append) == 1
    assert writer.submit(entries(1), answers.append) == 4
    assert answers == [None, None]
    assert writer.submit([position("A", 1)._replace(at=-1)], answers.append) == 5
    assert isinstance(answers[2], StoreError)
    with pytest.raises(StoreError):
        writer.submit(entries(1), answers.append)
    other = DirectCommit(ledger)
    other.close()
    with pytest.raises(StoreError, match="closed"):
        other.submit(entries(1), answers.append)
