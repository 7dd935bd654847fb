"""Backups of a PostgreSQL server on the command line; its code is loaded only where it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from portcullis.backup.make import Source
from portcullis.backup.manifest import Manifest
from portcullis.backup.restore import Drilled, Restored, Wanted
from portcullis.backup.target import Target
from portcullis.cli.output import console
from portcullis.config.settings import Settings
from portcullis.errors import UsageError
from portcullis.store.opening import place_of


def source(settings: Settings) -> Source | None:
    """Where the ledger is copied from; None for the home's file."""
    if not settings.store_url:
        return None
    place_of(settings)  # says what to do where the driver is missing
    from portcullis.backup.server_backup import ServerSource

    return ServerSource(settings)


def drilled_server(
    settings: Settings, where: Target, manifest: Manifest, keys: list[Any], now: int
) -> Drilled:
    """Drill a server's backup, with what was shipped of its log."""
    from portcullis.backup.server_backup import drill_server
    from portcullis.backup.wal import shipped_to

    return drill_server(settings, where, manifest, keys, now, shipped_to(where))


def restored_server(
    where: Target,
    name: str | None,
    wanted: Wanted,
    to: Path | None,
    keys: list[Any],
    *,
    shipped: bool,
) -> Restored:
    """Restore a server into a folder. Raises UsageError for what it cannot be restored to."""
    if to is None or wanted.event is not None:
        raise UsageError(
            "a server is restored into a folder, as a whole or to a moment",
            remedy="give --to FOLDER, and --at TIME instead of --event; see docs/postgres.md",
        )
    from portcullis.backup.server_backup import choose_server, restore_server
    from portcullis.backup.wal import shipped_to

    manifest = choose_server(where, name, wanted.moment)
    log = shipped_to(where) if shipped else None
    folder = to.expanduser().resolve()
    return restore_server(where, manifest, folder, keys, moment=wanted.moment, wal=log)


def tell_of_server(body: dict[str, Any]) -> None:
    """What was restored, and where it is said how to go on."""
    console.print(
        f"{body['folder']}: the server of {body['name']}, every file checked, in "
        f"{body['took_s']:.2f} s; it holds event {body['event']} and what the shipped log adds. "
        "docs/postgres.md says how to start it",
        markup=False,
    )
