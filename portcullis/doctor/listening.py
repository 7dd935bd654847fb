"""Who listens on a port of this machine."""

from __future__ import annotations

import socket
import sys

import psutil

from portcullis.config.settings import Settings


def wanted_ports(settings: Settings) -> dict[str, int]:
    """The ports that these settings want, by the variables that name them."""
    wanted = {
        "PORTCULLIS_GATE_PORT": settings.gate_port,
        "PORTCULLIS_API_PORT": settings.api_port,
    }
    if settings.has_simulator:
        wanted["PORTCULLIS_VENUE_PORT"] = settings.venue_port
    if settings.operations:
        wanted["PORTCULLIS_PREFECT_PORT"] = settings.prefect_port
    return wanted


def taken_ports(settings: Settings) -> dict[str, int]:
    """Those of them that somebody holds."""
    wanted = wanted_ports(settings)
    return {name: port for name, port in wanted.items() if not is_free(settings.host, port)}


def shared_ports(settings: Settings) -> dict[str, int]:
    """Those of them that more than one variable names."""
    wanted = wanted_ports(settings)
    every = list(wanted.values())
    return {name: port for name, port in wanted.items() if every.count(port) > 1}


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
