"""Reading the ledger from other processes: nothing here can write, and nothing checkpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Self

from portcullis.errors import StoreError, StoreTooNew
from portcullis.ports import Head, PendingCommand, Snapshot, StoredEvent
from portcullis.store import queries
from portcullis.store.base import Base, BaseRow, base_of, base_row
from portcullis.store.database import LEDGER_FILE
from portcullis.store.merkle import Tree
from portcullis.store.note import Verifier
from portcullis.store.place import Place, SqliteFile
from portcullis.store.tables import LEDGER_REVISIONS


class OutboxRow(NamedTuple):
    """A command ever issued; `outcome` and `concluded` (a position) are None while it is open."""

    key: str
    account: str
    position: int
    outcome: str | None
    concluded: int | None


class EventFilter(NamedTuple):
    """Which events are wanted; what is None or empty does not narrow.

    `since` is included and `until` excluded, both in microseconds. Streams are indexed; the other
    conditions are looked up row by row.
    """

    stream: str | None = None
    kinds: tuple[str, ...] = ()
    trace: str | None = None
    since: int | None = None
    until: int | None = None

    def conditions(self) -> list[tuple[str, object]]:
        """SQL conditions, each with its value."""
        found: list[tuple[str, object]] = []
        if self.kinds:
            found.append((f"kind IN ({', '.join('?' * len(self.kinds))})", self.kinds))
        if self.trace is not None:
            found.append(("trace = ?", self.trace))
        if self.since is not None:
            found.append(("at >= ?", self.since))
        if self.until is not None:
            found.append(("at < ?", self.until))
        return found


EVERYTHING = EventFilter()


class LedgerReader:
    """A look into a ledger; each call sees the newest durable state. For one thread."""

    def __init__(self, home: Path | Place) -> None:
        """That of a home's file, or of another place. StoreError where there is no ledger,
        StoreTooNew where it is of a newer version.
        """
        self._place = place = SqliteFile(home / LEDGER_FILE) if isinstance(home, Path) else home
        with ExitStack() as opening, place.explained():
            self._connection = opening.enter_context(place.reader().connect())
            revision = place.revision(self._connection)
            if revision is not None and revision not in LEDGER_REVISIONS:
                raise StoreTooNew(
                    f"{place}: written by a newer version (schema {revision})",
                    remedy="read it with the version that wrote it",
                )
            facts = queries.meta(self._connection) if revision else {}
            if not facts:
                raise StoreError(
                    f"{place}: no ledger has been begun here",
                    remedy="start the worker once, or name another home",
                )
            self.ledger_id = facts["ledger_id"]
            self._verifier = Verifier.parse(facts["public_key"])
            self._open = opening.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file; safe to call twice."""
        self._open.close()

    def head(self) -> Head:
        row = self._head_row()
        return Head(row.position, row.root)

    def last_at(self) -> int:
        """Time of the newest event, 0 when there is none."""
        return self._head_row().at

    def checkpoint(self) -> str:
        """The newest head as a signed note, with the signature the worker made for it."""
        row = self._head_row()
        return self._verifier.note(row.statement(self._verifier.name).text(), row.signature)

    def checkpoints(self) -> dict[int, str]:
        """Every kept checkpoint by its position."""
        with self._place.explained():
            found = self._connection.exec_driver_sql("SELECT position, note FROM checkpoints")
            return {row[0]: row[1] for row in found}

    def events(
        self,
        where: EventFilter = EVERYTHING,
        *,
        after: int = 0,
        through: int | None = None,
        newest_first: bool = False,
    ) -> Iterator[StoredEvent]:
        """Events behind position `after`, up to and including `through`, that match."""
        return queries.events(
            self._connection,
            self._place.explained,
            after=after,
            through=through,
            stream=where.stream,
            conditions=where.conditions(),
            newest_first=newest_first,
        )

    def read(
        self, *, after: int = 0, through: int | None = None, stream: str | None = None
    ) -> Iterator[StoredEvent]:
        """As `ports.Ledger.read`."""
        return self.events(EventFilter(stream=stream), after=after, through=through)

    def outbox(self) -> Iterator[OutboxRow]:
        """Every command ever issued, newest first."""
        with self._place.explained():
            found = self._connection.exec_driver_sql(
                "SELECT key, account, position, outcome, concluded FROM outbox "
                "ORDER BY position DESC"
            ).all()
        return map(OutboxRow._make, found)

    def beginning(self) -> Snapshot | None:
        """As `ports.Records.beginning`. Raises LedgerBroken where it is not what was signed."""
        base = self.base()
        return base.snapshot() if base else None

    def base(self) -> Base | None:
        """What the ledger begins with, where older events are in the archive."""
        with self._place.explained():
            return base_of(self._connection, self._verifier)

    def base_row(self) -> BaseRow | None:
        """The base as it is stored, with its signatures."""
        with self._place.explained():
            return base_row(self._connection)

    def first_since(self, moment: int) -> int:
        """The first event at or after a moment (microseconds); behind the last where none is.

        Times never go back from event to event, so that it is found by halving.
        """
        with self._place.explained():
            run = self._connection.exec_driver_sql
            low, high = run("SELECT min(position), max(position) FROM events").one()
            low, high = low or 1, (high or 0) + 1
            while low < high:
                middle = (low + high) // 2
                at = run("SELECT at FROM events WHERE position = ?", (middle,)).scalar_one()
                low, high = (middle + 1, high) if at < moment else (low, middle)
        return int(low)

    def tree(self, position: int) -> Tree:
        """The tree over the events up to a position, which is behind the base."""
        base = self.base()
        tree = base.tree() if base else Tree()
        tree.extend([stored.hash for stored in self.read(after=tree.size, through=position)])
        return tree

    def pending(self) -> list[PendingCommand]:
        """Commands without an outcome, oldest first."""
        with self._place.explained():
            return queries.pending(self._connection)

    def latest_snapshot(self) -> Snapshot | None:
        """The newest snapshot whose signature holds."""
        with self._place.explained():
            return queries.newest_signed(self._connection, self._verifier, self._verifier.name)

    def _head_row(self) -> queries.HeadRow:
        with self._place.explained():
            row = queries.head(self._connection)
        if row is None:
            raise StoreError(
                f"{self._place}: the head is missing",
                remedy="run the verification, keep the file, and restore the newest backup",
            )
        return row
