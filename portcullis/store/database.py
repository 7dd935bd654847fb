"""Opening SQLite files: the engine, its pragmas, the schema's revision, and what went wrong."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import sqlalchemy as sa
from pysqlite3 import dbapi2
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from portcullis.errors import StoreError, StoreTooNew

DRIVER = dbapi2
"""The one SQLite library that opens our files: two in one process undo each other's locks."""

LEDGER_FILE = "ledger.db"
INBOX_FILE = "inbox.db"
ALERTS_FILE = "alerts.db"
BUSY_SECONDS = 5
AUTOCHECKPOINT_PAGES = 8_000  # 32 MB of write-ahead log; rarer and longer pauses than 1,000
CACHE_KIB = 8 * 1024
MIGRATIONS = Path(__file__).parent / "migrations"

_DRIVER_ERRORS = (SQLAlchemyError, sqlite3.Error, dbapi2.Error)
_REMEDIES = (
    ("disk is full", "free space on the disk of this file, then start again"),
    ("disk i/o error", "look at the disk's health and mount, then start again"),
    ("not a database", "put the file back from a backup; what lies there is something else"),
    ("malformed", "put the file back from a backup and verify it"),
    ("unable to open", "create the directory and let this user read and write it"),
    ("readonly", "let this user write the file and its directory"),
    ("locked", "stop the other program that holds the file open for writing"),
)


class Tuning(NamedTuple):
    """How a writer's file is opened. Only the tests and drills that weaken it pass another."""

    driver: ModuleType = dbapi2
    synchronous: str = "FULL"
    locking_mode: str = "NORMAL"


def check_sqlite(version: tuple[int, ...]) -> None:
    """Refuse the SQLite versions whose write-ahead log can corrupt a database.

    Affected are 3.7.0 to 3.51.2, but for 3.50.7 and later of the 3.50 line and 3.44.6 and later of
    the 3.44 line. Raises StoreError.
    """
    mended = (
        version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    )
    if not mended:
        raise StoreError(
            f"SQLite {'.'.join(map(str, version))} can corrupt a database in WAL mode",
            remedy="install the pysqlite3 wheel of requirements.lock, or SQLite 3.51.3 or newer",
        )


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the database or the system raises into a StoreError naming file and remedy."""
    try:
        yield
    except _DRIVER_ERRORS as error:
        cause = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        raise StoreError(f"{path}: {cause}", remedy=_remedy(cause)) from error
    except OSError as error:
        raise StoreError(
            f"{path}: {error.strerror or error}",
            remedy="create the directory and let this user read and write it",
        ) from error


def _remedy(cause: str) -> str:
    for words, remedy in _REMEDIES:
        if words in cause.lower():
            return remedy
    return "look at the file and its disk; put the file back from a backup if it is damaged"


def open_writer(path: Path, tuning: Tuning | None = None) -> sa.Engine:
    """An engine whose connections commit durably; they begin nothing by themselves."""
    tuning = tuning or Tuning()
    check_sqlite(tuning.driver.sqlite_version_info)
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        module=tuning.driver,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
    )

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        for pragma in (
            f"locking_mode={tuning.locking_mode}",
            "journal_mode=WAL",
            f"synchronous={tuning.synchronous}",
            f"wal_autocheckpoint={AUTOCHECKPOINT_PAGES}",
            f"cache_size=-{CACHE_KIB}",
            "trusted_schema=OFF",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()

    return engine


def driver_of(connection: sa.Connection) -> Any:
    """The driver's own connection, for the few statements of a small commit.

    SQLAlchemy's account of each would cost as much as the statements themselves (measured).
    """
    return connection.connection.driver_connection


@contextmanager
def transaction(driver: Any) -> Iterator[None]:
    """A write transaction from its first statement on: committed as a whole, or rolled back."""
    driver.execute("BEGIN IMMEDIATE")
    try:
        yield
        driver.execute("COMMIT")
    except BaseException:
        # A full disk or an I/O error may have rolled back already; then this is refused.
        with suppress(*_DRIVER_ERRORS):
            driver.execute("ROLLBACK")
        raise


@contextmanager
def without_guards(driver: Any) -> Iterator[None]:
    """Within a transaction: the triggers that forbid changing events are away, and come back."""
    guards = driver.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in guards:
        driver.execute(f'DROP TRIGGER "{name}"')
    yield
    for _, sql in guards:
        driver.execute(sql)


def truncate_wal(connection: sa.Connection) -> bool:
    """Move the write-ahead log into the file and cut it; False when a reader still needed it.

    A connection that has not read yet would silently do nothing, hence the first statement.
    """
    connection.exec_driver_sql("SELECT count(*) FROM sqlite_schema").scalar()
    connection.exec_driver_sql("PRAGMA busy_timeout = 0")  # readers are not worth a wait
    try:
        busy, _pages, _moved = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    return not busy


def open_reader(path: Path) -> sa.Engine:
    """An engine that cannot write and never checkpoints; works beside a writing process."""
    check_sqlite(dbapi2.sqlite_version_info)
    uri = _read_only(path)
    return sa.create_engine(
        "sqlite://",
        module=dbapi2,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        creator=lambda: _connect_reader(uri),
    )


def connect_reader(path: Path) -> Any:
    """A connection of the driver's own as those of `open_reader`; whoever asks must close it."""
    check_sqlite(dbapi2.sqlite_version_info)
    return _connect_reader(_read_only(path))


def _connect_reader(uri: str) -> Any:
    return dbapi2.connect(
        uri, uri=True, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None
    )


def _read_only(path: Path) -> str:
    if not path.is_file():
        raise StoreError(
            f"{path}: there is no such file", remedy="name the store's file, or start the worker"
        )
    # A copy on a medium that cannot be written has no room for the files that readers share.
    alone = not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
    return f"{path.resolve().as_uri()}?mode=ro{'&immutable=1' if alone else ''}"


def migrate(engine: sa.Engine, path: Path, name: str, revisions: tuple[str, ...]) -> None:
    """Bring the file's schema to the newest revision; `name` is the folder of its migrations.

    Raises StoreTooNew where the file is of a revision this version does not know.
    """
    with engine.connect() as connection:
        found = revision_of(connection)
        if found == revisions[-1]:
            return
        if found is not None and found not in revisions:
            raise StoreTooNew(
                f"{path}: written by a newer version (schema {found}, known are "
                f"{', '.join(revisions)})",
                remedy="install the newer version again; going back needs a backup from before it",
            )
        _upgrade(connection, name)


def revision_of(connection: sa.Connection) -> str | None:
    """The schema's revision, None in an empty file. Raises StoreError on a file of others."""
    tables = connection.exec_driver_sql("SELECT name FROM sqlite_schema").scalars().all()
    if "alembic_version" in tables:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        return None if found is None else str(found)
    if tables:
        raise StoreError(
            f"{connection.engine.url.database}: a database, but not one of this program",
            remedy="name another directory for the store",
        )
    return None


def _upgrade(connection: sa.Connection, name: str) -> None:
    # Imported here: a store that is up to date, which is nearly every start, needs none of it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS / name))
    config.attributes["connection"] = connection
    with transaction(driver_of(connection)):  # all revisions or none
        command.upgrade(config, "head")
