"""The ledger on a server."""

from __future__ import annotations

from collections.abc import Sequence

from portcullis.domain.events import CommandIssued
from portcullis.errors import UsageError
from portcullis.ports import Entry, Head
from portcullis.store.ledger import StoredLedger


class PostgresLedger(StoredLedger):
    """The ledger in the schema `ledger`. Its one writer holds an advisory lock, which goes with
    the connection; the epoch in the head's row keeps out one that lost it without knowing. Keys
    and anchors stay in the home.
    """

    def append(self, entries: Sequence[Entry]) -> Head:
        """As `StoredLedger.append`; no text of a server holds a zero byte."""
        for entry in entries:
            if "\0" in entry.stream or "\0" in entry.trace or _has_zero(entry):
                raise UsageError(
                    f"an event of {entry.stream!r} holds a zero byte, which cannot be stored",
                    remedy="look at where the event was made; nothing was written",
                )
        return super().append(entries)


def _has_zero(entry: Entry) -> bool:
    event = entry.event
    return isinstance(event, CommandIssued) and ("\0" in event.key or "\0" in event.account)
