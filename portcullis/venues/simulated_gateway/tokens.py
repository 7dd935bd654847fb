"""Tokens of the simulated gateway: JWTs with an end, and with it a way to end them all at once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

import msgspec

from portcullis.clock import Clock
from portcullis.domain.model import SECOND

_HEADER = {"alg": "HS256", "typ": "JWT"}


class Tokens:
    """Issues tokens that hold for `life` (microseconds) and knows its own."""

    def __init__(self, clock: Clock, life: int) -> None:
        self._clock = clock
        self._life = life
        self._key = secrets.token_bytes(32)
        self._number = 0

    def issue(self, user: str) -> str:
        """A fresh token of a user; older ones go on holding."""
        self._number += 1
        claims = {
            "name": user,
            "jti": self._number,
            "exp": (self._clock.now() + self._life) // SECOND,
        }
        signed = f"{_packed(_HEADER)}.{_packed(claims)}"
        return f"{signed}.{self._signature(signed)}"

    def user_of(self, token: str) -> str | None:
        """Whose token it is; None for one that is over, cut short, or somebody else's."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature, self._signature(signed)):
            return None
        claims = msgspec.json.decode(_unpacked(signed.partition(".")[2]))
        return str(claims["name"]) if claims["exp"] * SECOND > self._clock.now() else None

    def end_all(self) -> None:
        """Let no token hold any longer."""
        self._key = secrets.token_bytes(32)

    def _signature(self, signed: str) -> str:
        return _text(hmac.new(self._key, signed.encode(), hashlib.sha256).digest())


def _packed(value: object) -> str:
    return _text(msgspec.json.encode(value))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
