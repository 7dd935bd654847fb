"""A ledger that was replaced and is not proven yet: the note of it, the proof, and the way back.

The note lies in the home from before the replacement until it is settled. Whoever finds one later
(a hook, the next start of the operations side, the next restore) puts back what was set aside.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from portcullis.backup.make import LOCK_FILE
from portcullis.backup.make import MARK_FILE as BACKUP_MARK
from portcullis.domain.events import FACT_KINDS
from portcullis.domain.state import freeze
from portcullis.errors import StoreError
from portcullis.store.anchors import ANCHORS_FILE
from portcullis.store.database import INBOX_FILE, LEDGER_FILE
from portcullis.store.keys import PUBLIC_FILE, load_verifier
from portcullis.store.lock import WriterLock
from portcullis.store.place import Place
from portcullis.store.reading import LedgerReader
from portcullis.store.verify import verify
from portcullis.worker.recovery import begin, fact_of, recover

NOTE_FILE = "restore.note"
MARK_FILES = ("operations/integrity.mark", "operations/ledger_rows.mark")
LOGS = (f"{LEDGER_FILE}-wal", f"{LEDGER_FILE}-shm")
INBOX = (INBOX_FILE, f"{INBOX_FILE}-wal", f"{INBOX_FILE}-shm")
"""Requests that were asked of the ledger before: answered there, or to be asked again."""

RECORDS = tuple(f"operations/records.db{end}" for end in ("", "-wal", "-shm"))
"""The daily records of accounts, by positions of the ledger that was there."""

KEPT = (*LOGS, *INBOX, *RECORDS, ANCHORS_FILE)
"""What is set aside with the ledger, and comes back with it."""

BACK = (*INBOX, *RECORDS, ANCHORS_FILE)
"""Of these, what comes back alone where the ledger itself was not replaced yet."""

BESIDE = (ANCHORS_FILE, *INBOX, *RECORDS, *MARK_FILES, BACKUP_MARK)
"""What speaks of the ledger that was there."""


class Note(msgspec.Struct, frozen=True):
    """What is put where the ledger was: its last event, by number and hash, and the folder of what
    was set aside.
    """

    position: int
    hash: bytes
    kept: str


class Proven(NamedTuple):
    """The ledger in place: its events, and whether it folds to what the old one did at that event.

    `same` is None where the old one cannot be read, or ends before.
    """

    events: int
    same: bool | None


def note(home: Path, fresh: Path, kept: Path) -> None:
    """Write down, durably, that the ledger in `fresh` takes the place of the kept one."""
    draft = home / f"{NOTE_FILE}.new"
    with LedgerReader(fresh) as reader:
        position = reader.head().position
        found = Note(position, _hash(reader, position), kept.name)
    draft.write_bytes(msgspec.json.encode(found))
    flush(draft)
    draft.replace(home / NOTE_FILE)
    flush(home)


def unsettled(home: Path) -> Note | None:
    """The note of a replacement that nobody settled. Raises StoreError where it is damaged."""
    path = home / NOTE_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Note)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise StoreError(
            f"{path}: {error}", remedy="compare the ledger with the `replaced-` folders yourself"
        ) from error


def settle(home: Path) -> None:
    """The new ledger stays. Safe to call twice."""
    (home / NOTE_FILE).unlink(missing_ok=True)
    flush(home)


def prove(home: Path, restored: int, kept: Path | None) -> Proven:
    """Verify the ledger that is in place now, and fold it as a worker will at its start.

    `restored` is the last event that came from the backup. Raises StoreError where it does not
    hold.
    """
    verified = verify(home / LEDGER_FILE, load_verifier(home / PUBLIC_FILE))
    if not verified.ok:
        raise StoreError(
            f"the restored ledger does not hold: {verified}",
            remedy="choose another backup: `portcullis backup list`",
        )
    with LedgerReader(home) as reader:
        recover(reader)
        events = reader.head().position
    return Proven(events, _same(home, kept, restored))


def put_back(home: Path) -> Path | None:
    """Put back what was set aside; the answer is where it still lies, None without a note.

    Raises StoreLocked while a worker has the ledger, and StoreError when one has written to it
    since: the new one stays then. Whenever this is cut short it can be done again.
    """
    if unsettled(home) is None:
        return None
    with WriterLock(home / "ledger.lock"), WriterLock(home / LOCK_FILE):
        found = unsettled(home)  # whoever had the locks may have settled it
        if found is None:
            return None
        kept = home / found.kept
        if kept.parent != home or not kept.is_dir():
            raise StoreError(
                f"{kept}: what was set aside by a restore is not there any more",
                remedy=f"the ledger in place stays; verify it, then remove {home / NOTE_FILE}",
            )
        if _is_there(home, found):
            _put_back(home, kept)
        else:  # cut short before the old one was replaced; perhaps it went on since
            for name in (name for name in BACK if not (home / name).exists()):
                _copy(kept / name, home / name)
        flush(home)
        settle(home)
    return kept


def flush(path: Path) -> None:
    """Make a file or a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(source: Path, to: Path) -> None:
    """In one step for whoever looks; what was not there is not missed."""
    if not source.exists():
        return
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = to.with_name(f".{to.name}.back")
    shutil.copyfile(source, draft)
    draft.chmod(0o600)
    flush(draft)
    draft.replace(to)


def _is_there(home: Path, found: Note) -> bool:
    """Whether the new ledger is in its place; what cannot be read is no ledger to keep.

    Raises StoreError where it went on.
    """
    try:
        with LedgerReader(home) as reader:
            position = reader.head().position
            is_new = _hash(reader, found.position) == found.hash
    except StoreError:
        return True
    if is_new and position > found.position:
        settle(home)
        raise StoreError(
            f"the ledger went on from event {found.position} to {position} since it was restored",
            remedy=f"it stays; what was there before is in {home / found.kept}",
        )
    return is_new


def _hash(reader: LedgerReader, position: int) -> bytes:
    """The hash of an event; nothing where there is none."""
    return b"".join(row.hash for row in reader.read(after=position - 1, through=position))


def _put_back(home: Path, kept: Path) -> None:
    for name in (*BESIDE, *LOGS):  # of the new ledger
        with suppress(FileNotFoundError):
            (home / name).unlink()
    if not (kept / LEDGER_FILE).exists():  # there was none
        (home / LEDGER_FILE).unlink(missing_ok=True)
        return
    for name in (*KEPT, LEDGER_FILE):  # the ledger last
        _copy(kept / name, home / name)


def _same(home: Path, kept: Path | None, position: int) -> bool | None:
    if kept is None:
        return None
    try:
        with LedgerReader(kept) as reader:
            if reader.head().position < position:
                return None
        return folded_to(kept, position)[1] == folded_to(home, position)[1]
    except StoreError:
        return None


def folded_to(home: Path | Place, position: int) -> tuple[int, bytes]:
    """A ledger folded from where it begins up to an event: how many there are, and the state."""
    with LedgerReader(home) as reader:
        engine, begins = begin(reader)
        count = begins
        for stored in reader.read(after=begins, through=position):
            count += 1
            if stored.kind in FACT_KINDS:
                engine.apply(stored.position, stored.at, fact_of(stored))
    return count, freeze(engine.state)
