"""Restoring: beside the live store to look at, or in its place with what was there kept."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from portcullis.backup.make import CLUSTER_FILE, LOCK_FILE, prove, swept
from portcullis.backup.manifest import PACKED, Manifest, Proof
from portcullis.backup.packing import digest, unpack
from portcullis.backup.replaced import folded_to
from portcullis.backup.shipped import Continued, go_on
from portcullis.backup.target import Target
from portcullis.domain.events import FACT_KINDS, LedgerRestored, stream_of
from portcullis.domain.state import freeze
from portcullis.errors import NotFound, StoreError, UsageError
from portcullis.ports import Entry
from portcullis.store.anchors import ANCHORS_FILE
from portcullis.store.base import Base
from portcullis.store.cut import cut
from portcullis.store.database import LEDGER_FILE, explained
from portcullis.store.keys import PRIVATE_FILE, PUBLIC_FILE, load_verifier
from portcullis.store.ledger import SqliteLedger
from portcullis.store.lock import WriterLock
from portcullis.store.merkle import Tree
from portcullis.store.note import Checkpoint, Verifier
from portcullis.store.place import Place
from portcullis.store.reading import LedgerReader
from portcullis.store.verify import verify
from portcullis.worker.recovery import recover

PROBLEMS_SHOWN = 3


class Wanted(NamedTuple):
    """How far a ledger is restored: all that the backup holds, to an event, or to a moment."""

    event: int | None = None
    moment: int | None = None


class Record(NamedTuple):
    """Who restores, why, and when (microseconds)."""

    by: str
    reason: str
    at: int


class Restored(NamedTuple):
    """What was restored: where it ends, and how long it took to be usable (microseconds).

    `shipments` of those made since the backup were used; `problems` are what was wrong with others.
    """

    name: str
    position: int
    at: int
    took: int
    kept: Path | None = None
    shipments: int = 0
    problems: tuple[str, ...] = ()


def choose(
    target: Target,
    name: str | None,
    wanted: Wanted,
    home: Path | None = None,
    place: Place | None = None,
) -> Manifest:
    """The backup to restore: the one named, or the oldest that reaches what is wanted, or the
    newest, which shipments may lead on from; of the ledger in `home` (or `place`) and of its own
    past, where there is one. Raises NotFound.
    """
    if name is not None:
        return target.manifest(name)
    found = everything = target.manifests()
    if home is not None and (home / PUBLIC_FILE).exists():
        ledger = load_verifier(home / PUBLIC_FILE).name.rpartition("/")[2]
        found = [each for each in found if each.ledger == ledger]
        with suppress(StoreError):  # a ledger that cannot be read is what is restored most
            found = of_this_past(home, found, place)
    enough = [
        each
        for each in found
        if each.position >= (wanted.event or 0)
        and max(each.at, each.made_at) >= (wanted.moment or 0)
    ]
    is_narrowed = wanted.event is not None or wanted.moment is not None
    if found:
        return enough[0] if enough and is_narrowed else found[-1]
    others = (
        f" of this ledger's own past ({len(everything)} others are there)" if everything else ""
    )
    raise NotFound(
        f"there is no backup{others} at {target.address}",
        remedy="make one: `portcullis backup create`; or name one of `portcullis backup list`",
    )


def of_this_past(
    home: Path, found: Sequence[Manifest], place: Place | None = None
) -> list[Manifest]:
    """The backups whose events the ledger in `home` begins with, and those that reach further.
    Those that end before its base are not told from others. Raises StoreError where the ledger
    cannot be read: nothing may be deleted for a backup then.

    After a restore in place it goes on otherwise, and older backups are of another past.
    """
    with LedgerReader(place or home) as reader:
        end, base = reader.head().position, reader.base()
        begins = base.position if base else 0
        told = {m.position for m in found if begins <= m.position <= end}
        roots = _roots(reader, base, sorted(told))
    public = load_verifier(home / PUBLIC_FILE)
    return [m for m in found if m.position > end or _root(m, public) == roots.get(m.position, b"")]


def _roots(reader: LedgerReader, base: Base | None, positions: Sequence[int]) -> dict[int, bytes]:
    """The roots over the events up to each position, which ascend, in one pass."""
    tree, roots = base.tree() if base else Tree(), dict[int, bytes]()
    for position in positions:
        rows = reader.read(after=tree.size, through=position)
        tree.extend([stored.hash for stored in rows])
        roots[position] = tree.root()
    return roots


def _root(manifest: Manifest, public: Verifier) -> bytes | None:
    """The root that a backup's checkpoint states; None where this ledger did not sign it."""
    try:
        return Checkpoint.parse(public.open(manifest.checkpoint)).root
    except ValueError:
        return None


