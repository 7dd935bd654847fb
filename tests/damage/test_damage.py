"""Real damage to a running system: the gate falls, says why, and does not open by itself again.

`make damage` runs this alone; it takes a quarter of an hour and writes docs/damage.md.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.damage.running import Running, small_disk

pytestmark = pytest.mark.damage
TABLE = Path(__file__).parent.parent.parent / "docs" / "damage.md"
STAYS_SECONDS = 5.0


class Seen(NamedTuple):
    """A line of the table."""

    evidence: str
    damage: str
    seconds: float
    mode: str
    says: str


SEEN: list[Seen] = []


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with small_disk(tmp_path_factory.mktemp("damage") / "disk") as disk:
        running = Running(disk)
        try:
            running.opened()
            yield running
            write_table()
        finally:
            running.end()


@pytest.fixture(autouse=True)
def open_before(system: Running) -> None:
    """Every case begins with an open gate, whatever the one before it left."""
    health = system.health()
    if health is None or health["mode"] != "ACTIVE":
        system.release()
    system.opened()


def fell(
    system: Running,
    evidence: str,
    damage: str,
    *,
    says: str,
    modes: tuple[str, ...] = ("OBSERVE_ONLY",),
    seconds: float = 120.0,
    began: float | None = None,
) -> None:
    """Wait for the gate to fall for this reason, and note how long it took and what it said."""
    began = time.monotonic() if began is None else began
    system.until(lambda health: health["mode"] in modes, f"{damage}: a fall", seconds)
    took = time.monotonic() - began
    health = system.health()
    assert health is not None
    told = health["why"]
    assert re.search(says, told), f"{damage}: it says {told!r}, and not {says!r}"
    SEEN.append(Seen(evidence, damage, took, health["mode"], told))


def stays_shut(system: Running) -> None:
    """Mended evidence alone opens nothing."""
    deadline = time.monotonic() + STAYS_SECONDS
    while time.monotonic() < deadline:
        health = system.health()
        assert health is None or health["mode"] != "ACTIVE", "it opened by itself"
        time.sleep(0.2)


def write_table() -> None:
    if os.environ.get("PORTCULLIS_WRITE_DAMAGE") != "1":
        return
    rows = [
        f"| `{s.evidence}` | {s.damage} | {s.seconds:.1f} s | {s.mode} | {_cell(s.says)} |"
        for s in SEEN
    ]
    kept = TABLE.read_text().partition("| evidence |")[0]
    head = "| evidence | what was done | gate shut after | mode | it says |\n" + "|---" * 5 + "|\n"
    TABLE.write_text(kept + head + "\n".join(rows) + "\n")


def _cell(text: str) -> str:
    text = re.sub(r"\(run [0-9a-f-]{36}\)", "(run ...)", text)
    text = re.sub(r"/\S*/(disk/)?home", "~/.portcullis", text)
    shown = text if len(text) <= 230 else text[:227] + "..."
    return shown.replace("|", "\\|").replace("\n", " ")


# --- the ledger's own rows ------------------------------------------------------------------------

EVENT = "SELECT * FROM events WHERE position = ?"
PUT_BACK = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
CUT_OUT = "DELETE FROM events WHERE position = ?"


@contextmanager
def a_row_deleted(system: Running) -> Iterator[None]:
    (row,) = system.ledger((EVENT, (60,)))
    system.ledger((CUT_OUT, (60,)))
    try:
        yield
    finally:
        system.ledger((PUT_BACK, tuple(row)))


@contextmanager
def times_swapped(system: Running) -> Iterator[None]:
    (first,), (second,) = system.ledger((EVENT, (60,))), system.ledger((EVENT, (90,)))
    change = "UPDATE events SET at = ? WHERE position = ?"
    system.ledger((change, (second[3], 60)), (change, (first[3], 90)))
    try:
        yield
    finally:
        system.ledger((change, (first[3], 60)), (change, (second[3], 90)))


@contextmanager
def a_byte_altered(system: Running) -> Iterator[None]:
    (row,) = system.ledger((EVENT, (70,)))
    change = "UPDATE events SET payload = ? WHERE position = 70"
    system.ledger((change, (row[7][:-1] + bytes([row[7][-1] ^ 1]),)))
    try:
        yield
    finally:
        system.ledger((change, (row[7],)))


@contextmanager
def a_number_given_twice(system: Running) -> Iterator[None]:
    (row,) = system.ledger((EVENT, (80,)))
    change = "UPDATE events SET seq = ? WHERE position = 80"
    system.ledger((change, (row[2] - 1,)))
    try:
        yield
    finally:
        system.ledger((change, (row[2],)))


@contextmanager
def a_checkpoint_altered(system: Running) -> Iterator[None]:
    (row,) = system.ledger(("SELECT position, root FROM head", ()))
    note = "portcullis/x\n5\nAAAA\nat 1\n\n\N{EM DASH} x AAAA\n"
    system.ledger(("INSERT INTO checkpoints VALUES (5, ?)", (note,)))
    assert row
    try:
        yield
    finally:
        system.ledger(("DELETE FROM checkpoints WHERE position = 5", ()))


ROWS: list[tuple[str, Callable[[Running], AbstractContextManager[None]], str]] = [
    ("a row of the ledger deleted", a_row_deleted, "event 60 is missing"),
    ("the times of two events swapped", times_swapped, "at position 60"),
    ("one byte of an event altered", a_byte_altered, "at position 70"),
    ("an event given a number twice", a_number_given_twice, "at position 80"),
    ("a checkpoint altered", a_checkpoint_altered, "checkpoint at 5 was altered"),
]


@pytest.mark.parametrize(("damage", "done", "says"), ROWS, ids=[row[0] for row in ROWS])
def test_damaged_rows(system: Running, damage: str, done: Any, says: str):
    began = time.monotonic()
    with done(system):
        assert system.run("integrity", full=True) in ("Fail", "Error")
        fell(system, "event_log", damage, says=says, began=began)
    assert system.run("integrity", full=True) == "Pass"
    stays_shut(system)
    system.release()


# --- market data ----------------------------------------------------------------------------------


def test_a_feed_that_stops(system: Running):
    began = time.monotonic()
    system.venue("rates", event={"drop": 0.0})
    system.venue("fault", where="event", kind="drop", on="quote", count=1_000_000)
    system.venue("fault", where="call", kind="reject", on="quotes", count=1_000_000)
    try:
        fell(
            system, "market_data", "the feed of quotes stopped", says="market_data: failed",
            began=began, seconds=240,
        )  # fmt: skip
    finally:
        system.venue("heal")
    stays_shut(system)
    time.sleep(STAYS_SECONDS)
    system.run("market_data_quality")
    system.release()


def test_quotes_that_stay_crossed(system: Running):
    began = time.monotonic()
    quote = system.venue("status")["quotes"][0]
    for number in range(40):
        crossed = {
            "kind": "quote",
            "instrument": quote["instrument"],
            "bid": 30_000,
            "ask": 29_000,
            "last": 29_500,
            "quoted_at": time.time_ns() // 1000 + number,
        }
        system.venue("quote", **{k: v for k, v in crossed.items() if k != "kind"})
    assert system.run("market_data_quality") == "Fail"
    damage = "an instrument's quotes stayed crossed"
    fell(system, "market_data", damage, says="crossed", began=began)
    stays_shut(system)
    deadline = time.monotonic() + 400  # the window of the suite must move past them
    while system.run("market_data_quality", window_seconds=10) not in ("Pass", "Warn"):
        assert time.monotonic() < deadline
    system.release()


# --- the venue, and processes that hang -----------------------------------------------------------


def test_a_venue_that_hangs(system: Running):
    began = time.monotonic()
    with system.stopped("portcullis", "venue"):
        fell(system, "venue", "the venue hangs", says="venue: expired", began=began)
    stays_shut(system)
    system.release()


def test_accounts_that_cannot_be_compared(system: Running):
    began = time.monotonic()
    system.venue("fault", where="call", kind="reject", on="accounts", count=1_000_000)
    system.venue("fault", where="call", kind="reject", on="positions", count=1_000_000)
    try:
        fell(system, "venue", "the venue refuses every comparison", says="venue: ", began=began)
    finally:
        system.venue("heal")
    stays_shut(system)
    system.release()


def test_a_scheduled_side_that_hangs(system: Running):
    began = time.monotonic()
    with system.stopped("flows"):
        fell(
            system, "operations", "the scheduled side hangs (its verdict lasts 40 s here)",
            says="operations: expired", began=began,
        )  # fmt: skip
    stays_shut(system)
    system.release()


def test_a_worker_that_hangs(system: Running):
    began = time.monotonic()
    with system.stopped("portcullis", "worker"):
        time.sleep(75)
        assert system.run("heartbeat") in ("Fail", "Error")
    says = "operations|venue|clock"
    fell(system, "operations", "the worker hangs for 75 s", says=says, began=began)
    stays_shut(system)
    system.run("heartbeat")
    system.release()


def test_a_shipper_that_hangs(system: Running):
    began = time.monotonic()
    with system.stopped("portcullis", "ship"):
        fell(system, "shipped", "the shipper hangs", says="shipped: expired", began=began)
    stays_shut(system)
    system.release()


# --- backups --------------------------------------------------------------------------------------


@contextmanager
def in_the_way(folder: Path) -> Iterator[None]:
    """A file where a folder should be."""
    aside = folder.with_name(folder.name + "-aside")
    folder.rename(aside)
    folder.write_text("in the way")
    try:
        yield
    finally:
        folder.unlink()
        aside.rename(folder)


def test_a_target_that_is_gone(system: Running):
    began = time.monotonic()
    with in_the_way(system.backups):
        assert system.run("backup") == "Error"
        fell(system, "backup", "the backup target removed", says="backup: failed", began=began)
    assert system.run("backup") == "Pass"
    stays_shut(system)
    system.release()


def test_shipments_that_cannot_be_written(system: Running):
    began = time.monotonic()
    with in_the_way(system.backups / "shipments"):
        fell(
            system, "shipped", "the folder of shipments removed", says="shipped: failed",
            began=began,
        )  # fmt: skip
    stays_shut(system)
    system.release()


def test_a_damaged_newest_backup(system: Running):
    system.run("backup")
    newest = max(system.backups.glob("*.backup"))
    data = newest.read_bytes()
    began = time.monotonic()
    newest.write_bytes(data[:-40] + bytes([data[-40] ^ 1]) + data[-39:])
    try:
        assert system.run("restore_drill") in ("Fail", "Error")
        fell(
            system, "restore", "one bit of the newest backup flipped", says="restore: failed",
            began=began,
        )  # fmt: skip
    finally:
        newest.write_bytes(data)
    assert system.run("restore_drill") in ("Pass", "Warn")
    stays_shut(system)
    system.release()


# --- late -----------------------------------------------------------------------------------------

LATE = ("operations", "event_log", "snapshot", "market_data", "backup", "restore", "shipped")


@pytest.mark.parametrize("evidence", [*LATE, "venue", "clock", "ledger"])
def test_evidence_that_is_late(system: Running, evidence: str):
    began = time.monotonic()
    with system.required(evidence, lasts="1 s"):
        fell(
            system, evidence, "late: nothing new for longer than it lasts (1 s here)",
            says=f"{evidence}: expired", began=began,
        )  # fmt: skip
    stays_shut(system)
    system.release()


# --- the fail-safe --------------------------------------------------------------------------------


def survives_a_restart(system: Running) -> None:
    """SHUTDOWN is where it was after the worker was killed."""
    pid = system.process("portcullis", "worker").pid
    os.kill(pid, signal.SIGKILL)
    system.until(
        lambda health: health["mode"] == "SHUTDOWN" and health["worker"]["pid"] != pid,
        "SHUTDOWN after a restart",
        120,
    )
    assert "refused" in system.say("mode", "observe", "--reason", "x", ok=False)


FAIL_SAFE = ("market_data", "snapshot", "operations")


@pytest.mark.parametrize("evidence", FAIL_SAFE)
def test_the_fail_safe_trips_when_evidence_is_bad_for_too_long(system: Running, evidence: str):
    began = time.monotonic()
    with system.required(evidence, lasts="1 s", shutdown_after="8 s"):
        fell(
            system, evidence, "the fail-safe: not good for 8 s (short here)",
            says=f"the fail-safe: {evidence}: not good", modes=("SHUTDOWN",), began=began,
        )  # fmt: skip
        survives_a_restart(system)
    stays_shut(system)
    system.release()


def fill(ballast: Path) -> None:
    """Write until the disk takes no more."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(2**16))


