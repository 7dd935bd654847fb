"""Evidence that is late, and the fail-safe: each trigger for real, each surviving a restart."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.damage.conftest import fell, stays_shut
from tests.damage.running import Running

pytestmark = pytest.mark.damage

# --- late -----------------------------------------------------------------------------------------

LATE = (
    "operations",
    "event_log",
    "ledger_rows",
    "snapshot",
    "capital",
    "strategies",
    "market_data",
    "backup",
    "restore",
    "shipped",
)


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


FLOWS = {
    "market_data": "market_data_quality",
    "snapshot": "snapshot",
    "operations": "heartbeat",
}
DEATHS_FORGOTTEN = 125.0
"""Seconds after which `up` no longer counts a death towards giving the worker up."""


@pytest.mark.parametrize("evidence", FLOWS)
def test_the_fail_safe_trips_when_evidence_is_bad_for_too_long(system: Running, evidence: str):
    system.run(FLOWS[evidence])  # found good since the worker's last start
    began = time.monotonic()
    with system.required(evidence, lasts="1 s", shutdown_after="8 s"):
        fell(
            system, evidence, "the fail-safe: not good for 8 s (short here)",
            says=f"the fail-safe: {evidence}: not good", modes=("SHUTDOWN",), began=began,
        )  # fmt: skip
    survives_a_restart(system)  # with all evidence good, and again as long as it usually holds
    stays_shut(system)
    system.release()


def fill(ballast: Path) -> None:
    """Write until the disk takes no more."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(2**16))


def test_a_full_disk(system: Running):
    ballast = system.folder / "ballast"
    ended = system.up.text().count("worker     | ended")
    if shutil.disk_usage(system.folder).total > 2**30:
        pytest.skip("needs root: a small file system of its own is mounted to be filled")
    began = time.monotonic()
    try:
        fill(ballast)
        system.up.wait_for("worker     | ended", 120, times=ended + 1)
    finally:
        ballast.unlink()
    fell(
        system, "ledger", "the disk filled, and freed when the worker had ended",
        says="the fail-safe: the worker ended by: StoreError.*full", modes=("SHUTDOWN",),
        began=began, seconds=240,
    )  # fmt: skip
    time.sleep(DEATHS_FORGOTTEN)
    survives_a_restart(system)
    system.release()


def test_another_program_that_holds_the_ledger(system: Running):
    """Events cannot be stored: the writer waits five seconds, and ends."""
    began = time.monotonic()
    ended = system.up.text().count("worker     | ended")
    with system.ledger_held():
        system.up.wait_for("worker     | ended", 60, times=ended + 1)
    fell(
        system, "ledger", "another program held the ledger's file locked",
        says="the fail-safe: the worker ended by: StoreError.*locked", modes=("SHUTDOWN",),
        began=began, seconds=120,
    )  # fmt: skip
    time.sleep(DEATHS_FORGOTTEN)
    survives_a_restart(system)
    system.release()


def test_an_error_nobody_foresaw(system: Running):
    began = time.monotonic()
    kept = {path: path.read_bytes() for path in system.home.glob("inbox.db*")}
    pid = system.process("portcullis", "worker").pid
    ended = system.up.text().count("worker     | ended")
    for path, data in kept.items():  # the file and its log: what is cached is not asked again
        path.write_bytes(b"x" * len(data))
    try:
        system.up.wait_for("worker     | ended", 120, times=ended + 1)
    finally:
        for path in system.home.glob("inbox.db*"):
            path.unlink()
    system.until(lambda health: health["worker"]["pid"] != pid, "another worker", 120)
    fell(
        system, "ledger", "the inbox overwritten with rubbish, and removed once the worker ended",
        says="the fail-safe: the worker ended by", modes=("SHUTDOWN",), began=began, seconds=240,
    )  # fmt: skip
    time.sleep(DEATHS_FORGOTTEN)
    survives_a_restart(system)
    system.release()
