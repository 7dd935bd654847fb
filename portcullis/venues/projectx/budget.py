"""Request budgets, kept on our side: what the gateway would refuse is not sent.

Whether its windows slide or are fixed is not documented, so no stretch of time of a window's length
may hold more than the limit, which satisfies both. Requests that were sent a window apart may
arrive closer together; `SLACK` makes up for that.
"""

from __future__ import annotations

from collections import deque

from portcullis.domain.model import SECOND
from portcullis.venues.projectx.spent import Forgotten, Spent

SLACK = SECOND


class Budget:
    """At most `limit` requests in any `window` (microseconds), the last `reserve` of them only for
    what protects an account.
    """

    def __init__(
        self, limit: int, window: int, reserve: int = 0, spent: Spent | None = None
    ) -> None:
        """`spent` is what outlives this process: requests sent before it count too."""
        if not 0 <= reserve < limit:
            raise ValueError(f"a reserve of {reserve} leaves nothing of {limit}")
        self.limit = limit
        self.reserve = reserve
        self._window = window + SLACK
        self._spent = spent or Forgotten()
        self._sent: deque[int] = deque()
        self._is_new = True

    def take(self, now: int, *, protective: bool = False) -> int:
        """Count a request sent at `now` (microseconds, never running backwards) and answer 0; or
        count nothing and answer how long to wait until it may be asked again.
        """
        self._forget(now)
        most = self.limit if protective else self.limit - self.reserve
        if len(self._sent) < most:
            self._sent.append(now)
            self._spent.note(now)
            return 0
        return self._sent[len(self._sent) - most] + self._window - now

    def left(self, now: int) -> int:
        """How many requests of any kind may still be sent now."""
        self._forget(now)
        return self.limit - len(self._sent)

    def exhaust(self, now: int) -> None:
        """The gateway said that the budget is used up: somebody else spends from it too. What is
        kept for protection is left, since nobody knows when there is room again.
        """
        self._forget(now)
        for _ in range(self.limit - self.reserve - len(self._sent)):
            self._sent.append(now)
            self._spent.note(now)

    def _forget(self, now: int) -> None:
        if self._is_new:
            self._sent.extend(self._spent.times(now))
            self._is_new = False
        while self._sent and self._sent[0] <= now - self._window:
            self._sent.popleft()
