"""The ledger in a database: one writer, one transaction per append, a signed head after each."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from portcullis.errors import LedgerBroken, StoreError
from portcullis.ports import Entry, Head, PendingCommand, Snapshot, StoredEvent
from portcullis.store import queries, retired
from portcullis.store.anchors import add_anchor
from portcullis.store.base import base_of
from portcullis.store.chain import SEGMENT_EVENTS, Batch, Chain, Opened
from portcullis.store.database import LEDGER_FILE, Tuning, driver_of, explained
from portcullis.store.keys import load_signer, make_signer
from portcullis.store.merkle import EMPTY_ROOT, Tree
from portcullis.store.note import Checkpoint, Signer, segment_text, snapshot_text
from portcullis.store.place import LEDGER, Place, SqliteFile

SNAPSHOTS_KEPT = 32
KEPT_EVENTS = 2 * SEGMENT_EVENTS  # the newest events stay, whatever their age
# A pass of the index writes one page for each stream it meets, whether with one event or with many.
INDEX_EVERY = 1_000


class StoredLedger:
    """`ports.Ledger` in a place of the store; safe to call from several threads.

    In its home: the signing key `ledger.key`, readable by its owner alone; the public key
    `ledger.pub`; and `anchors`, every signed checkpoint so far, to be copied elsewhere.

    After a failed write it refuses to go on: what the disk holds is not known any more, and only
    opening it again tells.
    """

    def __init__(self, home: Path, place: Place) -> None:
        """Open the ledger of an existing directory, making it where there is none yet.

        Raises StoreLocked, StoreTooNew, LedgerBroken (the end is not what was signed), StoreError.
        """
        self.home = home
        self._place = place
        self._mutex = RLock()
        self._failure: StoreError | None = None
        with ExitStack() as opening, place.explained():
            self._connection = opening.enter_context(place.writer())
            self._driver = driver_of(self._connection)
            self.ledger_id, self._signer = self._identify()
            self._epoch = self._take_over()
            self._base = base_of(self._connection, self._signer.verifier)
            self._chain, self._indexed = self._restore()
            self._head, self._at = self._chain.head(), self._chain.at
            self._open = opening.pop_all()

    @property
    def origin(self) -> str:
        """The ledger's name in everything that is signed."""
        return _origin(self.ledger_id)

    @property
    def broken(self) -> bool:
        """Whether a write failed, after which none is tried."""
        return self._failure is not None

    def head(self) -> Head:
        return self._head

    def last_at(self) -> int:
        return self._at

    def append(self, entries: Sequence[Entry]) -> Head:
        """As `ports.Ledger.append`. Raises UsageError, changing nothing, on what cannot be stored.

        A command key names one command for good: issued again, it changes nothing in the outbox.
        """
        if not entries:
            return self._head
        with self._mutex:
            self._refuse_if_broken()
            batch = self._chain.link(entries)
            head, at = self._chain.head(), self._chain.at
            indexed = self._indexed_with(head)
            with self._writing():
                self._move_head(head, at, indexed)  # first: it is what another writer waits for
                self._store(batch)
                self._index_streams(indexed)
            self._head, self._at, self._indexed = head, at, indexed
        return head

    def read(
        self, *, after: int = 0, through: int | None = None, stream: str | None = None
    ) -> Iterator[StoredEvent]:
        last = self._head.position
        through = last if through is None else min(through, last)
        return queries.events(
            self._connection, self._reading, after=after, through=through, stream=stream
        )

    def pending(self) -> list[PendingCommand]:
        with self._reading():
            return queries.pending(self._connection)

    def beginning(self) -> Snapshot | None:
        return self._base.snapshot() if self._base else None

    def begin_at(self, body: bytes) -> int:
        """Let the ledger begin with a base (`Base.to_bytes`) that was derived from its own events;
        where it begins then. What is before it goes by `drop_retired`.

        Raises UsageError, changing nothing, for one that is not of this ledger's past.
        """
        with self._mutex, self._place.explained():
            latest = self._head.position - KEPT_EVENTS
            base = retired.judged(self._driver, body, self._base, latest)
            with self._writing():
                self._check_still_ours()
                retired.put_base(self._driver, base, body, self._signer)
            self._base = base
        return base.position

    def drop_retired(self, most: int) -> int:
        """Drop so many of the events before the base, oldest first; how many went."""
        if self._base is None:
            return 0
        with self._mutex, self._place.explained():
            first, last = retired.still_there(self._driver, self._base, most)
            if first > last:
                return 0
            with self._writing():
                self._check_still_ours()
                with self._place.without_guards(self._driver):
                    retired.drop(self._driver, last)
        return last - first + 1

    def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot, signed, and drop all but the newest `SNAPSHOTS_KEPT`."""
        signature = self._signer.sign(snapshot_text(self.origin, snapshot))
        with self._writing():
            self._check_still_ours()
            self._run(
                "INSERT INTO snapshots (position, taken_at, version, state, signature) "
                "VALUES (?, ?, ?, ?, ?) ON CONFLICT (position) DO UPDATE SET "
                "taken_at = excluded.taken_at, version = excluded.version, "
                "state = excluded.state, signature = excluded.signature",
                *snapshot,
                signature,
            )
            self._run(
                "DELETE FROM snapshots WHERE position NOT IN "
                "(SELECT position FROM snapshots ORDER BY position DESC LIMIT ?)",
                SNAPSHOTS_KEPT,
            )

    def latest_snapshot(self) -> Snapshot | None:
        """The newest snapshot whose signature holds; verification names those that do not."""
        with self._reading():
            return queries.newest_signed(self._connection, self._signer.verifier, self.origin)

    def checkpoint(self) -> str:
        """The head as a signed note, kept in the file and in `anchors`, both durable on return."""
        with self._mutex:
            head, at = self._head, self._at
            statement = Checkpoint(self.origin, head.position, head.root, at)
            text = statement.text()
            note = self._signer.verifier.note(text, self._signer.sign(text))
            with self._writing():
                self._check_still_ours()
                self._run(
                    "INSERT INTO checkpoints (position, note) VALUES (?, ?) "
                    "ON CONFLICT (position) DO UPDATE SET note = excluded.note",
                    head.position,
                    note,
                )
            with explained(self.home):
                add_anchor(self.home, head.position, note)
        return note

    def tidy(self) -> None:
        """For when nothing else is to do: a file's write-ahead log is moved into it and cut."""
        with self._reading():
            self._place.tidy(self._connection)

    def close(self) -> None:
        """Let go of file and lock; safe to call twice."""
        with self._mutex, self._place.explained():
            self._open.close()

    # --- opening -------------------------------------------------------------------------------

    def _identify(self) -> tuple[str, Signer]:
        """The ledger's id and signer; a new file is given both, with the signed head of nothing."""
        found = queries.meta(self._connection)
        if found:
            ledger_id = found["ledger_id"]
            return ledger_id, load_signer(self.home, _origin(ledger_id), found["public_key"])
        ledger_id = secrets.token_hex(8)
        signer = make_signer(self.home, _origin(ledger_id))
        nothing = Checkpoint(_origin(ledger_id), 0, EMPTY_ROOT, 0)
        with self._place.transaction(self._driver):
            self._run("INSERT INTO meta (name, value) VALUES ('ledger_id', ?)", ledger_id)
            self._run(
                "INSERT INTO meta (name, value) VALUES ('public_key', ?)", signer.verifier.line
            )
            self._run(
                "INSERT INTO head (id, epoch, position, root, at, frontier, signature, indexed) "
                "VALUES (1, 0, 0, ?, 0, ?, ?, 0)",
                EMPTY_ROOT,
                b"",
                signer.sign(nothing.text()),
            )
        return ledger_id, signer

    def _take_over(self) -> int:
        """Raise the epoch, so that no writer of an earlier one can commit any more."""
        with self._place.transaction(self._driver):
            self._run("UPDATE head SET epoch = epoch + 1")
            row = self._run("SELECT epoch FROM head").fetchone()
        if row is None:
            raise self._broken_at(1, "the signed head is missing")
        return int(row[0])

    def _restore(self) -> tuple[Chain, int]:
        """The chain's end and that of the index, after a look at whether it is what was signed."""
        row = queries.head(self._connection)
        last = queries.last_position(self._connection)
        if row is None or last < row.position:
            first, end = last + 1, row.position if row else "?"
            raise self._broken_at(first, f"events {first}..{end} are missing")
        if last > row.position:
            raise self._broken_at(row.position + 1, "events were added behind the signed head")
        if not self._signer.verifier.holds(row.statement(self.origin).text(), row.signature):
            raise self._broken_at(row.position, "the head's signature is wrong")
        try:
            tree = Tree.from_bytes(row.position, row.frontier)
        except ValueError as error:
            raise self._broken_at(row.position, f"the head's frontier is none: {error}") from error
        if tree.root() != row.root:
            raise self._broken_at(row.position, "the head's frontier does not give its root")
        return Chain(row.at, queries.stream_ends(self._connection, self._base), tree), row.indexed

    def _broken_at(self, position: int, what: str) -> LedgerBroken:
        return LedgerBroken(
            f"{self._place}: {what}",
            position=position,
            remedy="run `portcullis ledger verify`, keep the file, and restore the newest backup",
        )

    # --- writing -------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with self._mutex, self._place.explained():
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One durable transaction of ours, or the last one."""
        with self._mutex:
            self._refuse_if_broken()
            try:
                with self._place.explained(), self._place.transaction(self._driver):
                    yield
            except BaseException as error:
                self._failure = (
                    error if isinstance(error, StoreError) else _interrupted(self._place)
                )
                raise

    def _refuse_if_broken(self) -> None:
        if self._failure is not None:
            raise StoreError(str(self._failure), remedy=self._failure.remedy)

    def _check_still_ours(self) -> None:
        if self._run("SELECT epoch FROM head").fetchone() != (self._epoch,):
            raise self._taken_over()

    def _taken_over(self) -> StoreError:
        return StoreError(
            f"{self._place}: another writer has taken over from epoch {self._epoch}",
            remedy="leave the file to one worker; stop whatever else writes it",
        )

    def _store(self, batch: Batch) -> None:
        self._place.insert_events(self._driver, batch.rows)
        for change in batch.outbox:
            if isinstance(change, Opened):
                self._run(
                    "INSERT INTO outbox (key, account, position) VALUES (?, ?, ?) "
                    "ON CONFLICT (key) DO NOTHING",
                    *change,
                )
            else:
                self._run(
                    "UPDATE outbox SET outcome = ?, concluded = ? "
                    "WHERE key = ? AND outcome IS NULL",
                    change.outcome,
                    change.position,
                    change.key,
                )
        for segment in batch.segments:
            signature = self._signer.sign(segment_text(self.origin, *segment))
            self._run("INSERT INTO segments VALUES (?, ?, ?, ?, ?)", *segment, signature)

    def _indexed_with(self, head: Head) -> int:
        """Up to where the index reaches with this head: it is not moved for every event."""
        return self._indexed if head.position - self._indexed < INDEX_EVERY else head.position

    def _index_streams(self, through: int) -> None:
        if through > self._indexed:
            self._run(
                "INSERT INTO stream_index SELECT stream, seq, position FROM events "
                "WHERE position > ? AND position <= ? ORDER BY stream, seq",
                self._indexed,
                through,
            )

    def _move_head(self, head: Head, at: int, indexed: int) -> None:
        """Sign the new head over the one this writer left, and no other."""
        statement = Checkpoint(self.origin, head.position, head.root, at)
        moved = self._run(
            "UPDATE head SET position = ?, root = ?, at = ?, frontier = ?, signature = ?, "
            "indexed = ? WHERE epoch = ? AND position = ?",
            head.position,
            head.root,
            at,
            self._chain.tree.to_bytes(),
            self._signer.sign(statement.text()),
            indexed,
            self._epoch,
            self._head.position,
        )
        if moved.rowcount != 1:
            raise self._taken_over()

    def _run(self, statement: str, *values: object) -> Any:
        return self._driver.execute(statement, values)


class SqliteLedger(StoredLedger):
    """The ledger in `<home>/ledger.db`; beside it `ledger.lock`, which its one writer holds."""

    def __init__(self, home: Path, tuning: Tuning | None = None) -> None:
        """As `StoredLedger`."""
        self.path = home / LEDGER_FILE
        super().__init__(home, SqliteFile(self.path, LEDGER, tuning))


def _origin(ledger_id: str) -> str:
    return f"portcullis/{ledger_id}"


def _interrupted(place: Place) -> StoreError:
    return StoreError(f"{place}: a write was interrupted", remedy="start the worker again")
