"""The daily records in a small SQLite file of the operations side, one per account and day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from portcullis.errors import StoreTooNew
from portcullis.store.database import (
    connect_reader,
    driver_of,
    explained,
    open_writer,
    transaction,
)

RECORDS_FILE = "records.db"
SCHEMA_VERSION = 1
CURVE_POINTS = 400

_SCHEMA = """
CREATE TABLE IF NOT EXISTS account_records (
    account TEXT NOT NULL, trading_day TEXT NOT NULL, follows TEXT,
    reset_at INTEGER NOT NULL, taken_at INTEGER NOT NULL, written_at INTEGER NOT NULL,
    made_up INTEGER NOT NULL, position INTEGER NOT NULL, currency TEXT NOT NULL,
    balance INTEGER NOT NULL, opening INTEGER NOT NULL,
    realized INTEGER NOT NULL, open INTEGER NOT NULL, equity INTEGER NOT NULL,
    locked INTEGER NOT NULL, positions INTEGER NOT NULL, orders INTEGER NOT NULL, can_trade INTEGER,
    PRIMARY KEY (account, trading_day)
) STRICT
"""
_NEWEST = """
SELECT account, trading_day, reset_at FROM account_records r
WHERE trading_day = (SELECT max(trading_day) FROM account_records WHERE account = r.account)
"""
_CURVE = """
SELECT equity FROM account_records WHERE account = ? ORDER BY trading_day DESC LIMIT ?
"""


class AccountRecord(msgspec.Struct, frozen=True):
    """One account at one reset. Money in micro-units, times in microseconds.

    `trading_day` is the day that the reset begins, `follows` the one before it where that was
    recorded; `taken_at` is the moment whose figures these are, `written_at` when they were written;
    `made_up` says that they were derived from the ledger later. `opening` is the balance at the
    start of the day that was under way then.
    """

    account: str
    trading_day: str
    follows: str | None
    reset_at: int
    taken_at: int
    written_at: int
    made_up: bool
    position: int
    currency: str
    balance: int
    opening: int
    realized: int
    open: int
    equity: int
    locked: bool
    positions: int
    orders: int
    can_trade: bool | None


COLUMNS = AccountRecord.__struct_fields__
_INSERT = (
    f"INSERT INTO account_records ({', '.join(COLUMNS)}) "  # noqa: S608 - our own names
    f"VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT DO NOTHING"
)


class Newest(msgspec.Struct, frozen=True):
    """The newest trading day that is recorded of an account, and the reset (us) that began it."""

    trading_day: str
    reset_at: int


def newest_records(path: Path) -> dict[str, Newest]:
    """The newest record of each account; none where the file is not there yet."""
    if not path.exists():
        return {}
    with explained(path), _reading(path) as connection:
        return {row[0]: Newest(row[1], row[2]) for row in connection.execute(_NEWEST)}


def add_records(path: Path, records: Sequence[AccountRecord]) -> None:
    """Write records durably, all or none; of a day that is there already nothing changes.

    Raises StoreError, or StoreTooNew where a newer version wrote the file.
    """
    with explained(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = open_writer(path)
        try:
            with engine.connect() as connection:
                driver = driver_of(connection)
                _establish(driver, path)
                with transaction(driver):
                    driver.executemany(_INSERT, [msgspec.structs.astuple(r) for r in records])
        finally:
            engine.dispose()


def equity_curve(path: Path, account: str) -> list[int]:
    """The account's equity in its newest records, oldest first, in micro-units."""
    with explained(path), _reading(path) as connection:
        found = connection.execute(_CURVE, (account, CURVE_POINTS)).fetchall()
    return [row[0] for row in found[::-1]]


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    connection = connect_reader(path)
    try:
        yield connection
    finally:
        connection.close()


def _establish(driver: Any, path: Path) -> None:
    (version,) = driver.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise StoreTooNew(
            f"{path}: written by a newer version (schema {version})",
            remedy="install the newer version again, or move the file away",
        )
    if version < SCHEMA_VERSION:
        with transaction(driver):
            driver.execute(_SCHEMA)
            driver.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
