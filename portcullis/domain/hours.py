"""Opening hours as a person sets them, and what is wrong with them."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from portcullis.domain.session import Window
from portcullis.domain.units import Minute, Weekday, Zone


class Hours(msgspec.Struct, frozen=True, forbid_unknown_fields=True, cache_hash=True):
    """Opening hours in a zone's wall time; an `end` at or before `start` runs past midnight."""

    start: Minute
    end: Minute
    zone: Zone = "America/Chicago"
    days: tuple[Weekday, ...] = (0, 1, 2, 3, 4)
    overnight: bool = False


@lru_cache(maxsize=1024)
def windows_of(hours: tuple[Hours, ...], flat_by: int | None, zone: str) -> tuple[Window, ...]:
    """The windows of opening hours, each ended by `flat_by` (of `zone`) where that comes first."""
    return tuple(
        _clipped(Window(each.zone, each.start, each.end, each.days), flat_by, zone)
        for each in hours
    )


def _clipped(window: Window, flat_by: int | None, zone: str) -> Window:
    if flat_by is None or window.zone != zone:
        return window
    runs_over = window.end <= window.start
    if runs_over == (flat_by <= window.start):
        return Window(window.zone, window.start, min(window.end, flat_by), window.days)
    return window


def contradictions(key: str, hours: tuple[Hours, ...]) -> tuple[tuple[str, str], ...]:
    """Opening hours that cannot be meant: (key, what is wrong)."""
    faults: list[tuple[str, str]] = []
    for each in hours:
        if each.start == each.end:
            faults.append((key, "a session that starts when it ends is never open"))
        elif each.end < each.start and not each.overnight:
            faults.append((key, "the end is before the start; if it is meant: overnight: true"))
        elif each.end > each.start and each.overnight:
            faults.append((key, "overnight: true, but the end is after the start"))
        if not each.days:
            faults.append((key, "no weekday at all is never open"))
    if not hours:
        faults.append((key, "no session at all is never open; give at least one"))
    return tuple(faults)
