"""The writer's part in retiring: a base that is of this past, and dropping what is before it."""

from __future__ import annotations

from typing import Any

import msgspec

from portcullis.errors import UsageError
from portcullis.store.base import Base, base_text
from portcullis.store.database import without_guards
from portcullis.store.merkle import Tree
from portcullis.store.note import Signer

HASHES_AT_ONCE = 10_000


def judged(driver: Any, body: bytes, before: Base | None, latest: int) -> Base:
    """The base of these bytes. Raises UsageError unless it is of these events' past, behind the
    base before it, and at or before position `latest`.
    """
    try:
        base = Base.from_bytes(body)
    except (ValueError, msgspec.MsgspecError) as error:
        raise _not_its_past(str(error)) from error
    now = before.position if before else 0
    if not now < base.position <= latest:
        raise _not_its_past(f"it ends at {base.position}; allowed: behind {now}, up to {latest}")
    tree = before.tree() if before else Tree()
    cursor = driver.execute(
        "SELECT hash FROM events WHERE position > ? AND position <= ? ORDER BY position",
        (tree.size, base.position),
    )
    while rows := cursor.fetchmany(HASHES_AT_ONCE):
        tree.extend([row[0] for row in rows])
    if tree.size != base.position or tree.to_bytes() != base.peaks:
        raise _not_its_past("its frontier is not that of these events")
    return base


def put_base(driver: Any, base: Base, body: bytes, signer: Signer) -> None:
    """Within a transaction: sign the base and let the ledger begin with it."""
    origin = signer.verifier.name
    statement = base.checkpoint(origin).text()
    note = signer.verifier.note(statement, signer.sign(statement))
    signature = signer.sign(base_text(origin, base.position, body))
    driver.execute(
        "INSERT OR REPLACE INTO base VALUES (1, ?, ?, ?, ?)",
        (base.position, body, note, signature),
    )
    driver.execute("DELETE FROM snapshots WHERE position < ?", (base.position,))


def still_there(driver: Any, base: Base, most: int) -> tuple[int, int]:
    """The first and last of at most so many events before the base that were not dropped yet; the
    last is before the first where there are none.
    """
    (first,) = driver.execute("SELECT min(position) FROM events").fetchone()
    return first, min(first + most - 1, base.position)


def drop(driver: Any, last: int) -> None:
    """Within a transaction: drop the events up to `last`, and what leads to them."""
    with without_guards(driver):
        rows = driver.execute("SELECT stream, seq FROM events WHERE position <= ?", (last,))
        driver.executemany("DELETE FROM stream_index WHERE stream = ? AND seq = ?", rows.fetchall())
        driver.execute("DELETE FROM events WHERE position <= ?", (last,))


def _not_its_past(why: str) -> UsageError:
    return UsageError(
        f"this is no base of this ledger: {why}",
        remedy="derive it from the ledger as it is; nothing was changed",
    )
