"""The writer's part in retiring: a base that is of this past, and dropping what is before it."""

from __future__ import annotations

from typing import Any

import msgspec

from portcullis.errors import UsageError
from portcullis.store.base import Base, base_text
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
    for start in range(tree.size, base.position, HASHES_AT_ONCE):
        rows = driver.execute(
            "SELECT hash FROM events WHERE position > ? AND position <= ? ORDER BY position",
            (start, min(start + HASHES_AT_ONCE, base.position)),
        ).fetchall()
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
        "INSERT INTO base (id, position, body, note, signature) VALUES (1, ?, ?, ?, ?) "
        "ON CONFLICT (id) DO UPDATE SET position = excluded.position, body = excluded.body, "
        "note = excluded.note, signature = excluded.signature",
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
    """Within a transaction, without guards: drop the events up to `last`, and what leads there."""
    driver.execute(
        "DELETE FROM stream_index WHERE (stream, seq) IN "
        "(SELECT stream, seq FROM events WHERE position <= ?)",
        (last,),
    )
    driver.execute("DELETE FROM events WHERE position <= ?", (last,))


def _not_its_past(why: str) -> UsageError:
    return UsageError(
        f"this is no base of this ledger: {why}",
        remedy="derive it from the ledger as it is; nothing was changed",
    )
