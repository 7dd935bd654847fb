"""Making a backup: a copy beside a writing worker, verified, packed, stored, and read back."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
from pysqlite3 import dbapi2

import portcullis
from portcullis.backup.keep import Kept, superfluous
from portcullis.backup.manifest import MANIFEST, PACKED, PROOF, Manifest, Proof, name_of
from portcullis.backup.packing import digest, pack
from portcullis.backup.target import Target
from portcullis.config.files import FILES, OPTIONAL
from portcullis.errors import StoreError
from portcullis.store.anchors import ANCHORS_FILE
from portcullis.store.copying import copy_online
from portcullis.store.credential import PUBLIC_FILE as ADMINISTRATOR
from portcullis.store.database import LEDGER_FILE, explained
from portcullis.store.keys import PRIVATE_FILE, PUBLIC_FILE, load_verifier
from portcullis.store.lock import WriterLock
from portcullis.store.place import Place, SqliteFile
from portcullis.store.reading import LedgerReader
from portcullis.store.tables import LEDGER_REVISIONS
from portcullis.store.verify import Mark, verify_place

LOCK_FILE = "backup.lock"
CLUSTER_FILE = "cluster.tar"  # of a backup of a server: its whole data
SETTINGS, CONFIG = "settings.env", "config"
MARK_FILE = "backup.mark"
SCRATCH = (".backup-", ".drill-", ".restore-", ".fetch-")
IN_CLEAR = (PUBLIC_FILE, ADMINISTRATOR)
SEALED = (PRIVATE_FILE, SETTINGS)
"""Only in what is encrypted: the key that signs the ledger, and settings that may hold secrets."""


class Facts(NamedTuple):
    """What was copied: its newest event, dated `at`, the signed head, and whose ledger it is."""

    position: int
    at: int
    checkpoint: str
    ledger: str
    server: str = ""
    wal: str = ""


class Source(Protocol):
    """Where the ledger is copied from."""

    def copy(self, scratch: Path, folder: Path, *, whole: bool) -> Facts:
        """Put a verified copy into `folder`. Raises StoreError."""


class FileSource:
    """The ledger's file in a home."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def copy(self, scratch: Path, folder: Path, *, whole: bool) -> Facts:  # noqa: ARG002 - Source
        """Copy the file beside its writer, then verify the copy."""
        copy = folder / LEDGER_FILE
        copy_online(self._home / LEDGER_FILE, copy)
        verified(SqliteFile(copy), f"the copy of {self._home / LEDGER_FILE}", self._home, whole)
        return facts_of(SqliteFile(copy))


def facts_of(place: Place) -> Facts:
    """What a ledger says of itself."""
    with LedgerReader(place) as reader:
        head, note = reader.head(), reader.checkpoint()
        return Facts(head.position, reader.last_at(), note, reader.ledger_id)


class Made(NamedTuple):
    """A backup, how long it took (microseconds), and which older ones went."""

    manifest: Manifest
    took: int
    removed: list[str]


def make(
    home: Path,
    config: Path,
    target: Target,
    recipients: Sequence[str],
    now: int,
    kept: Kept | None = None,
    *,
    whole: bool = True,
    source: Source | None = None,
) -> Made:
    """Back the home up; `whole` verifies every event, else those since the last backup.

    Raises StoreError where the copy does not hold, or what was uploaded is not what was packed;
    StoreLocked while another backup is being made. The key that signs the ledger goes in only when
    the backup is encrypted.
    """
    began = time.monotonic_ns()
    with (
        explained(home),
        WriterLock(home / LOCK_FILE),
        swept(home),
        tempfile.TemporaryDirectory(dir=home, prefix=".backup-") as scratch,
    ):
        folder = Path(scratch) / "files"
        folder.mkdir()
        _copy_beside(home, config, folder, sealed=bool(recipients))
        facts = (source or FileSource(home)).copy(Path(scratch), folder, whole=whole)
        packed = Path(scratch) / "packed"
        pack(folder, packed, recipients)
        manifest = _manifest(facts, folder, packed, recipients, now, target)
        target.sweep(manifest.ledger)
        target.put(packed, manifest.name + PACKED)
        _read_back(target, manifest, Path(scratch) / "back")
        took = _since(began)
        target.write(manifest.name + MANIFEST, manifest.to_bytes())
        prove(target, manifest.name, Proof(now, restored=False, took=took))
        removed = _rotate(target, manifest, kept)
    return Made(manifest, _since(began), removed)


