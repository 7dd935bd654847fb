"""What the gateway's time is by our clock."""

from __future__ import annotations

from collections import deque

from portcullis.domain.model import MINUTE, SECOND

SKEW_KEPT = 10 * MINUTE
BELIEVED_AHEAD = 2 * SECOND


class _Fastest:
    """How far our clock is ahead by what came fastest of late, which bounds it best."""

    def __init__(self) -> None:
        self._seen: deque[tuple[int, int]] = deque()

    def note(self, came_at: int, ahead: int) -> None:
        while self._seen and self._seen[-1][1] >= ahead:
            self._seen.pop()
        self._seen.append((came_at, ahead))
        while self._seen[0][0] < came_at - SKEW_KEPT:
            self._seen.popleft()

    def ahead(self) -> int | None:
        return self._seen[0][1] if self._seen else None


class Skew:
    """The gateway's time by ours, the monotonic one: setting the machine's clock moves nothing.

    Messages tell it exactly. Before the first the seconds that answers name must do, which is up to
    a second early: what is dated too late would hide what follows. Nor is a message believed that
    is ahead of those seconds.
    """

    def __init__(self) -> None:
        self._told, self._named = _Fastest(), _Fastest()

    def note_second(self, begins_at: int, came_at: int) -> None:
        """Take the second that an answer names, and our time when it came."""
        self._named.note(came_at, came_at - begins_at)

    def note(self, told_at: int, came_at: int) -> None:
        """Take the gateway's time of something, and ours when it came."""
        ahead, named = came_at - told_at, self._named.ahead()
        if named is None or ahead >= named - BELIEVED_AHEAD:
            self._told.note(came_at, ahead)

    def there(self, here: int) -> int | None:
        """The gateway's time at ours; None where nothing is known."""
        told = self._told.ahead()
        ahead = self._named.ahead() if told is None else told
        return None if ahead is None else here - ahead
