"""Where backups are kept: a folder, or anything that fsspec reaches (s3://, sftp://, ...)."""

from __future__ import annotations

import contextlib
import copy
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import msgspec

from portcullis.backup.manifest import MANIFEST, PACKED, PROOF, Manifest, Proof, read_manifest
from portcullis.errors import NotFound, StoreError

PART = ".part"


class Target:
    """The backups of one ledger at one address. Calls raise StoreError where it cannot be used."""

    def __init__(self, address: str) -> None:
        self.address = _without_secret(address)
        self.damaged: list[str] = []
        """Backups whose manifest could not be read at the last look."""
        with self._explained("use"):
            self._files, self._root = fsspec.core.url_to_fs(address)
        self._local = "file" in (self._files.protocol, *self._files.protocol)

    @property
    def local_folder(self) -> Path | None:
        """Where it is on this machine; None where it is elsewhere."""
        return Path(self._root) if self._local else None

    def folder(self, name: str) -> Target:
        """A folder of it."""
        found = copy.copy(self)
        found.__dict__.update(address=f"{self.address}/{name}", _root=self._at(name), damaged=[])
        return found

    def put(self, file: Path, name: str) -> None:
        """Upload a file; it has its name once all of it is there."""
        self._put(name, lambda part: self._files.put_file(str(file), part))

    def write(self, name: str, data: bytes) -> None:
        """As `put`, for a few bytes."""
        self._put(name, lambda part: self._files.pipe_file(part, data))

    def get(self, name: str, file: Path) -> None:
        """Fetch a file."""
        with self._explained("read"):
            self._files.get_file(self._at(name), str(file))

    def read(self, name: str) -> bytes:
        """The bytes of a small file."""
        with self._explained("read"):
            data: bytes = self._files.cat_file(self._at(name))
        return data

    def sizes(self, ending: str) -> dict[str, int]:
        """The files of an ending, by what is before it, with their sizes in bytes."""
        with self._explained("read"):
            self._files.invalidate_cache()
            try:
                found: list[Any] = self._files.ls(self._root, detail=True)
            except FileNotFoundError:
                return {}
        names = ((str(each["name"]).rpartition("/")[2], int(each["size"] or 0)) for each in found)
        return {name.removesuffix(ending): size for name, size in names if name.endswith(ending)}

    def manifests(self) -> list[Manifest]:
        """Every backup that is whole, oldest first; one without a manifest was never finished."""
        packed = set(self._names(PACKED))
        found: list[Manifest] = []
        self.damaged = []
        for name in self._names(MANIFEST):
            try:
                found += [self.manifest(name)] * (name in packed)
            except StoreError:
                self.damaged.append(name)
        return sorted(found, key=lambda each: (each.made_at, each.name))

    def manifest(self, name: str) -> Manifest:
        """Raises NotFound where there is no such backup."""
        try:
            with self._explained("read"):
                data: bytes = self._files.cat_file(self._at(name + MANIFEST))
        except StoreError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise NotFound(
                    f"there is no backup {name!r} at {self.address}",
                    remedy="see `portcullis backup list`",
                ) from error
            raise
        return read_manifest(data, name)

    def proof(self, name: str) -> Proof | None:
        """What is known of its verification."""
        with contextlib.suppress(StoreError, msgspec.MsgspecError), self._explained("read"):
            return msgspec.json.decode(self._files.cat_file(self._at(name + PROOF)), type=Proof)
        return None

    def remove(self, name: str) -> None:
        """Delete a backup, its manifest first: what is half deleted is no backup."""
        with self._explained("write"):
            for ending in (MANIFEST, PROOF, PACKED):
                with contextlib.suppress(FileNotFoundError):
                    self._files.rm_file(self._at(name + ending))

    def discard(self, name: str) -> None:
        """Delete one file."""
        with self._explained("write"):
            self._files.rm_file(self._at(name))

    def sweep(self, ledger: str) -> None:
        """Delete what an interrupted upload of a ledger left."""
        with self._explained("write"):
            for path in self._listed():
                if path.endswith(PART) and ledger[:8] in path.rpartition("/")[2]:
                    self._files.rm_file(path)

    def _put(self, name: str, upload: Callable[[str], object]) -> None:
        """Upload under another name first; what fails leaves nothing."""
        part = self._at(f"{name}{PART}")
        try:
            with self._explained("write"):
                self._make_root()
                upload(part)
                if self._local:
                    self._make_durable(Path(part))
                self._files.mv(part, self._at(name))
                if self._local:
                    self._make_durable(Path(self._root))
        except StoreError:
            with contextlib.suppress(OSError, NotImplementedError):
                self._files.rm_file(part)
            raise

    @staticmethod
    def _make_durable(path: Path) -> None:
        if path.is_file():
            path.chmod(0o600)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    # --- under the hood -----------------------------------------------------------------------

    def _names(self, ending: str) -> list[str]:
        with self._explained("read"):
            found = [path.rpartition("/")[2] for path in self._listed()]
        return sorted(name.removesuffix(ending) for name in found if name.endswith(ending))

    def _listed(self) -> list[str]:
        self._files.invalidate_cache()
        try:
            found: list[Any] = self._files.ls(self._root, detail=False)
        except FileNotFoundError:
            return []
        return [str(path) for path in found]

    def _at(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"

    def _make_root(self) -> None:
        if self._local:
            Path(self._root).mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            self._files.makedirs(self._root, exist_ok=True)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, ImportError, NotImplementedError) as error:
            said = getattr(error, "strerror", None) or str(error) or type(error).__name__
            said = _without_secret(said)
            raise StoreError(
                f"{self.address}: cannot {what}: {said}",
                remedy="check PORTCULLIS_BACKUP_TARGET, its permissions and its free space",
            ) from error


def _without_secret(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//***@", address)
