"""How long a channel is spared, and what happens to all waits when the clock is set back. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from portcullis.alerts.alert import Alert, Subscription, Terms
from portcullis.alerts.book import Book
from portcullis.domain.model import MINUTE
from portcullis.domain.session import opening


def quiet_until(
    subscriptions: Iterable[Subscription], alert: Alert, channel: str, now: int
) -> int | None:
    """The end of the quiet hours, where every subscription that wants it has them now."""
    ends = []
    for each in subscriptions:
        if each.channel == channel and each.wants(alert):
            is_quiet, changes = opening(now, (each.quiet,), None) if each.quiet else (False, None)
            if not is_quiet or changes is None:
                return None
            ends.append(changes)
    return min(ends, default=None)


def storm_until(book: Book, terms: Terms, channel: str, now: int) -> int | None:
    """A channel that had its messages is spared for the whole time, then told all in one."""
    until = book.storms.get(channel, 0)
    if until > now:
        return until
    since = now - terms.storm_within
    lately = [at for at in book.sent.get(channel, ()) if at > max(since, until)]
    book.sent[channel] = lately
    if len(lately) < terms.storm_messages:
        return None
    book.storms[channel] = now + terms.storm_within
    return book.storms[channel]


def set_back(book: Book, by: int, now: int) -> None:
    """The clock went back by so much, to `now`: everything stays as far off as it was."""
    for alert in book.alerts.values():
        alert.due = {channel: at - by for channel, at in alert.due.items()}
        for told in alert.told.values():
            told.last_at -= by
        if alert.acknowledged_at:
            alert.acknowledged_at -= by
        if alert.resolved_at:
            alert.resolved_at -= by
        book.changed[alert.id] = None
    for silence in book.silences.values():
        if silence.start <= now + by + MINUTE:  # one that is to come begins at its hour
            silence.start, silence.end = silence.start - by, silence.end - by
    book.sent = {channel: [at - by for at in times] for channel, times in book.sent.items()}
    book.storms = {channel: until - by for channel, until in book.storms.items()}
