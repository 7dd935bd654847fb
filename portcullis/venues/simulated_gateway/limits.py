"""The gateway's rate limits, and the count that says whether a client ever ran into them."""

from __future__ import annotations

from collections import deque
from typing import Literal


class RateLimit:
    """At most `limit` requests in a `window` (microseconds), sliding or of fixed stretches."""

    def __init__(self, limit: int, window: int, kind: Literal["sliding", "fixed"]) -> None:
        self.limit = limit
        self._window = window
        self._kind = kind
        self._came: deque[int] = deque()
        self.refused = 0
        self.most = 0
        """The most requests that came in one window, refused ones too."""

    def take(self, now: int) -> bool:
        """Count a request; False when it is one too many."""
        begin = now - self._window if self._kind == "sliding" else now - now % self._window - 1
        while self._came and self._came[0] <= begin:
            self._came.popleft()
        self._came.append(now)
        self.most = max(self.most, len(self._came))
        if len(self._came) > self.limit:
            self.refused += 1
            return False
        return True
