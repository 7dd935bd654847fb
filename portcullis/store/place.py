"""Where a part of the store lies, and what differs between databases; all other SQL is the same.

Statements have question marks for values. What they may use is what SQLite and PostgreSQL share.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa

from portcullis.ports import StoredEvent
from portcullis.store.database import (
    ALERTS_FILE,
    INBOX_FILE,
    LEDGER_FILE,
    Tuning,
    explained,
    migrate,
    open_reader,
    open_writer,
    revision_of,
    transaction,
    truncate_wal,
    without_guards,
)
from portcullis.store.lock import WriterLock
from portcullis.store.tables import ALERTS_REVISIONS, INBOX_REVISIONS, LEDGER_REVISIONS

EVENT_COLUMNS = ", ".join(StoredEvent._fields)
# The driver lets other threads run at every statement, and a busy one keeps the interpreter for a
# while each time; so a statement carries many rows (measured: up to ten times faster beside one).
ROWS_AT_ONCE = 32


class Part(NamedTuple):
    """A part of the store; `name` is that of its migrations, and of its schema on a server."""

    name: str
    file: str
    revisions: tuple[str, ...]
    lock: str | None


LEDGER = Part("ledger", LEDGER_FILE, LEDGER_REVISIONS, "ledger.lock")
INBOX = Part("inbox", INBOX_FILE, INBOX_REVISIONS, None)
ALERTS = Part("alerts", ALERTS_FILE, ALERTS_REVISIONS, "alerts.lock")
"""A file of the sender's home even where the ledger is on a server."""


class Place(Protocol):
    """A part of the store that can be opened. `str()` names it in errors, without a secret."""

    part: Part

    def explained(self) -> AbstractContextManager[None]:
        """Turn what database or system raise into a StoreError that names place and remedy."""

    def reader(self) -> sa.Engine:
        """Connections that cannot write. Raises StoreError where there is nothing to read."""

    def writer(self) -> AbstractContextManager[sa.Connection]:
        """A connection that commits durably, with the newest schema; of a part with one writer,
        the only one. Raises StoreLocked, StoreTooNew, StoreError.
        """

    def revision(self, connection: sa.Connection) -> str | None:
        """The schema's revision, None where there is none yet."""

    def moment(self, connection: sa.Connection) -> AbstractContextManager[None]:
        """Everything read within is of one moment."""

    def transaction(self, driver: Any) -> AbstractContextManager[None]:
        """A write transaction: committed as a whole, or rolled back."""

    def without_guards(self, driver: Any) -> AbstractContextManager[None]:
        """Within a transaction: events may be changed."""

    def insert_events(self, driver: Any, rows: Sequence[StoredEvent]) -> None: ...

    def take_turns(self, driver: Any) -> None:
        """Within a transaction: the inbox's other writers wait until it ends."""

    def take_texts_as_bytes(self, driver: Any) -> None:
        """A damaged text is to be a fault found and not an error raised."""

    def damage(self, driver: Any) -> str:
        """What the database itself finds damaged, empty where it finds nothing."""

    def tidy(self, connection: sa.Connection) -> None:
        """For when nothing else is to do."""

    def is_lost(self, driver: Any) -> bool:
        """Whether nothing can be asked over this connection any more."""


class SqliteFile:
    """A part of the store as a file of a home."""

    def __init__(self, path: Path, part: Part = LEDGER, tuning: Tuning | None = None) -> None:
        self.path, self.part, self._tuning = path, part, tuning

    def __str__(self) -> str:
        return str(self.path)

    def explained(self) -> AbstractContextManager[None]:
        return explained(self.path)

    def reader(self) -> sa.Engine:
        return open_reader(self.path)

    @contextmanager
    def writer(self) -> Iterator[sa.Connection]:
        with ExitStack() as opening:
            if self.part.lock is not None:
                opening.enter_context(WriterLock(self.path.with_name(self.part.lock)))
            engine = open_writer(self.path, self._tuning)
            migrate(engine, self.path, self.part.name, self.part.revisions)
            yield opening.enter_context(engine.connect())

    def revision(self, connection: sa.Connection) -> str | None:
        return revision_of(connection)

    @contextmanager
    def moment(self, connection: sa.Connection) -> Iterator[None]:
        connection.exec_driver_sql("BEGIN")
        try:
            yield
        finally:
            connection.exec_driver_sql("COMMIT")

    def transaction(self, driver: Any) -> AbstractContextManager[None]:
        return transaction(driver)

    def without_guards(self, driver: Any) -> AbstractContextManager[None]:
        return without_guards(driver)

    def insert_events(self, driver: Any, rows: Sequence[StoredEvent]) -> None:
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = rows[start : start + ROWS_AT_ONCE]
            driver.execute(_INSERT_EVENTS[len(part) - 1], tuple(chain.from_iterable(part)))

    def take_turns(self, driver: Any) -> None:
        """A write transaction of SQLite is alone from its beginning."""

    def take_texts_as_bytes(self, driver: Any) -> None:
        driver.text_factory = bytes

    def damage(self, driver: Any) -> str:
        (report,) = driver.execute("PRAGMA integrity_check(1)").fetchone()
        found = report if isinstance(report, str) else report.decode(errors="replace")
        return "" if found == "ok" else f"SQLite finds the file damaged: {found}"

    def tidy(self, connection: sa.Connection) -> None:
        truncate_wal(connection)

    def is_lost(self, driver: Any) -> bool:  # noqa: ARG002 - as the port has it
        return False


def _insert_events(count: int) -> str:
    row = f"({', '.join('?' * len(StoredEvent._fields))})"
    return f"INSERT INTO events ({EVENT_COLUMNS}) VALUES {', '.join([row] * count)}"


_INSERT_EVENTS = [_insert_events(count) for count in range(1, ROWS_AT_ONCE + 1)]
