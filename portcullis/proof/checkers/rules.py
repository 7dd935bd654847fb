"""The rules' text, judged a second time by code that shares nothing with the engine."""

from __future__ import annotations

from collections.abc import Iterator

from portcullis.audit.inquiry import audit
from portcullis.errors import UsageError
from portcullis.proof.checkers.record import Record
from portcullis.store.export import line_of

SHOWN = 5


def the_audit_agrees(record: Record) -> Iterator[str]:
    """What the rules demand of this ledger is in it, and nothing that they do not."""
    try:
        report = audit((line_of(row) for row in record.rows), "the run")
    except UsageError as error:
        yield f"the ledger cannot be audited: {error}"
        return
    for each in report.differences[:SHOWN]:
        yield (
            f"event {each.position}, {each.account}, {each.rule}: {each.kind}; expected "
            f"{each.expected}, found {each.found}"
        )
