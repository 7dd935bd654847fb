"""Connections to a server, and what went wrong with them, in words with a remedy.

They take statements with question marks, as SQLite's do, so that the store's are written once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import psycopg
from psycopg.abc import Buffer, Params
from psycopg.adapt import Loader
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from portcullis.errors import StoreAway, StoreError, StoreLocked
from portcullis.store.postgres.address import Address

LOCK_SECONDS = 5
"""How long a statement waits for another's lock."""

TAKEOVER_SECONDS = 2
"""How long a new writer waits for the end of one that has just died."""

FROZEN_SECONDS = 30
"""A writer that stops in the middle of a transaction for so long loses it, and its connection."""

_BY_STATE = {
    "28": "mend the user or password of PORTCULLIS_STORE_URL",
    "3D": "make the database: `createdb NAME`, or name another in PORTCULLIS_STORE_URL",
    "42501": "let this user create in the database, or make the schemas `ledger` and `inbox` his",
    "25006": "the server only reads: name the primary server in PORTCULLIS_STORE_URL",
    "53100": "free space on the server's disk, then start again",
    "53300": "raise max_connections of the server, or stop what holds its connections",
    "57P": "start the server again, then the worker; see the server's log",
    "55P03": "see pg_stat_activity for who holds the lock, and end that session",
    "40": "another session is in the way; start again",
    "XX": "look at the server's log and disk; restore from a backup where data is damaged",
    "58": "look at the server's log and disk",
}
_BY_WORDS = (
    ("password", "mend the user or password of PORTCULLIS_STORE_URL"),
    ("authentication", "mend the user of PORTCULLIS_STORE_URL, or the server's pg_hba.conf"),
    ("does not exist", "make the role and the database: `createuser NAME`, `createdb NAME`"),
    ("too many", "raise max_connections of the server, or stop what holds its connections"),
    ("starting up", "wait until the server has recovered, then start again"),
)
_AWAY = "start the server, or mend host and port of PORTCULLIS_STORE_URL"
_PASSING = (_AWAY, _BY_STATE["57P"], _BY_WORDS[-1][1])


class MarkCursor(psycopg.Cursor[Any]):
    """Takes question marks for values; bytes and numbers come and go as they are."""

    def execute(self, query: Any, params: Params | None = None, **options: Any) -> Any:
        return super().execute(_numbered(query), params, **{"binary": True, **options})

    def executemany(self, query: Any, params_seq: Any, **options: Any) -> None:
        super().executemany(_numbered(query), params_seq, **options)


@lru_cache(maxsize=512)
def _numbered(query: Any) -> Any:
    return query.replace("?", "%s") if isinstance(query, str) else query


class LosableConnection(psycopg.Connection[Any]):
    """One that was lost can be let go of like any other: there is nothing to undo."""

    def rollback(self) -> None:
        if not self.closed:
            super().rollback()


class BytesLoader(Loader):
    """Texts as bytes."""

    def load(self, data: Buffer) -> bytes:
        return bytes(data)


class BinaryBytesLoader(BytesLoader):
    """Texts as bytes, where they come in binary."""

    format = psycopg.pq.Format.BINARY


def connect(address: Address, schema: str, *, writes: bool) -> psycopg.Connection[Any]:
    """A connection to a schema; its commits are durable, and it begins nothing by itself."""
    name = f"portcullis {schema} {'writer' if writes else 'reader'}"
    given = {"application_name": name, **address.parameters}
    connection = LosableConnection.connect(autocommit=True, cursor_factory=MarkCursor, **given)  # type: ignore[arg-type]
    psycopg.Cursor(connection).execute(
        f"SET search_path TO {schema}; SET lock_timeout = '{LOCK_SECONDS}s'; "
        f"SET idle_in_transaction_session_timeout = '{FROZEN_SECONDS}s'; "
        + (_DURABLE if writes else "SET default_transaction_read_only = on")
    )
    return connection


# What is stricter (remote_apply) stays as the server has it.
_DURABLE = """
SELECT set_config('synchronous_commit', 'on', false)
WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');
SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3
"""


@contextmanager
def transaction(driver: Any) -> Iterator[None]:
    """A transaction: committed as a whole, or rolled back."""
    driver.execute("BEGIN")
    try:
        yield
        driver.execute("COMMIT")
    except BaseException:
        with suppress(psycopg.Error):
            driver.execute("ROLLBACK")
        raise


@contextmanager
def explained(where: object) -> Iterator[None]:
    """Turn what the server or the system raises into a StoreError naming place and remedy."""
    try:
        yield
    except (SQLAlchemyError, psycopg.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        says = " ".join(str(cause).split())
        state = getattr(cause, "sqlstate", None) or ""
        remedy = _remedy(state, says)
        kind: type[StoreError] = StoreLocked if state == "55P03" else StoreError
        if remedy in _PASSING:
            kind = StoreAway
        raise kind(f"{where}: {says}", remedy=remedy) from None
    except OSError as error:
        raise StoreAway(f"{where}: {error.strerror or error}", remedy=_AWAY) from error


def _remedy(state: str, says: str) -> str:
    for start, remedy in _BY_STATE.items():
        if state.startswith(start):
            return remedy
    if state:
        return "look at the server's log; nothing half done was kept"
    return next((remedy for words, remedy in _BY_WORDS if words in says.lower()), _AWAY)
