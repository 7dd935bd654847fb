"""Shipping a server's log: `pg_receivewal` runs as a child, and what it has written is vouched for.

It writes every commit to the target's folder as the server does, and says how far that is flushed.
A replication slot makes the server keep what was not received yet.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from portcullis.backup.server_backup import major_of
from portcullis.backup.server_programs import call, connecting, program
from portcullis.backup.shipper import LATE, LOCK_FILE, VOUCH_EVERY, VOUCH_LASTS
from portcullis.backup.target import Target
from portcullis.config.settings import Settings
from portcullis.domain.model import SECOND, Verdict
from portcullis.domain.money import duration
from portcullis.errors import PortcullisError, StoreError, UsageError
from portcullis.store.lock import WriterLock
from portcullis.store.opening import place_of
from portcullis.store.postgres.address import Address
from portcullis.store.postgres.driver import connect

FOLDER = "wal"
SLOT = "portcullis"
NAME = "portcullis shipper"
STOP_SECONDS = 5.0

# What the slot need not keep any more is what was flushed; every role may see that.
_RECEIVED = (
    "SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::int8, "
    "(SELECT (restart_lsn - '0/0'::pg_lsn)::int8 FROM pg_replication_slots "
    "WHERE slot_name = ? AND active)"
)


def shipped_to(target: Target) -> Path | None:
    """The folder of a target that a log was shipped to; None where there is none."""
    folder = target.local_folder
    return folder / FOLDER if folder is not None and (folder / FOLDER).is_dir() else None


def forget_before_oldest(target: Target) -> None:
    """Delete the log that no backup at the target goes on with. Raises StoreError."""
    folder = shipped_to(target)
    found = [each for each in target.manifests() if each.wal]
    if folder is not None and found:
        oldest = min(found, key=lambda each: each.wal[8:])  # behind the timeline's number
        call((program("pg_archivecleanup", major_of(oldest)), folder, oldest.wal))


class Receiver:
    """The child, and how far it is. Times come from `now`, in microseconds."""

    def __init__(self, settings: Settings, target: Target, now: Callable[[], int]) -> None:
        """Raises UsageError where the target is no folder of this machine."""
        folder = target.local_folder
        if folder is None:
            raise UsageError(
                f"{target.address}: a server's log can be shipped to a folder only",
                remedy="mount the target, and name the folder in PORTCULLIS_BACKUP_TARGET",
            )
        self._folder, self._settings, self._now = folder / FOLDER, settings, now
        self._address = Address(settings.store_url)
        self._child: subprocess.Popen[bytes] | None = None
        self._goal = (0, now())
        self._caught_up_at = now()
        self.received = 0
        """Up to where the server's log is at the target, in bytes since its beginning."""

    def turn(self) -> None:
        """Start the child where it does not run, and look how far it is. Raises StoreError."""
        if self._child is None or self._child.poll() is not None:
            self._start()
        place = place_of(self._settings)
        with place.explained(), connect(self._address, "ledger", writes=False) as connection:
            row = connection.execute(_RECEIVED, (SLOT,)).fetchone()
        assert row is not None
        written, received = row
        if received is None:
            raise StoreError(
                f"pg_receivewal is not connected: {self._said()}",
                remedy="let the role replicate; see docs/postgres.md",
            )
        goal, asked_at = self._goal
        self.received = received
        if received >= goal:  # everything that was there at the last look
            self._caught_up_at = asked_at
            self._goal = (written, self._now())

    def stop(self) -> None:
        """TERM, which it ends by in order; a child of a shell in the background ignores INT."""
        if self._child is None:
            return
        self._child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(STOP_SECONDS)
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait(STOP_SECONDS)

    def verdict(self, problem: str = "") -> Verdict:
        """What this process vouches for now."""
        now = self._now()
        behind = now - self._caught_up_at
        if problem or behind > LATE:
            why = problem or "the target is too slow"
            summary, passed = f"nothing received for {duration(behind)}: {why}", behind <= LATE
        else:
            place = f"{self.received >> 32:X}/{self.received & 0xFFFFFFFF:X}"
            summary, passed = f"the server's log up to {place} is at the target", True
        return Verdict("shipped", passed, now, now + VOUCH_LASTS, summary, "shipper")

    def _start(self) -> None:
        place = place_of(self._settings)
        with place.explained(), connect(self._address, "ledger", writes=False) as connection:
            major = connection.info.server_version // 10_000
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"{self._folder}: {error.strerror}", remedy="let this user write the target"
            ) from error
        receive = program("pg_receivewal", major)
        told, environment = connecting(self._address)
        told = f"{told} application_name='{NAME}'"
        call(
            (receive, "-d", told, "--no-password", "-S", SLOT, "--create-slot", "--if-not-exists"),
            environment,
        )
        with self._log.open("wb") as log:
            self._child = subprocess.Popen(  # noqa: S603 - a program of the server's own
                (receive, "-d", told, "--no-password", "-S", SLOT, "-D", str(self._folder),
                 "--synchronous", "--no-loop"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )  # fmt: skip

    @property
    def _log(self) -> Path:
        return self._settings.home_path / "pg_receivewal.log"

    def _said(self) -> str:
        with contextlib.suppress(OSError):
            return self._log.read_text(errors="replace").strip()[-300:] or "it has just started"
        return "nothing"


def run(
    receiver: Receiver,
    home: Path,
    leave: Callable[[Verdict], object],
    is_stopping: Callable[[float], bool],
    say: Callable[[str], None],
    every: int = SECOND,
) -> None:
    """Ship until told to stop: `is_stopping(seconds)` waits so long and says whether.

    Raises StoreLocked where another shipper is at it.
    """
    with WriterLock(home / LOCK_FILE):
        told, vouched = "", 0.0
        try:
            while not is_stopping(every / SECOND):
                problem = _tried(receiver.turn)
                if problem != told:
                    say(problem or "receiving again")
                    told = problem
                if time.monotonic() - vouched >= VOUCH_EVERY / SECOND:
                    verdict = receiver.verdict(problem)
                    refused = _tried(lambda: leave(verdict))  # noqa: B023 - called at once
                    vouched = time.monotonic() if not refused else vouched
        finally:
            receiver.stop()


def _tried(work: Callable[[], object]) -> str:
    """Why it failed, empty when it did not."""
    try:
        work()
    except PortcullisError as error:
        return str(error)
    return ""
