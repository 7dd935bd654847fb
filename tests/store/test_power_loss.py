"""What is left when the power goes or the disk fails: all that was acknowledged, nothing in halves.

The real ledger runs on a disk in memory that forgets what was not synced. The same simulator shows
what weaker settings lose, so this test can fail.
"""

from __future__ import annotations

import shutil
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from portcullis.errors import StoreError
from portcullis.ports import Entry, Snapshot
from portcullis.proof.disk import Disk, Driver
from portcullis.store.database import LEDGER_FILE, Tuning
from portcullis.store.keys import load_verifier
from portcullis.store.ledger import SqliteLedger
from portcullis.store.memory import MemoryLedger
from portcullis.store.verify import verify
from tests.conformance.ledger import issued, position

OPERATIONS = 150  # a trial ends somewhere within this many changes of the disk


class Begun(NamedTuple):
    """A home with its key, and the files of a ledger that was begun and closed."""

    home: Path
    files: dict[str, bytes]


class Ending(NamedTuple):
    """How a trial ended: events acknowledged, events found, and what is wrong with the file."""

    acknowledged: int
    found: int
    fault: str


@pytest.fixture(scope="module")
def begun(tmp_path_factory) -> Begun:
    home: Path = tmp_path_factory.mktemp("home")
    disk = Disk()
    opened(home, disk).close()
    return Begun(home, disk.images())


def opened(home: Path, disk: Disk, synchronous: str = "FULL") -> SqliteLedger:
    driver = Driver(disk)
    return SqliteLedger(home, Tuning(driver, synchronous, "EXCLUSIVE"))  # type: ignore[arg-type]


def test_the_simulated_disk_is_a_disk(begun: Begun) -> None:
    """Without any failure the ledger is the same as on the memory ledger."""
    disk = Disk(begun.files)
    ledger, model = opened(begun.home, disk), MemoryLedger()
    random = Random(1)
    for number in range(30):
        batch = entries(random, number)
        assert ledger.append(batch) == model.append(batch)
    ledger.close()
    ledger = opened(begun.home, disk)
    assert list(ledger.read()) == list(model.read())
    ledger.close()


@pytest.mark.parametrize("part", range(5))
def test_nothing_acknowledged_is_lost(begun: Begun, tmp_path: Path, part: int) -> None:
    for seed in range(part * 10, part * 10 + 10):
        _, found, fault = ending = trial(begun, tmp_path, seed, "FULL")
        print(f"seed {seed}: {ending}")
        assert not fault
        assert found >= ending.acknowledged


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_in_many_trials(begun: Begun, tmp_path: Path) -> None:
    for seed in range(1_000, 2_500):
        _, found, fault = ending = trial(begun, tmp_path, seed, "FULL")
        assert not fault, f"seed {seed}: {ending}"
        assert found >= ending.acknowledged, f"seed {seed}: {ending}"


@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
def test_weaker_settings_lose_what_they_acknowledged(begun, tmp_path, synchronous: str) -> None:
    endings = [trial(begun, tmp_path, seed, synchronous) for seed in range(15)]
    lost = [ending for ending in endings if ending.fault or ending.found < ending.acknowledged]
    print(f"{synchronous}: {len(lost)} of {len(endings)} lost something: {lost}")
    assert len(lost) >= 3


def test_any_single_failure_of_the_disk_leaves_all_that_was_acknowledged(begun: Begun) -> None:
    """Fail the first operation, the second, and so on, until a run gets through."""
    failures = 0
    for operation in range(1, 1_000):
        disk = Disk(begun.files)
        disk.dead_after = False
        ledger, model = opened(begun.home, disk), MemoryLedger()
        disk.fail_at = operation
        acknowledged = write(ledger, model, Random(7), rounds=6)
        with suppress(StoreError):
            ledger.close()
        if not disk.failed:
            break
        failures += 1
        again = opened(begun.home, disk)
        rows = list(again.read())
        again.close()
        assert len(rows) >= acknowledged
        assert rows == list(model.read(through=len(rows)))
    assert 20 < failures < 999


def trial(begun: Begun, folder: Path, seed: int, synchronous: str) -> Ending:
    """Write until the power goes, then see what the disk has."""
    random = Random(seed)
    disk = Disk(begun.files)
    ledger, model = opened(begun.home, disk, synchronous), MemoryLedger()
    disk.fail_at = random.randint(1, OPERATIONS)
    acknowledged = write(ledger, model, random, rounds=OPERATIONS)
    assert disk.failed
    with suppress(StoreError):
        ledger.close()
    after = folder / f"{synchronous}-{seed}"
    shutil.copytree(begun.home, after)
    for name, content in disk.after_power_loss(random).items():
        (after / name).write_bytes(content)
    return look(after, acknowledged, model)


def write(ledger: SqliteLedger, model: MemoryLedger, random: Random, rounds: int) -> int:
    """Append and do what a worker does until the disk fails; how many events were acknowledged."""
    acknowledged = 0
    with suppress(StoreError):
        for number in range(rounds):
            batch = entries(random, number)
            model.append(batch)
            acknowledged = ledger.append(batch).position
            doing = random.random()
            if doing < 0.1:
                ledger.tidy()
            elif doing < 0.2:
                ledger.save_snapshot(Snapshot(acknowledged, 1, 1, random.randbytes(3_000)))
            elif doing < 0.3:
                ledger.checkpoint()
    if ledger.broken:
        with pytest.raises(StoreError):
            ledger.append(entries(random, 0))
    return acknowledged


def entries(random: Random, number: int) -> list[Entry]:
    size = random.choice((1, 1, 2, 10, 60))
    return [position("ABC"[n % 3], n) for n in range(size)] + [issued(f"k{number}")]


def look(home: Path, acknowledged: int, model: MemoryLedger) -> Ending:
    """Open what is left as the next worker would, and verify it."""
    try:
        with closing(SqliteLedger(home)) as ledger:
            rows = list(ledger.read())
    except StoreError as error:
        return Ending(acknowledged, 0, str(error))
    if rows != list(model.read(through=len(rows))):
        return Ending(acknowledged, len(rows), "other events than were written")
    found = verify(home / LEDGER_FILE, load_verifier(home / "ledger.pub"))
    return Ending(acknowledged, len(rows), found.what)
