"""Cutting a copy of a ledger back to an earlier event, signed anew by the ledger's own key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from portcullis.errors import NotFound, StoreError
from portcullis.store import queries
from portcullis.store.base import Base, base_of
from portcullis.store.database import (
    LEDGER_FILE,
    driver_of,
    explained,
    open_writer,
    transaction,
    without_guards,
)
from portcullis.store.keys import load_signer
from portcullis.store.merkle import Tree
from portcullis.store.note import Checkpoint

CHUNK = 10_000


def cut(home: Path, position: int) -> None:
    """Make the ledger in `home` end with the event at `position`.

    Everything stated about later events goes with them; the head is signed anew, so that the key
    must lie beside the file. Raises NotFound where there is no such event, StoreError.
    """
    path = home / LEDGER_FILE
    with explained(path), open_writer(path).connect() as connection:
        driver = driver_of(connection)
        facts = queries.meta(connection)
        origin = f"portcullis/{facts['ledger_id']}"
        signer = load_signer(home, origin, facts["public_key"])
        base = base_of(connection, signer.verifier)
        row = driver.execute("SELECT at FROM events WHERE position = ?", (position,)).fetchone()
        if row is None or (base is not None and position <= base.position):
            raise NotFound(
                f"{path}: there is no event {position}", remedy="name one that the backup holds"
            )
        with transaction(driver):
            with without_guards(driver):
                _drop_later(driver, position)
            tree = _tree(driver, base)
            if tree.size != position:
                raise StoreError(
                    f"{path}: {position - tree.size} events before {position} are missing",
                    remedy="verify this backup and choose another",
                )
            statement = Checkpoint(origin, position, tree.root(), row[0])
            driver.execute(
                "UPDATE head SET position = ?, root = ?, at = ?, frontier = ?, signature = ?, "
                "indexed = min(indexed, ?)",
                (
                    position,
                    tree.root(),
                    row[0],
                    tree.to_bytes(),
                    signer.sign(statement.text()),
                    position,
                ),
            )
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        driver.execute("VACUUM")


def _drop_later(driver: Any, position: int) -> None:
    """Delete what is later."""
    for statement in (
        "DELETE FROM events WHERE position > ?",
        "DELETE FROM stream_index WHERE position > ?",
        "DELETE FROM segments WHERE last > ?",
        "DELETE FROM checkpoints WHERE position > ?",
        "DELETE FROM snapshots WHERE position > ?",
        "DELETE FROM outbox WHERE position > ?",
        "UPDATE outbox SET outcome = NULL, concluded = NULL WHERE concluded > ?",
    ):
        driver.execute(statement, (position,))


def _tree(driver: Any, base: Base | None) -> Tree:
    tree = base.tree() if base else Tree()
    for leaves in _leaves(driver, tree.size):
        tree.extend(leaves)
    return tree


def _leaves(driver: Any, after: int) -> Iterator[list[bytes]]:
    cursor = driver.execute(
        "SELECT hash FROM events WHERE position > ? ORDER BY position", (after,)
    )
    while rows := cursor.fetchmany(CHUNK):
        yield [bytes(row[0]) for row in rows]