def fetch(target: Target, manifest: Manifest, folder: Path, identities: Sequence[Any]) -> None:
    """Fetch a backup, check it whole, unpack it into an empty folder, and check every file."""
    if manifest.recipients and not identities:
        raise UsageError(
            f"backup {manifest.name} is encrypted",
            remedy="give the file with the private key: --identity, or PORTCULLIS_BACKUP_IDENTITY",
        )
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetch-") as scratch:
        packed = Path(scratch) / "packed"
        target.get(manifest.name + PACKED, packed)
        check_whole(packed, manifest)
        unpack(packed, folder, identities if manifest.recipients else (), manifest.files)
    if not {LEDGER_FILE, CLUSTER_FILE} & manifest.files.keys() or PUBLIC_FILE not in manifest.files:
        raise StoreError(
            f"backup {manifest.name}: its manifest names no ledger",
            remedy="choose another backup: `portcullis backup list`",
        )
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file() or digest(path) != expected:
            raise StoreError(
                f"backup {manifest.name}: {name} is not what was backed up",
                remedy="choose another backup: `portcullis backup list`",
            )


def check_whole(packed: Path, manifest: Manifest) -> None:
    """Raises StoreError where a byte of the packed file is another."""
    if digest(packed) != manifest.sha256:
        raise StoreError(
            f"backup {manifest.name} is damaged: its bytes are not those that were stored",
            remedy="choose another backup: `portcullis backup list`; look at the target's disk",
        )


def restore(
    target: Target,
    manifest: Manifest,
    wanted: Wanted,
    folder: Path,
    identities: Sequence[Any],
    *,
    key: Path | None = None,
    record: Record | None = None,
    shipped: bool = True,
) -> Restored:
    """Restore into a folder that is not there yet or empty; it appears whole, verified.

    `shipped`: go on from the backup with what was shipped since.

    `key` is the ledger's signing key where the backup has none: a ledger that ends earlier than the
    backup is signed anew. With `record` it is entered in it who restored it and why, and its gate
    is shut. Raises StoreError, NotFound, UsageError.
    """
    if manifest.server:
        raise UsageError(
            f"backup {manifest.name} is of a server, {manifest.server}",
            remedy="restore it with --to FOLDER, without --event; see docs/postgres.md",
        )
    began = time.monotonic_ns()
    refuse_used(folder)
    _refuse_unwritable(folder)
    with (
        explained(folder.parent),
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=".restore-") as scratch,
    ):
        fresh = Path(scratch) / "home"
        fresh.mkdir(mode=0o700)
        fetch(target, manifest, fresh, identities)
        if key is not None and key.exists() and not (fresh / PRIVATE_FILE).exists():
            shutil.copyfile(key, fresh / PRIVATE_FILE)
        if (fresh / PRIVATE_FILE).exists():
            (fresh / PRIVATE_FILE).chmod(0o600)
        with LedgerReader(fresh) as reader:
            _as_stated(reader.head().position, manifest)
        end = _go_on(fresh, target, manifest, wanted, identities) if shipped else None
        _shorten(fresh, manifest, wanted, end)
        position, at = _verified(fresh, manifest)
        if record is not None and (fresh / PRIVATE_FILE).exists():
            # Recorded before it is there: no moment in which it could be opened as if unhurt.
            fact = LedgerRestored(manifest.name, position, record.by, record.reason)
            _record(fresh, fact, record.at)
        if folder.exists():
            folder.rmdir()
        fresh.rename(folder)
    return Restored(
        manifest.name,
        position,
        at,
        (time.monotonic_ns() - began) // 1000,
        shipments=end.used if end else 0,
        problems=tuple(end.problems) if end else (),
    )


def refuse_used(folder: Path) -> None:
    """Raises UsageError for a folder that holds something."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file", remedy="name a folder that is not there yet")
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder} is not empty", remedy="name a folder that is not there yet")


def _refuse_unwritable(folder: Path) -> None:
    """Raises UsageError where nothing can be made beside `folder`, before anything is fetched."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=".restore-").cleanup()
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made: {error.strerror}",
            remedy="name a folder where you may write",
        ) from error


def _go_on(
    fresh: Path, target: Target, manifest: Manifest, wanted: Wanted, identities: Sequence[Any]
) -> Continued | None:
    """Take what was shipped since the backup, where that is wanted."""
    if wanted.event is not None and wanted.event <= manifest.position:
        return None
    if wanted.moment is not None and wanted.moment < manifest.at:
        return None
    return go_on(fresh, target, identities, until=wanted.event, moment=wanted.moment)


