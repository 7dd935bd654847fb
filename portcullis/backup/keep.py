"""Which backups are kept: the newest of each of the last hours, days, weeks and months."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import NamedTuple


class Kept(NamedTuple):
    """How many of each are kept."""

    hourly: int = 24
    daily: int = 7
    weekly: int = 5
    monthly: int = 12


def superfluous(
    made: Sequence[tuple[str, int]], verified: Collection[str], kept: Kept | None = None
) -> list[str]:
    """The names that may go, of backups given with their times (microseconds).

    The newest of all and the newest verified one always stay, whatever their age.
    """
    kept = kept or Kept()
    newest_first = sorted(made, key=lambda each: (each[1], each[0]), reverse=True)
    stay = {name for name, _ in newest_first[:1]}
    stay |= set([name for name, _ in newest_first if name in verified][:1])
    for form, count in (
        ("%Y%m%d%H", kept.hourly),
        ("%Y%m%d", kept.daily),
        ("%G%V", kept.weekly),
        ("%Y%m", kept.monthly),
    ):
        of_period: dict[str, str] = {}
        for name, at in newest_first:
            moment = datetime.fromtimestamp(at // 1_000_000, UTC)
            of_period.setdefault(moment.strftime(form), name)
        stay |= set(list(of_period.values())[:count])
    return [name for name, _ in sorted(made, key=lambda each: each[1]) if name not in stay]
