"""Who listens on a port of this machine."""

from __future__ import annotations

import socket
import sys

import psutil


def is_free(host: str, port: int) -> bool:
    """Whether we could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":  # there it would let two listen on one port
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def holder(port: int) -> str:
    """` (process 12, python -m portcullis worker)`, as far as this user may know."""
    try:
        for each in psutil.net_connections(kind="tcp"):
            address = tuple(each.laddr)
            if each.status == psutil.CONN_LISTEN and each.pid and port in address[1:]:
                command = " ".join(psutil.Process(each.pid).cmdline()[:5])
                return f" (process {each.pid}, {command})"
    except psutil.Error:
        return ""
    return ""
