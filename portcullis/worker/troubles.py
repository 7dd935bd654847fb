"""How often something goes wrong: the figure behind "errors per minute"."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from portcullis.domain.events import (
    AnyFact,
    AuthorizationLost,
    BoundReached,
    CommandConcluded,
    DataFault,
    Reconciled,
    VenueLinked,
)
from portcullis.domain.model import MINUTE

WINDOW = 5 * MINUTE
KEPT_MAX = 10_000

_ALWAYS: Callable[[Any], bool] = lambda _: True  # noqa: E731
_TROUBLES: dict[type, Callable[[Any], bool]] = {
    DataFault: _ALWAYS,
    BoundReached: _ALWAYS,
    AuthorizationLost: _ALWAYS,
    Reconciled: lambda fact: not fact.ok,
    VenueLinked: lambda fact: not fact.connected,
    CommandConcluded: lambda fact: fact.outcome in ("refused", "unconfirmed"),
}


class Troubles:
    """The times (microseconds) of what went wrong lately."""

    def __init__(self) -> None:
        self._times: deque[int] = deque(maxlen=KEPT_MAX)

    def note(self, fact: AnyFact, now: int) -> None:
        """Count the fact if it tells of something that went wrong."""
        is_trouble = _TROUBLES.get(type(fact))
        if is_trouble is not None and is_trouble(fact):
            self._times.append(now)

    def per_minute(self, now: int) -> float:
        """The mean over the last five minutes."""
        while self._times and self._times[0] <= now - WINDOW:
            self._times.popleft()
        return len(self._times) * MINUTE / WINDOW
