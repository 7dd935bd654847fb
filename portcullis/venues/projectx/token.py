"""The token: when it ends, and so when a new one must be had. One serves REST and both hubs."""

from __future__ import annotations

import base64
import binascii

import msgspec

from portcullis.domain.model import HOUR, MINUTE, SECOND

REFRESH_BEFORE = 30 * MINUTE
LIFE, LIFE_MIN = 24 * HOUR, MINUTE


class _Claims(msgspec.Struct):
    exp: float | None = None


class Token(msgspec.Struct, frozen=True):
    """A bearer token that came at a moment of the monotonic clock and holds for `life`, both
    microseconds. Its text never appears in a repr.
    """

    text: str
    came_at: int
    life: int

    def is_over(self, now: int) -> bool:
        """Whether only a new login helps, at a moment of the monotonic clock."""
        return now >= self.came_at + self.life

    def is_due(self, now: int) -> bool:
        """Whether it should be exchanged for a fresh one, while it still holds."""
        return now >= self.came_at + self.life - min(REFRESH_BEFORE, self.life // 4)

    def __repr__(self) -> str:
        return f"Token(came_at={self.came_at}, life={self.life})"


def token_of(text: str, there: int, came_at: int) -> Token:
    """A token with the life that its own claims tell at the gateway's time `there`, or of a day
    where they tell none. Whatever clock is wrong, one that was just made is taken to hold a while.
    """
    try:
        claims = text.split(".")[1]
        padded = claims + "=" * (-len(claims) % 4)
        told = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Claims).exp
    except (IndexError, ValueError, binascii.Error, msgspec.MsgspecError):
        told = None
    life = LIFE if told is None else max(LIFE_MIN, int(told * SECOND) - there)
    return Token(text, came_at, life)
