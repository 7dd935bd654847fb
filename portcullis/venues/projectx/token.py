"""The token: when it ends, and so when a new one must be had. One serves REST and both hubs."""

from __future__ import annotations

import base64
import binascii

import msgspec

from portcullis.clock import Clock
from portcullis.domain.model import HOUR, MINUTE, SECOND

REFRESH_BEFORE = 30 * MINUTE
LIFE, LIFE_MIN = 24 * HOUR, MINUTE


class _Claims(msgspec.Struct):
    exp: float | None = None


class Token(msgspec.Struct, frozen=True):
    """A bearer token and how long it holds. Its text never appears in a repr."""

    text: str
    life: int
    """Microseconds."""

    def is_over(self, age: int) -> bool:
        """Whether only a new login helps, so many microseconds after it came."""
        return age >= self.life

    def is_due(self, age: int) -> bool:
        """Whether it should be exchanged for a fresh one, while it still holds."""
        return age >= self.life - min(REFRESH_BEFORE, self.life // 4)

    def __repr__(self) -> str:
        return f"Token(life={self.life})"


class Stopwatch:
    """How long ago something was, by the clock of the two that ran further: the monotonic one
    stands still while a machine sleeps, and the other may be set.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.start()

    def start(self) -> None:
        self._began = self._clock.now(), self._clock.monotonic()

    def elapsed(self) -> int:
        """Microseconds since the start."""
        wall, ticks = self._began
        return max(self._clock.now() - wall, self._clock.monotonic() - ticks)


def token_of(text: str, there: int) -> Token:
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
    return Token(text, life)