@contextmanager
def swept(home: Path) -> Iterator[None]:
    """Remove what an interrupted run left; for whoever holds the lock: it is nobody else's."""
    for path in (each for prefix in SCRATCH for each in home.glob(f"{prefix}*")):
        shutil.rmtree(path, ignore_errors=True)
    yield


def prove(target: Target, name: str, proof: Proof) -> None:
    """Keep that a backup was verified."""
    target.write(name + PROOF, msgspec.json.encode(proof))


def _copy_beside(home: Path, config: Path, folder: Path, *, sealed: bool) -> None:
    """Everything but the ledger, and before it: anchors must not know of later events."""
    for name in (ANCHORS_FILE, *IN_CLEAR, *(SEALED if sealed else ())):
        if (home / name).is_file():
            shutil.copyfile(home / name, folder / name)
    for name in (*FILES, *OPTIONAL):
        if (config / name).is_file():
            (folder / CONFIG).mkdir(exist_ok=True)
            shutil.copyfile(config / name, folder / CONFIG / name)


def verified(place: Place, what: str, home: Path, whole: bool) -> None:
    """Verify everything, or what is new since the last backup where that is known and holds."""
    public, path = load_verifier(home / PUBLIC_FILE), home / MARK_FILE
    since = None if whole else _mark(path)
    found = verify_place(place, public, since=since)
    if not found.ok and since is not None:
        found = verify_place(place, public)
    if not found.ok or found.mark is None:
        raise StoreError(
            f"{what} {found}",
            remedy="run `portcullis ledger verify`; the newest backup that holds is in "
            "`portcullis backup list`",
        )
    path.write_bytes(found.mark.to_bytes())


def _mark(path: Path) -> Mark | None:
    try:
        return Mark.from_bytes(path.read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None


def _manifest(
    facts: Facts, folder: Path, packed: Path, recipients: Sequence[str], now: int, target: Target
) -> Manifest:
    position, ledger = facts.position, facts.ledger
    before = [each.made_at for each in target.manifests() if each.ledger == ledger]
    if before and now <= max(before):
        now = max(before) + 1_000_000  # the clock was set back: the order of making stays
    files = {
        str(path.relative_to(folder)): digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return Manifest(
        name=name_of(now, position, ledger),
        made_at=now,
        ledger=ledger,
        position=position,
        at=facts.at,
        checkpoint=facts.checkpoint,
        sha256=digest(packed),
        size=packed.stat().st_size,
        files=files,
        recipients=tuple(recipients),
        schema=LEDGER_REVISIONS[-1],
        version=portcullis.__version__,
        sqlite=".".join(map(str, dbapi2.sqlite_version_info)),
        server=facts.server,
        wal=facts.wal,
    )


def _read_back(target: Target, manifest: Manifest, file: Path) -> None:
    target.get(manifest.name + PACKED, file)
    if digest(file) != manifest.sha256:
        raise StoreError(
            f"{target.address}: what was stored of {manifest.name} is not what was sent",
            remedy="look at the disk or the network behind the target; the older backups stay",
        )
    file.unlink()


def _rotate(target: Target, newest: Manifest, kept: Kept | None) -> list[str]:
    """Delete what is superfluous, of this ledger alone, now that the newest one is whole."""
    ours = [each for each in target.manifests() if each.ledger == newest.ledger]
    restored = {each.name for each in ours if (p := target.proof(each.name)) and p.restored}
    gone: list[str] = []
    for sealed in (True, False):  # what is not encrypted does not stand for what is
        group = [(each.name, each.made_at) for each in ours if bool(each.recipients) is sealed]
        gone += superfluous(group, restored, kept)
    for name in gone:
        target.remove(name)
    return gone


def _since(began: int) -> int:
    return (time.monotonic_ns() - began) // 1000