def _shorten(fresh: Path, manifest: Manifest, wanted: Wanted, end: Continued | None) -> None:
    if wanted.event is None and wanted.moment is None:
        return
    with LedgerReader(fresh) as reader:
        last, at = reader.head().position, reader.last_at()
    known_until = max(at, manifest.made_at, end.made_at if end else 0)
    if wanted.moment is not None and wanted.moment > known_until:
        raise NotFound(
            f"nothing that was backed up or shipped reaches that far: {_behind(end)}",
            remedy="name an earlier moment, or leave it out: everything there is, is restored then",
        )
    position = _whole_group(fresh, wanted, _behind(end))
    if position == last:
        return
    if not (fresh / PRIVATE_FILE).exists():
        raise UsageError(
            f"backup {manifest.name} is not encrypted, so that it holds no key to sign with",
            remedy=f"name the ledger's key with --key: {PRIVATE_FILE} of its home",
        )
    cut(fresh, position)
    # What was anchored later is no part of this past.
    (fresh / ANCHORS_FILE).unlink(missing_ok=True)


def _behind(end: Continued | None) -> str:
    """Why it ends where it does."""
    if end is None:
        return "what was shipped since was not asked for"
    return "; ".join(end.problems[:PROBLEMS_SHOWN]) or f"it ends at event {end.position}"


def _whole_group(fresh: Path, wanted: Wanted, why: str) -> int:
    """Where the last fact that is wanted ends, with the decisions that belong to it."""
    with LedgerReader(fresh) as reader:
        last = reader.head().position
        end = 0
        for stored in reader.read():
            is_fact = stored.kind in FACT_KINDS
            if is_fact and wanted.event is not None and stored.position > wanted.event:
                break
            if is_fact and wanted.moment is not None and stored.at > wanted.moment:
                break
            end = stored.position
    if wanted.event is not None and wanted.event > last:
        raise NotFound(
            f"event {wanted.event} is not in this backup, which ends at {last}: {why}",
            remedy="choose a later backup: `portcullis backup list`",
        )
    if end == 0:
        raise NotFound("the ledger begins later than that", remedy="name a later event or moment")
    return end


def _verified(fresh: Path, manifest: Manifest) -> tuple[int, int]:
    with LedgerReader(fresh) as reader:
        reaches = reader.head().position >= manifest.position
    found = verify(
        fresh / LEDGER_FILE,
        load_verifier(fresh / PUBLIC_FILE),
        anchors=(manifest.checkpoint,) if reaches else (),
    )
    if not found.ok:
        raise StoreError(
            f"backup {manifest.name} {found}",
            remedy="choose another backup: `portcullis backup list`",
        )
    with LedgerReader(fresh) as reader:
        return reader.head().position, reader.last_at()


def _as_stated(position: int, manifest: Manifest) -> None:
    if position != manifest.position:
        raise StoreError(
            f"backup {manifest.name} ends at event {position}, not at {manifest.position}",
            remedy="choose another backup: `portcullis backup list`",
        )


class Drilled(NamedTuple):
    """A drill: `rto` from nothing to a verified, folded state, `rpo` what the newest event behind
    the live head would have cost; both microseconds. `same` says whether the states agree.
    """

    restored: Restored
    events: int
    same: bool
    rto: int
    rpo: int


def drill(
    home: Path, target: Target, manifest: Manifest, identities: Sequence[Any], now: int
) -> Drilled:
    """Restore beside the live store, verify, fold, and compare with the live ledger folded to the
    same event. Leaves nothing behind but the proof. Raises StoreError.
    """
    with (
        WriterLock(home / LOCK_FILE),
        swept(home),
        tempfile.TemporaryDirectory(dir=home, prefix=".drill-") as scratch,
    ):
        if not of_this_past(home, [manifest]):
            raise StoreError(
                f"backup {manifest.name} is of a past that this ledger no longer has",
                remedy="make a new one: `portcullis backup create`",
            )
        began, folder = time.monotonic_ns(), Path(scratch) / "home"
        restored = restore(target, manifest, Wanted(), folder, identities)
        with LedgerReader(folder) as reader:
            state = freeze(recover(reader).engine.state)
        rto = (time.monotonic_ns() - began) // 1000
        events, live = folded_to(home, restored.position)
    if state == live:
        prove(target, manifest.name, Proof(now, restored=True, took=rto))
    with LedgerReader(home) as reader:
        behind = reader.last_at() - restored.at
    return Drilled(restored, events, state == live, rto, max(0, behind))


def _record(home: Path, fact: LedgerRestored, now: int) -> None:
    """Enter what was done, with what the engine decides on it."""
    ledger = SqliteLedger(home)
    try:
        engine = recover(ledger).engine
        at = max(now, ledger.last_at())
        decisions = engine.apply(ledger.head().position + 1, at, fact)
        entries = [Entry(stream_of(event), at, "restore", event) for event in (fact, *decisions)]
        ledger.append(entries)
        ledger.checkpoint()
    finally:
        ledger.close()
