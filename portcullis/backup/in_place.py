"""Putting a restored ledger where the live one is: one step, with what was there kept."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from portcullis.backup.make import LOCK_FILE, swept
from portcullis.backup.manifest import Manifest, stamp
from portcullis.backup.replaced import BESIDE, KEPT, LOGS, flush, note, put_back
from portcullis.backup.restore import Record, Restored, Wanted, restore
from portcullis.backup.target import Target
from portcullis.errors import StoreError, UsageError
from portcullis.store.anchors import ANCHORS_FILE
from portcullis.store.database import (
    INBOX_FILE,
    LEDGER_FILE,
    explained,
    open_writer,
    truncate_wal,
)
from portcullis.store.keys import PRIVATE_FILE, PUBLIC_FILE, load_verifier
from portcullis.store.lock import WriterLock

REPLACED = "replaced-"


def restore_in_place(
    home: Path,
    target: Target,
    manifest: Manifest,
    wanted: Wanted,
    identities: Sequence[Any],
    *,
    by: str,
    reason: str,
    now: int,
    shipped: bool = True,
) -> Restored:
    """Put a restored ledger where the live one is, and keep that one aside.

    The worker must be stopped: StoreLocked says when it is not. Whenever this is cut short, either
    the old ledger or the new one is there whole. The gate stays shut until a person opens it.

    The new one counts once it is proven in its place and settled; until then it can be put back,
    and one that an earlier restore left unsettled is put back first.
    """
    put_back(home)
    with (
        WriterLock(home / "ledger.lock"),
        WriterLock(home / LOCK_FILE),
        swept(home),
        tempfile.TemporaryDirectory(dir=home, prefix=".restore-") as scratch,
    ):
        _same_ledger(home, manifest)
        fresh, key = Path(scratch) / "home", home / PRIVATE_FILE
        record = Record(by, reason, now)
        restored = restore(
            target, manifest, wanted, fresh, identities, key=key, record=record, shipped=shipped
        )
        if not (fresh / PRIVATE_FILE).exists():
            raise UsageError(
                f"the ledger's key is neither in backup {manifest.name} nor in {home}",
                remedy=f"put {PRIVATE_FILE} into the home first",
            )
        kept = _set_aside(home, now)
        _flush(fresh)
        note(home, fresh, kept)
        for name in BESIDE:  # of the old ledger; they are in what is kept
            with suppress(FileNotFoundError):
                (home / name).unlink()
        _bring_back(fresh, home)
        (fresh / LEDGER_FILE).replace(home / LEDGER_FILE)
        _flush(home)
        shutil.copyfile(fresh / ANCHORS_FILE, home / ANCHORS_FILE)
    return restored._replace(kept=kept)


def _bring_back(fresh: Path, home: Path) -> None:
    """What the backup holds beside the ledger, where the home has none: after the loss of a disk
    that is everything.
    """
    for path in sorted(each for each in fresh.rglob("*") if each.is_file()):
        name = path.relative_to(fresh)
        if name.name.startswith((LEDGER_FILE, INBOX_FILE, ANCHORS_FILE, "ledger.lock")):
            continue
        if not (home / name).exists():
            (home / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(path, home / name)
            (home / name).chmod(0o600)


def _same_ledger(home: Path, manifest: Manifest) -> None:
    mine = home / PUBLIC_FILE
    if mine.exists() and load_verifier(mine).name != f"portcullis/{manifest.ledger}":
        raise UsageError(
            "the backup is of another ledger",
            remedy="restore it into a folder of its own with --to",
        )


def _set_aside(home: Path, now: int) -> Path:
    """Keep what is there; the old ledger stays usable until the new one takes its place."""
    number = 0
    while (kept := home / f"{REPLACED}{stamp(now)}-{number}").exists():
        number += 1
    kept.mkdir(mode=0o700)
    is_damaged = not _fold_wal(home)
    for name in (LEDGER_FILE, PUBLIC_FILE, *KEPT):
        if (home / name).exists():
            (kept / name).parent.mkdir(mode=0o700, exist_ok=True)
            shutil.copyfile(home / name, kept / name)
    _flush(kept)
    for name in LOGS if is_damaged else ():
        with suppress(FileNotFoundError):
            (home / name).unlink()
    return kept


def _fold_wal(home: Path) -> bool:
    """Move the write-ahead log into the file: left beside another ledger it would damage that.

    False where the old ledger cannot be read at all. Raises StoreError while something reads it.
    """
    path = home / LEDGER_FILE
    if not path.exists():
        return True
    try:
        with explained(path), open_writer(path).connect() as connection:
            is_whole = truncate_wal(connection)
    except StoreError:
        return False
    if not is_whole:
        raise StoreError(
            f"{path}: another program is reading it",
            remedy="stop what reads the ledger (`status -w`, an export, a check), then again",
        )
    return True


def _flush(folder: Path) -> None:
    for path in (*(each for each in folder.iterdir() if each.is_file()), folder):
        flush(path)
