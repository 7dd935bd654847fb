"""A disk in memory under a real SQLite, which can lose its power or fail at any operation.

It keeps, for every file, what was synced and what was only written. `after_power_loss` gives the
files as a disk may show them then: everything synced, and of the rest each 512-byte sector by the
toss of a coin. (SQLite under test here is APSW's own; a VFS written in Python has no shared memory,
so the ledger is opened with `locking_mode=EXCLUSIVE`.)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any

import apsw

SECTOR = 512


class File:
    """`content` as programs see it; of what was changed since the last sync, what the disk has."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = bytearray(content)
        self._kept: dict[int, bytes] = {}
        self._size = len(content)

    @property
    def synced(self) -> bytes:
        """The content at the last sync."""
        image = bytearray(self.content[: self._size].ljust(self._size, b"\x00"))
        for sector, kept in self._kept.items():
            image[sector * SECTOR : sector * SECTOR + len(kept)] = kept
        return bytes(image)

    def write(self, data: bytes, offset: int) -> None:
        self._keep(offset, offset + len(data))
        if len(self.content) < offset:
            self.content.extend(bytes(offset - len(self.content)))
        self.content[offset : offset + len(data)] = data

    def cut(self, size: int) -> None:
        self._keep(size, len(self.content))
        del self.content[size:]

    def sync(self) -> None:
        self._kept.clear()
        self._size = len(self.content)

    def _keep(self, start: int, end: int) -> None:
        """Remember what the disk has of the sectors that are about to change."""
        first, last = start // SECTOR, (min(end, self._size) + SECTOR - 1) // SECTOR
        for sector in range(first, last):
            if sector not in self._kept:
                stop = min((sector + 1) * SECTOR, self._size)
                self._kept[sector] = bytes(self.content[sector * SECTOR : stop])

    def after_power_loss(self, random: Random) -> bytes:
        """Either size; of a sector that was written, either version; of one cut off, the old.

        Cutting a file does not write its sectors: where the old size comes back, so do they.
        """
        synced = self.synced
        size = random.choice((len(self.content), len(synced)))
        image = bytearray()
        for start in range(0, size, SECTOR):
            written = start < len(self.content)
            version = random.choice((self.content, synced)) if written else synced
            image += version[start : start + SECTOR].ljust(SECTOR, b"\x00")
        return bytes(image[:size])


class Disk:
    """Files by name. `fail_at` counts writes, truncations and syncs down to the failing one."""

    def __init__(self, files: dict[str, bytes] | None = None) -> None:
        self.files = {name: File(content) for name, content in (files or {}).items()}
        self.fail_at: int | None = None
        self.failed = False
        self.dead_after = True

    def operate(self) -> None:
        """Count one operation that changes the disk; raises when it is the failing one."""
        if self.failed and self.dead_after:
            raise apsw.IOError("the disk is gone")
        if self.fail_at is not None:
            self.fail_at -= 1
            if self.fail_at == 0:
                self.failed = True
                raise apsw.IOError("the disk failed")

    def images(self) -> dict[str, bytes]:
        return {name: bytes(file.content) for name, file in self.files.items()}

    def after_power_loss(self, random: Random) -> dict[str, bytes]:
        return {name: file.after_power_loss(random) for name, file in sorted(self.files.items())}


class _Handle:
    """What SQLite calls for one open file."""

    def __init__(self, disk: Disk, name: str) -> None:
        self._disk = disk
        self._file = disk.files.setdefault(name, File())

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._file.content[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.operate()
        self._file.write(data, offset)

    def xTruncate(self, size: int) -> None:
        self._disk.operate()
        self._file.cut(size)

    def xSync(self, flags: int) -> None:
        self._disk.operate()
        self._file.sync()

    def xFileSize(self) -> int:
        return len(self._file.content)

    def xLock(self, level: int) -> None: ...
    def xUnlock(self, level: int) -> None: ...
    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, op: int, pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return SECTOR

    def xDeviceCharacteristics(self) -> int:
        return 0  # nothing is promised: no atomic writes, no safe appends

    def xClose(self) -> None: ...


class _Vfs(apsw.VFS):
    def __init__(self, disk: Disk, name: str) -> None:
        self._disk = disk
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> Any:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        flags[1] = flags[0]
        return _Handle(self._disk, _base(path or "temporary"))

    def xDelete(self, name: str, sync: bool) -> None:
        self._disk.operate()
        self._disk.files.pop(_base(name), None)

    def xAccess(self, name: str, flags: int) -> bool:
        return _base(name) in self._disk.files

    def xFullPathname(self, name: str) -> str:
        return name


def _base(path: str) -> str:
    return path.rsplit("/", 1)[-1]


# --- APSW as a database module, as far as the store needs one -------------------------------------


class Driver:
    """Looks like `sqlite3` to SQLAlchemy and to the store; every file lies on one `Disk`."""

    paramstyle = "qmark"
    threadsafety = 1
    sqlite_version_info = tuple(map(int, apsw.sqlite_lib_version().split(".")))
    Warning = sqlite3.Warning
    Error = sqlite3.Error
    InterfaceError = sqlite3.InterfaceError
    DatabaseError = sqlite3.DatabaseError
    DataError = sqlite3.DataError
    OperationalError = sqlite3.OperationalError
    IntegrityError = sqlite3.IntegrityError
    InternalError = sqlite3.InternalError
    ProgrammingError = sqlite3.ProgrammingError
    NotSupportedError = sqlite3.NotSupportedError

    def __init__(self, disk: Disk) -> None:
        self._name = f"disk-{id(disk)}"
        self._vfs = _Vfs(disk, self._name)

    def connect(self, path: str, **_: object) -> Connection:
        return Connection(apsw.Connection(path, vfs=self._name))


class Connection:
    isolation_level = None

    def __init__(self, real: apsw.Connection) -> None:
        self.real = real

    def create_function(self, *_: object, **__: object) -> None: ...

    def cursor(self) -> Cursor:
        return Cursor(self.real)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Cursor:
        return self.cursor().execute(statement, values)

    def commit(self) -> None: ...

    def rollback(self) -> None:
        if self.real.in_transaction:
            self.execute("ROLLBACK")

    def close(self) -> None:
        with _translated():
            self.real.close()


class Cursor:
    """All rows are fetched at once; the description is that of the last statement."""

    arraysize = 1
    lastrowid = 0

    def __init__(self, real: apsw.Connection) -> None:
        self._connection = real
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1

    def execute(self, statement: str, values: Sequence[Any] = ()) -> Cursor:
        cursor = self._connection.cursor()
        before = self._connection.total_changes()
        cursor.exec_trace = self._describe
        with _translated():
            self._rows = list(cursor.execute(statement, tuple(values)))
        self.rowcount = self._connection.total_changes() - before
        return self

    def _describe(self, cursor: apsw.Cursor, *_: object) -> bool:
        self.description = [(name, *[None] * 6) for name, _ in cursor.get_description()] or None
        return True

    def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int = 1) -> list[Any]:
        taken, self._rows = self._rows[:size], self._rows[size:]
        return taken

    def fetchall(self) -> list[Any]:
        taken, self._rows = self._rows, []
        return taken

    def close(self) -> None:
        self._rows = []


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except apsw.ConstraintError as error:
        raise sqlite3.IntegrityError(str(error)) from error
    except apsw.Error as error:
        raise sqlite3.OperationalError(str(error)) from error
