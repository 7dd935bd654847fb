"""Refuses everything that would leave this machine, whichever library tries."""

from __future__ import annotations

import socket
from typing import Any

LOOPBACK = ("127.", "::1", "localhost")


def refuse(event: str, args: tuple[Any, ...]) -> None:
    """An audit hook: no name is looked up and no socket connects but on loopback."""
    if event == "socket.getaddrinfo":
        host = args[0]
    elif event == "socket.connect" and args[0].family != getattr(socket, "AF_UNIX", None):
        host = args[1][0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else str(host)
    if host is not None and not name.startswith(LOOPBACK):
        raise ConnectionRefusedError(f"a test tried to reach {name}")
