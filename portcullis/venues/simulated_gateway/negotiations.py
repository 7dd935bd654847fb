"""Negotiations of the hubs' connections: ids that are given out, used once, and then unknown."""

from __future__ import annotations

import secrets
from typing import Any


class Negotiations:
    """Connection ids that were given out and not used yet; each opens one socket."""

    def __init__(self) -> None:
        self._free: set[str] = set()
        self._used: set[str] = set()

    def offer(self, version: int) -> dict[str, Any]:
        """The answer to a negotiation. Of version 0 the id itself opens the socket."""
        public, token = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        self._free.add(token if version else public)
        answer: dict[str, Any] = {
            "negotiateVersion": min(version, 1),
            "connectionId": public,
            "availableTransports": [
                {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}
            ],
        }
        return answer | ({"connectionToken": token} if version else {})

    def take(self, connection: str | None) -> int:
        """The HTTP status with which a socket of this id begins: 0 where it may."""
        if connection is None:
            return 0
        if connection in self._used:
            return 409
        if connection not in self._free:
            return 404
        self._free.discard(connection)
        self._used.add(connection)
        return 0

    def release(self, connection: str | None) -> None:
        """A connection ended: its id is unknown from now on."""
        if connection is not None:
            self._used.discard(connection)
