"""The inbox in a database: a file or schema of its own, many short writers, one taker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

import msgspec

from portcullis.domain.model import Verdict
from portcullis.errors import UsageError
from portcullis.ports import Inbox, InboxAnswer, InboxRequest
from portcullis.store.database import INBOX_FILE, Tuning, driver_of
from portcullis.store.place import INBOX, Place, SqliteFile

WAITING_MOST = 10_000
KEPT_MOST = 100_000  # answered requests that are remembered; a request id is unique among these

_REQUEST = "number, request_id, verb, by, role, body, asked_at"


class StoredInbox:
    """`ports.Inbox` in a place of the store. Each process opens its own; threads may share one.

    A writer waits for the others, `BUSY_SECONDS` at most, then raises StoreError.
    """

    def __init__(self, place: Place) -> None:
        """Open the inbox, making it where there is none yet."""
        self._place = place
        self._mutex = RLock()
        with place.explained():
            self._connect()

    def ask(
        self, request_id: str, verb: str, by: str, role: str, body: bytes, asked_at: int
    ) -> None:
        """As `ports.Inbox.ask`; durable on return. UsageError when `WAITING_MOST` wait already."""
        with self._writing():
            if self._one("SELECT count(*) FROM requests WHERE outcome IS NULL")[0] >= WAITING_MOST:
                raise UsageError(
                    f"{WAITING_MOST} requests wait for the worker already",
                    remedy="see whether the worker runs, and ask again when it has caught up",
                )
            self._driver.execute(
                "INSERT INTO requests (number, request_id, verb, by, role, body, asked_at) "
                "VALUES ((SELECT coalesce(max(number), 0) + 1 FROM requests), ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT (request_id) DO NOTHING",
                (request_id, verb, by, role, body, asked_at),
            )

    def waiting(self, limit: int, verbs: Sequence[str] = ()) -> list[InboxRequest]:
        among = f"AND verb IN ({', '.join('?' * len(verbs))}) " if verbs else ""
        with self._reading():
            found = self._driver.execute(
                f"SELECT {_REQUEST} FROM requests WHERE outcome IS NULL {among}"
                "ORDER BY number LIMIT ?",
                (*verbs, limit),
            )
            return [InboxRequest._make(row) for row in found.fetchall()]

    def answer(self, answers: Sequence[InboxAnswer]) -> None:
        """Store what became of requests; the first answer to each stands."""
        if not answers:
            return
        with self._writing():
            for request_id, outcome, detail, position in answers:
                self._driver.execute(
                    "UPDATE requests SET outcome = ?, detail = ?, position = ? "
                    "WHERE request_id = ? AND outcome IS NULL",
                    (outcome, detail, position, request_id),
                )
            self._driver.execute(
                "DELETE FROM requests WHERE outcome IS NOT NULL "
                "AND number <= (SELECT max(number) FROM requests) - ?",
                (KEPT_MOST,),
            )

    def answer_to(self, request_id: str) -> InboxAnswer | None:
        with self._reading():
            row = self._one(
                "SELECT request_id, outcome, detail, position FROM requests "
                "WHERE request_id = ? AND outcome IS NOT NULL",
                request_id,
            )
        return None if row is None else InboxAnswer._make(row)

    def close(self) -> None:
        """Let go of it; safe to call twice."""
        with self._mutex, self._place.explained():
            self._open.close()

    def _connect(self) -> None:
        with ExitStack() as opening:
            self._driver = driver_of(opening.enter_context(self._place.writer()))
            self._open = opening.pop_all()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """One at a time; a connection that was lost before is made anew."""
        with self._mutex, self._place.explained():
            if self._place.is_lost(self._driver):
                self._open.close()
                self._connect()
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._reading(), self._place.transaction(self._driver):
            self._place.take_turns(self._driver)
            yield

    def _one(self, statement: str, *values: object) -> Any:
        return self._driver.execute(statement, values).fetchone()


class SqliteInbox(StoredInbox):
    """The inbox in `<home>/inbox.db`."""

    def __init__(self, home: Path, tuning: Tuning | None = None) -> None:
        """As `StoredInbox`."""
        self.path = home / INBOX_FILE
        super().__init__(SqliteFile(self.path, INBOX, tuning))


def leave_verdict(inbox: Inbox, verdict: Verdict, by: str) -> str:
    """Put a verdict into the inbox; the answer is its request id. The same again changes nothing.

    Raises StoreError when the inbox cannot be written.
    """
    request_id = f"verdict-{verdict.name}-{verdict.run_id}-{verdict.checked_at}"
    body = msgspec.msgpack.encode(verdict)
    inbox.ask(request_id, "verdict", by, "operator", body, verdict.checked_at)
    return request_id
