"""The writer killed, the server crashed in the middle of commits: nothing acknowledged is lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from random import Random

import pytest

from portcullis.domain.events import PositionReported, decode
from portcullis.store.keys import load_verifier
from portcullis.store.opening import open_ledger, open_reader, place_of
from portcullis.store.verify import Mark, verify_place
from tests.conformance.ledger import position

WRITER = [sys.executable, "-m", "tests.store.writing_process"]


@pytest.fixture
def writer(settings) -> Iterator[subprocess.Popen[bytes]]:
    with started(settings, 3) as process:
        yield process
        process.kill()


def started(settings, each: int) -> subprocess.Popen[bytes]:
    command = [*WRITER, settings.home, str(each), settings.store_url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def acknowledged(process: subprocess.Popen[bytes], lines: int) -> int:
    assert process.stdout is not None
    last = 0
    for _ in range(lines):
        line = process.stdout.readline()
        assert line, process.stderr.read()
        last = int(line)
    return last


def rest(process: subprocess.Popen[bytes], last: int) -> int:
    """What it had said by its end counts too."""
    assert process.stdout is not None
    for line in process.stdout:
        last = int(line) if line.endswith(b"\n") else last
    return last


def check(settings, mark: Mark | None = None) -> tuple[int, Mark | None]:
    """Verify the whole, compare each event with what was submitted; how many there are."""
    public = load_verifier(settings.home_path / "ledger.pub")
    found = verify_place(place_of(settings), public, since=mark)
    assert found.ok, found
    with open_reader(settings) as reader:
        count = 0
        for count, row in enumerate(reader.read(), start=1):
            event = decode(row.payload)
            assert isinstance(event, PositionReported)
            assert (row.position, event.size) == (count, count)
        assert reader.head().position == count
    return count, found.mark


def test_kill_9_of_the_writer_loses_nothing_acknowledged(settings) -> None:
    random, mark = Random(3), None
    for _ in range(3):
        with started(settings, random.choice((1, 3, 20))) as process:
            last = acknowledged(process, random.randint(20, 200))
            process.kill()
            last = rest(process, last)
        count, mark = check(settings, mark)
        assert count >= last > 0


def test_a_crash_of_the_server_loses_nothing_acknowledged(settings, server) -> None:
    """`immediate`: every process of the server is gone at once, and what it had in memory."""
    random = Random(4)
    for _ in range(2):
        with started(settings, random.choice((1, 20))) as process:
            last = acknowledged(process, random.randint(20, 200))
            server.stop("immediate")
            last = rest(process, last)
            assert process.wait(20) == 1
            said = process.stderr.read().decode()
        server.start()
        assert " | " in said, "it ends with an error and a remedy"
        count, _ = check(settings)
        assert count >= last > 0
    ledger = open_ledger(settings)
    assert ledger.append([position("A", count + 1)]).position == count + 1
    ledger.close()


def test_a_writer_that_is_ended_while_it_commits_leaves_all_or_nothing(settings, writer) -> None:
    """Its sessions ended by an administrator, as a server that is stopped in order does."""
    acknowledged(writer, 50)
    ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    with place_of(settings).reader().connect() as connection:
        connection.exec_driver_sql(f"{ending} AND application_name = 'portcullis ledger writer'")
    last = rest(writer, 0)
    assert writer.wait(20) == 1
    assert check(settings)[0] >= last
