"""Moments as people write them on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from portcullis.errors import UsageError


def instant(text: str, option: str) -> int:
    """Microseconds of a time in ISO form, UTC unless it names a zone; raises UsageError."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1_000_000)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"{option}: {text!r} is not a time", remedy="give it as 2026-03-02T14:30:00"
        ) from error
