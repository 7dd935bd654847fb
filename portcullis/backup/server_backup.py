"""Backups and drills of a ledger on a server."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from portcullis.backup.make import CLUSTER_FILE, LOCK_FILE, Facts, facts_of, prove, swept, verified
from portcullis.backup.manifest import Manifest, Proof
from portcullis.backup.replaced import folded_to
from portcullis.backup.restore import (
    Drilled,
    Restored,
    fetch,
    of_this_past,
    refuse_used,
)
from portcullis.backup.server_copy import configure, copy_server, lay_out, running, take_log
from portcullis.backup.target import Target
from portcullis.config.settings import Settings
from portcullis.domain.state import freeze
from portcullis.errors import NotFound, StoreError, UsageError
from portcullis.store.export import EPOCH
from portcullis.store.keys import PUBLIC_FILE, load_verifier
from portcullis.store.lock import WriterLock
from portcullis.store.opening import open_reader, place_of
from portcullis.store.verify import verify_place
from portcullis.worker.recovery import recover


class ServerSource:
    """`make.Source`: a whole server, by its own programs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def copy(self, scratch: Path, folder: Path, *, whole: bool) -> Facts:
        """The ledger is verified where it is; the copy, which holds at least that, byte by byte."""
        place = place_of(self._settings)
        verified(place, f"the ledger of {place}", self._settings.home_path, whole)
        facts = facts_of(place)
        copied = copy_server(self._settings, scratch, folder)
        return facts._replace(server=copied.version, wal=copied.wal)


def drill_server(
    settings: Settings,
    target: Target,
    manifest: Manifest,
    identities: Sequence[Any],
    now: int,
    wal: Path | None = None,
) -> Drilled:
    """As `restore.drill`: the server in the backup runs for a while on a socket of its own, with
    the log that was shipped to `wal`; its ledger is verified, folded and compared.
    """
    home = settings.home_path
    with (
        WriterLock(home / LOCK_FILE),
        swept(home),
        tempfile.TemporaryDirectory(dir=home, prefix=".drill-") as scratch,
    ):
        if not of_this_past(home, [manifest], place_of(settings)):
            raise StoreError(
                f"backup {manifest.name} is of a past that this ledger no longer has",
                remedy="make a new one: `portcullis backup create`",
            )
        began, folder = time.monotonic_ns(), Path(scratch) / "home"
        folder.mkdir(mode=0o700)
        fetch(target, manifest, folder, identities)
        with running(folder, settings, major_of(manifest), wal) as restored:
            found = _verified(restored, manifest, folder, began)
            with open_reader(restored) as reader:
                state = freeze(recover(reader).engine.state)
            rto = (time.monotonic_ns() - began) // 1000
        events, live = folded_to(place_of(settings), found.position)
    if state == live:
        prove(target, manifest.name, Proof(now, restored=True, took=rto))
    with open_reader(settings) as reader:
        behind = reader.last_at() - found.at
    return Drilled(found, events, state == live, rto, max(0, behind))


def choose_server(target: Target, name: str | None, moment: int | None) -> Manifest:
    """The backup named, or the newest one of a server that was made before a moment. Raises
    NotFound.
    """
    if name is not None:
        return target.manifest(name)
    found = [each for each in target.manifests() if each.server]
    early = [each for each in found if moment is None or each.made_at <= moment]
    if not early:
        raise NotFound(
            f"there is no backup of a server at {target.address} from before that",
            remedy="see `portcullis backup list`; the log leads on from a backup, never back",
        )
    return early[-1]


def restore_server(
    target: Target,
    manifest: Manifest,
    folder: Path,
    identities: Sequence[Any],
    *,
    moment: int | None = None,
    wal: Path | None = None,
) -> Restored:
    """Lay a backup out in a folder that is not there yet, ready to be started: `cluster`, the log
    `wal` that it goes on with, and what else was in the backup. Raises StoreError, UsageError.
    """
    began = time.monotonic_ns()
    refuse_used(folder)
    if moment is not None and wal is None:
        raise UsageError(
            f"no log was shipped to {target.address}, so that a moment cannot be reached",
            remedy="leave --at out: the server as it was backed up is restored then",
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".restore-") as scratch:
        fresh = Path(scratch) / "home"
        fresh.mkdir(mode=0o700)
        fetch(target, manifest, fresh, identities)
        data = fresh / "cluster"
        lay_out(fresh / CLUSTER_FILE, data, major_of(manifest))
        (fresh / CLUSTER_FILE).unlink()
        if wal is not None:
            take_log(wal, data, fresh / "wal")
        if folder.exists():
            folder.rmdir()
        fresh.rename(folder)
    until = EPOCH + timedelta(microseconds=moment) if moment is not None else ""
    shipped = folder / "wal" if wal is not None else None
    data = folder / "cluster"
    configure(data, folder, shipped, str(until))
    took = (time.monotonic_ns() - began) // 1000
    return Restored(manifest.name, manifest.position, manifest.at, took)


def major_of(manifest: Manifest) -> int:
    """15 of `PostgreSQL 15.18`. Raises UsageError for a backup of files."""
    if not manifest.server:
        raise UsageError(
            f"backup {manifest.name} is not of a server",
            remedy="leave PORTCULLIS_STORE_URL out to use it, or choose another: `backup list`",
        )
    return int(manifest.server.split()[1].partition(".")[0])


def _verified(restored: Settings, manifest: Manifest, folder: Path, began: int) -> Restored:
    public = load_verifier(folder / PUBLIC_FILE)
    found = verify_place(place_of(restored), public, anchors=(manifest.checkpoint,))
    if not found.ok:
        raise StoreError(
            f"backup {manifest.name} {found}",
            remedy="choose another backup: `portcullis backup list`",
        )
    with open_reader(restored) as reader:
        position, at = reader.head().position, reader.last_at()
    return Restored(manifest.name, position, at, (time.monotonic_ns() - began) // 1000)
