"""Quiet hours as a person writes them: `22:00-07:00 Europe/Berlin`, on every day of the week."""

from __future__ import annotations

from portcullis.config.reader import parse
from portcullis.config.scalars import Unreadable
from portcullis.domain.session import Window
from portcullis.domain.units import Minute, Zone

EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)
HINT = "two times and a zone, as 22:00-07:00 Europe/Berlin"


class NotHours(ValueError):
    """The text is no quiet hours; says what they look like."""


def quiet_hours(text: str) -> Window:
    """The hours of a text; an end before the start is on the next day. Raises NotHours."""
    hours, _, zone = text.strip().partition(" ")
    start, separator, end = hours.partition("-")
    try:
        window = Window(
            parse(Zone, zone.strip()), parse(Minute, start), parse(Minute, end), EVERY_DAY
        )
    except Unreadable as error:
        raise NotHours(f"{text!r}: {error}; give {HINT}") from error
    if not separator or window.start == window.end:
        raise NotHours(f"{text!r} are no hours; give {HINT}")
    return window


def shown(window: Window) -> str:
    """Quiet hours as they are written."""
    start, end = (f"{minute // 60:02d}:{minute % 60:02d}" for minute in (window.start, window.end))
    return f"{start}-{end} {window.zone}"