def test_a_full_disk(system: Running):
    ballast = system.folder / "ballast"
    if shutil.disk_usage(system.folder).total > 2**30:
        pytest.skip("needs root: a small file system of its own is mounted to be filled")
    began = time.monotonic()
    try:
        fill(ballast)
        system.up.wait_for("worker     | ended", 120)
    finally:
        ballast.unlink()
    fell(
        system, "ledger", "the disk filled, and freed when the worker had ended",
        says="the fail-safe: the worker ended by: StoreError.*full", modes=("SHUTDOWN",),
        began=began, seconds=240,
    )  # fmt: skip
    survives_a_restart(system)
    system.release()


def test_an_error_nobody_foresaw(system: Running):
    inbox = system.home / "inbox.db"
    began = time.monotonic()
    kept = {path: path.read_bytes() for path in system.home.glob("inbox.db*")}
    pid = system.process("portcullis", "worker").pid
    inbox.write_bytes(b"x" * len(kept[inbox]))
    try:
        system.up.wait_for("worker     | ended", 120, times=2)
    finally:
        for path in system.home.glob("inbox.db*"):
            path.unlink()
    system.until(lambda health: health["worker"]["pid"] != pid, "another worker", 120)
    fell(
        system, "ledger", "the inbox overwritten with rubbish, and removed once the worker ended",
        says="the fail-safe: the worker ended by", modes=("SHUTDOWN",), began=began, seconds=240,
    )  # fmt: skip
    survives_a_restart(system)
    system.release()
