"""The token: when it ends, and so when a new one must be had. One serves REST and both hubs."""

from __future__ import annotations

import base64
import binascii

import msgspec

from portcullis.domain.model import HOUR, MINUTE, SECOND

REFRESH_BEFORE = 30 * MINUTE
LIFE = 24 * HOUR


class _Claims(msgspec.Struct):
    exp: float | None = None


class Token(msgspec.Struct, frozen=True):
    """A bearer token and the microsecond at which it ends. Its text never appears in a repr."""

    text: str
    ends_at: int

    def is_over(self, now: int) -> bool:
        """Whether only a new login helps."""
        return now >= self.ends_at

    def is_due(self, now: int) -> bool:
        """Whether it should be exchanged for a fresh one, while it still holds."""
        return now >= self.ends_at - REFRESH_BEFORE

    def __repr__(self) -> str:
        return f"Token(ends_at={self.ends_at})"


def token_of(text: str, now: int) -> Token:
    """A token with the end that its own claims tell, or a day from now where they tell none."""
    try:
        claims = text.split(".")[1]
        padded = claims + "=" * (-len(claims) % 4)
        told = msgspec.json.decode(base64.urlsafe_b64decode(padded), type=_Claims).exp
    except (IndexError, ValueError, binascii.Error, msgspec.MsgspecError):
        told = None
    return Token(text, now + LIFE if told is None else int(told * SECOND))
