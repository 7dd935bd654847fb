"""A part of the store as a schema of a server's database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from portcullis.errors import StoreError, StoreLocked, StoreTooNew
from portcullis.ports import StoredEvent
from portcullis.store.database import MIGRATIONS, driver_of
from portcullis.store.place import EVENT_COLUMNS, Part
from portcullis.store.postgres.address import Address
from portcullis.store.postgres.driver import (
    LOCK_SECONDS,
    TAKEOVER_SECONDS,
    BinaryBytesLoader,
    BytesLoader,
    connect,
    explained,
    transaction,
)

OLDEST_SERVER = 140_000
"""As the server numbers itself: version 14."""

COLUMN_TYPES = (
    "int8", "text", "int8", "int8", "text", "int8", "text", "bytea", "bytea", "bytea",
)  # fmt: skip
_OURS = 0x706F7274  # the first half of our advisory locks; the other says what is locked
_WRITER, _SCHEMA = 1, 2
_TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = ?"


class Schema:
    """A part of the store in the schema of its name."""

    def __init__(self, address: Address, part: Part) -> None:
        self._address, self.part = address, part

    def __str__(self) -> str:
        return f"{self._address} ({self.part.name})"

    def explained(self) -> AbstractContextManager[None]:
        return explained(self)

    def reader(self) -> sa.Engine:
        return self._engine(writes=False)

    @contextmanager
    def writer(self) -> Iterator[sa.Connection]:
        with ExitStack() as opening:
            self._make_schema()
            connection = opening.enter_context(self._engine(writes=True).connect())
            driver = driver_of(connection)
            refuse_unsafe(driver, self._address)
            if self.part.lock is not None:
                self._take_lock(driver)
            self._migrate(connection)
            yield connection

    def revision(self, connection: sa.Connection) -> str | None:
        run = connection.exec_driver_sql
        # By a query: what the server's functions know of names may be older than a lock just taken.
        there = run(f"{_TABLES} AND tablename = 'alembic_version'", (self.part.name,)).scalar()
        if not there:
            return None
        found = run(f"SELECT version_num FROM {self.part.name}.alembic_version").scalar()
        return None if found is None else str(found)

    @contextmanager
    def moment(self, connection: sa.Connection) -> Iterator[None]:
        connection.exec_driver_sql("BEGIN ISOLATION LEVEL REPEATABLE READ")
        try:
            yield
        finally:
            connection.exec_driver_sql("COMMIT")

    def transaction(self, driver: Any) -> AbstractContextManager[None]:
        return transaction(driver)

    @contextmanager
    def without_guards(self, driver: Any) -> Iterator[None]:
        driver.execute("SET LOCAL portcullis.retires = 'on'")
        yield
        driver.execute("SET LOCAL portcullis.retires = 'off'")

    def insert_events(self, driver: Any, rows: Sequence[StoredEvent]) -> None:
        """By COPY: as fast as an INSERT for one row, three times as fast for thousands."""
        statement = f"COPY events ({EVENT_COLUMNS}) FROM STDIN (FORMAT BINARY)"
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(COLUMN_TYPES)
            for row in rows:
                copy.write_row(row)

    def take_turns(self, driver: Any) -> None:
        driver.execute("LOCK TABLE requests IN SHARE ROW EXCLUSIVE MODE")

    def take_texts_as_bytes(self, driver: Any) -> None:
        driver.adapters.register_loader("text", BytesLoader)
        driver.adapters.register_loader("text", BinaryBytesLoader)

    def damage(self, driver: Any) -> str:  # noqa: ARG002 - as the port has it
        """Pages are checked by the server as they are read, where it was made with checksums."""
        return ""

    def tidy(self, connection: sa.Connection) -> None:
        """The server does it by itself."""

    def is_lost(self, driver: Any) -> bool:
        return bool(driver.closed)

    # --- opening -------------------------------------------------------------------------------

    def _engine(self, *, writes: bool) -> sa.Engine:
        return sa.create_engine(
            "postgresql+psycopg://",
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            creator=lambda: connect(self._address, self.part.name, writes=writes),
        )

    def _make_schema(self) -> None:
        """Before anything connects to it: what a connection's schema is, is asked only once."""
        name = self.part.name
        with connect(self._address, name, writes=True) as connection, transaction(connection):
            connection.execute("SELECT pg_advisory_xact_lock(?, ?)", (_OURS, _SCHEMA))
            found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = ?", (name,))
            if found.fetchone() is None:
                connection.execute(f"CREATE SCHEMA {name}")

    def _take_lock(self, driver: Any) -> None:
        """Held as long as the connection. One that just died lets go within the wait."""
        driver.execute(f"SET lock_timeout = '{TAKEOVER_SECONDS}s'")
        try:
            driver.execute("SELECT pg_advisory_lock(?, ?)", (_OURS, _WRITER))
        except Exception as error:
            if getattr(error, "sqlstate", None) != "55P03":
                raise
            row = driver.execute(
                "SELECT pid, coalesce(host(client_addr), 'its own machine') FROM pg_locks "
                "JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' "
                "AND classid = ? AND objid = ? AND granted",
                (_OURS, _WRITER),
            ).fetchone()
            holder, host = row or ("unknown", "unknown")
            raise StoreLocked(
                f"{self._address}: another worker writes here (session {holder} from {host})",
                remedy=f"stop that worker; if it is dead: SELECT pg_terminate_backend({holder})",
            ) from None
        driver.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")

    def _migrate(self, connection: sa.Connection) -> None:
        """Bring the schema to the newest revision, one process at a time."""
        revisions = self.part.revisions
        if self.revision(connection) == revisions[-1]:
            return
        driver = driver_of(connection)
        with transaction(driver):
            driver.execute("SELECT pg_advisory_xact_lock(?, ?)", (_OURS, _SCHEMA))
            found = self.revision(connection)
            if found is not None and found not in revisions:
                raise StoreTooNew(
                    f"{self}: written by a newer version (schema {found}, known are "
                    f"{', '.join(revisions)})",
                    remedy="install the newer version again; going back needs a backup",
                )
            self._refuse_others_tables(connection, found)
            if found != revisions[-1]:
                _upgrade(connection, self.part.name)

    def _refuse_others_tables(self, connection: sa.Connection, found: str | None) -> None:
        there = connection.exec_driver_sql(_TABLES, (self.part.name,)).scalar()
        if found is None and there:
            raise StoreError(
                f"{self._address}: its schema {self.part.name} is not one of this program",
                remedy="name a database of its own for the store",
            )


def refuse_unsafe(driver: Any, address: Address) -> None:
    """A server that may lose what it has acknowledged, or garble texts, is none for us.

    Raises StoreError.
    """
    if driver.info.server_version < OLDEST_SERVER:
        raise StoreError(
            f"{address}: the server is of version {driver.info.server_version // 10_000}",
            remedy=f"use PostgreSQL {OLDEST_SERVER // 10_000} or newer",
        )
    for name, wanted in (
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("server_encoding", "UTF8"),
    ):
        (found,) = driver.execute("SELECT current_setting(?)", (name,)).fetchone()
        if found != wanted:
            raise StoreError(
                f"{address}: {name} is {found}, so that events could be lost or garbled",
                remedy=f"use a server and database whose {name} is {wanted}",
            )


def _upgrade(connection: sa.Connection, name: str) -> None:
    # Imported here: a store that is up to date, which is nearly every start, needs none of it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS / name))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
