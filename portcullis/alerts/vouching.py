"""What the sender says of itself: that what is critical gets through, or why not."""

from __future__ import annotations

from collections.abc import Collection

from portcullis.alerts.book import Book
from portcullis.alerts.outbox import Outbox
from portcullis.domain.model import DAY, MINUTE, SECOND, Verdict

VOUCH_LASTS = 60 * SECOND
CRITICAL_LATE = MINUTE
GIVEN_UP_SINCE = DAY
NAMED_MAX = 5


def verdict(
    outbox: Outbox, book: Book, channels: Collection[str], problem: str, now: int
) -> Verdict:
    """The verdict `alerts` at a time; `problem` is what is known to be wrong. Raises StoreError."""
    if problem:
        passed, summary = False, problem
    elif late := outbox.late("critical", now - CRITICAL_LATE):
        passed, summary = False, f"{late} critical messages have waited for more than a minute"
    elif nobody := _unreached(outbox, book, now):
        passed, summary = False, f"critical alerts reached nobody: {', '.join(nobody)}"
    else:
        names = ", ".join(channels) or "no channel is connected"
        passed, summary = True, f"{len(book.open)} alerts open; channels: {names}"
    return Verdict("alerts", passed, now, now + VOUCH_LASTS, summary, "sender")


def _unreached(outbox: Outbox, book: Book, now: int) -> list[str]:
    """Open critical alerts that nobody has seen and that every channel refused."""
    told = [
        alert.id
        for alert in book.alerts.values()
        if alert.severity == "critical" and alert.state == "firing" and alert.told
    ]
    return outbox.reached_nobody(told, now - GIVEN_UP_SINCE)[:NAMED_MAX] if told else []
