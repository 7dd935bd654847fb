"""Making a backup: a copy beside a writing worker, verified, packed, stored, and read back."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
from pysqlite3 import dbapi2

import portcullis
from portcullis.backup.keep import Kept, superfluous
from portcullis.backup.manifest import MANIFEST, PACKED, PROOF, Manifest, Proof, name_of
from portcullis.backup.packing import digest, pack
from portcullis.backup.target import Target
from portcullis.errors import StoreError
from portcullis.store.anchors import ANCHORS_FILE
from portcullis.store.copying import copy_online
from portcullis.store.credential import PUBLIC_FILE as ADMINISTRATOR
from portcullis.store.database import INBOX_FILE, LEDGER_FILE
from portcullis.store.keys import PRIVATE_FILE, PUBLIC_FILE, load_verifier
from portcullis.store.lock import WriterLock
from portcullis.store.reading import LedgerReader
from portcullis.store.tables import LEDGER_REVISIONS
from portcullis.store.verify import Mark, verify

LOCK_FILE = "backup.lock"
MARK_FILE = "backup.mark"
IN_CLEAR = (PUBLIC_FILE, ADMINISTRATOR, ANCHORS_FILE, "settings.env")
CONFIG = "config"


class Made(NamedTuple):
    """A backup, how long it took (microseconds), and which older ones went."""

    manifest: Manifest
    copied: int
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
) -> Made:
    """Back the home up; `whole` verifies every event, else those since the last backup.

    Raises StoreError where the copy does not hold, or what was uploaded is not what was packed;
    StoreLocked while another backup is being made. The key that signs the ledger goes in only when
    the backup is encrypted.
    """
    began = time.monotonic_ns()
    with (
        WriterLock(home / LOCK_FILE),
        swept(home, ".backup-"),
        tempfile.TemporaryDirectory(dir=home, prefix=".backup-") as scratch,
    ):
        folder = Path(scratch) / "files"
        folder.mkdir()
        _copy(home, config, folder, with_key=bool(recipients), whole=whole)
        copied = _since(began)
        packed = Path(scratch) / "packed"
        pack(folder, packed, recipients)
        manifest = _manifest(folder, packed, recipients, now)
        target.sweep()
        target.put(packed, manifest.name + PACKED)
        _read_back(target, manifest, Path(scratch) / "back")
        took = _since(began)
        target.write(manifest.name + MANIFEST, manifest.to_bytes())
        prove(target, manifest.name, Proof(now, restored=False, took=took))
        removed = _rotate(target, manifest, kept)
    return Made(manifest, copied, _since(began), removed)


@contextmanager
def swept(home: Path, prefix: str) -> Iterator[None]:
    """Remove what an interrupted run left; for whoever holds the lock: it is nobody else's."""
    for path in home.glob(f"{prefix}*"):
        shutil.rmtree(path, ignore_errors=True)
    yield


def prove(target: Target, name: str, proof: Proof) -> None:
    """Keep that a backup was verified."""
    target.write(name + PROOF, msgspec.json.encode(proof))


def _copy(home: Path, config: Path, folder: Path, *, with_key: bool, whole: bool) -> None:
    copy_online(home / LEDGER_FILE, folder / LEDGER_FILE)
    _verify(home, folder / LEDGER_FILE, whole=whole)
    if (home / INBOX_FILE).exists():
        copy_online(home / INBOX_FILE, folder / INBOX_FILE)
    for name in (*IN_CLEAR, *((PRIVATE_FILE,) if with_key else ())):
        if (home / name).exists():
            shutil.copyfile(home / name, folder / name)
    if config.is_dir():
        shutil.copytree(config, folder / CONFIG)


def _verify(home: Path, copy: Path, *, whole: bool) -> None:
    """Verify everything, or what is new since the last backup where that is known and holds."""
    public, path = load_verifier(home / PUBLIC_FILE), home / MARK_FILE
    since = None if whole else _mark(path)
    found = verify(copy, public, since=since)
    if not found.ok and since is not None:
        found = verify(copy, public)
    if not found.ok or found.mark is None:
        raise StoreError(
            f"the copy of {home / LEDGER_FILE} {found}",
            remedy="run `portcullis ledger verify`; the newest backup that holds is in "
            "`portcullis backup list`",
        )
    path.write_bytes(found.mark.to_bytes())


def _mark(path: Path) -> Mark | None:
    try:
        return Mark.from_bytes(path.read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None


def _manifest(folder: Path, packed: Path, recipients: Sequence[str], now: int) -> Manifest:
    with LedgerReader(folder) as reader:
        position, at = reader.head().position, reader.last_at()
        checkpoint, ledger = reader.checkpoint(), reader.ledger_id
    files = {
        str(path.relative_to(folder)): digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return Manifest(
        name=name_of(now, position),
        made_at=now,
        ledger=ledger,
        position=position,
        at=at,
        checkpoint=checkpoint,
        sha256=digest(packed),
        size=packed.stat().st_size,
        files=files,
        recipients=tuple(recipients),
        schema=LEDGER_REVISIONS[-1],
        version=portcullis.__version__,
        sqlite=".".join(map(str, dbapi2.sqlite_version_info)),
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
    proofs = {each.name for each in ours if target.proof(each.name) is not None}
    gone = superfluous([(each.name, each.made_at) for each in ours], proofs, kept)
    for name in gone:
        target.remove(name)
    return gone


def _since(began: int) -> int:
    return (time.monotonic_ns() - began) // 1000
