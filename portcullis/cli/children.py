"""What `portcullis up` runs, and how often each may be started again."""

from __future__ import annotations

import importlib.util
import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from portcullis.config.orchestrator import prefect_environment
from portcullis.config.settings import PREFIX, SECRETS, Settings, as_environment
from portcullis.doctor.listening import holder, shared_ports, taken_ports
from portcullis.errors import PortTaken, UsageError

BACKOFF_FIRST = 0.5
BACKOFF_MAX = 30.0
DEATHS_MAX = 5
DEATHS_WITHIN = 120.0
USAGE_EXIT = 2  # a wrong configuration or request: starting again changes nothing


STORE = "store_url"
"""The secret that every process needs: without it none finds the store."""

STORE_VARIABLE = f"{PREFIX}{STORE.upper()}"


PASSED_ON = frozenset(
    (f"{PREFIX}HOME", f"{PREFIX}CONFIG", f"{PREFIX}VENUE", f"{PREFIX}SIMULATE", STORE_VARIABLE)
)
"""What `up` was told or has made whole, beside what is in its own environment."""


class Child(NamedTuple):
    """One process. Stopped in the order of `children`, within `stop_seconds` each."""

    name: str
    module: tuple[str, ...]
    folder: Path
    environment: dict[str, str]
    stop_seconds: float
    essential: bool = False


def children(settings: Settings) -> list[Child]:
    """In the order of stopping: nothing may need what was stopped before it."""
    here = Path.cwd()
    base = {**os.environ, **as_environment(settings), "PYTHONUNBUFFERED": "1"}
    if settings.store_url:  # every process opens the store, from whatever folder it runs in
        base.pop(f"{STORE_VARIABLE}_FILE", None)
        base[STORE_VARIABLE] = settings.store_url
    found = [Child("worker", ("portcullis", "worker"), here, base, 40.0, essential=True)]
    if settings.has_simulator:
        gateway = ("portcullis", "simulate", "projectx")
        simulator = gateway if settings.venue == "projectx" else ("portcullis", "venue")
        found.append(Child("venue", simulator, here, base, 5.0))
    if settings.operations:
        root = checkout()
        theirs = {**without_secrets(base), **prefect_environment(settings)}
        theirs["PYTHONPATH"] = os.pathsep.join(
            part for part in (str(root), base.get("PYTHONPATH", "")) if part
        )
        found[:0] = [
            Child("operations", ("flows",), root, theirs, 15.0),
            Child("prefect", ("tasks.server",), root, theirs, 10.0),
        ]
        found.append(Child("sender", ("portcullis", "send"), here, without_secrets(base), 10.0))
        shipper = ("portcullis", "ship")
        found.append(Child("shipper", shipper, here, without_secrets(base), 10.0))
    found.insert(0, Child("api", ("portcullis", "api"), here, _as_given(base), 30.0))
    return found


def api_address(settings: Settings) -> str:
    """Where the API listens."""
    form = "https" if settings.api_certificate else "http"
    return f"{form}://{settings.api_host}:{settings.api_port}"


def _as_given(base: dict[str, str]) -> dict[str, str]:
    """Without secrets, and without what stands in files of settings, which the API reads itself:
    it tells where each came from.
    """
    return {
        name: value
        for name, value in without_secrets(base).items()
        if not name.startswith(PREFIX) or name in os.environ or name in PASSED_ON
    }


def without_secrets(environment: dict[str, str]) -> dict[str, str]:
    """What the scheduled side may know: no credential of a venue or a person, only
    where the store is.
    """
    names = {f"PORTCULLIS_{name.upper()}" for name in SECRETS - {STORE}}
    names |= {f"{name}_FILE" for name in names}
    return {name: value for name, value in environment.items() if name not in names}


def checkout() -> Path:
    """The folder of `flows`; raises UsageError when they are not there."""
    found = importlib.util.find_spec("flows")
    if found is None or not found.submodule_search_locations:
        raise UsageError(
            "the scheduled flows are not here: they are part of a checkout, not of the package",
            remedy="run `make up` in a checkout, or set PORTCULLIS_OPERATIONS=false "
            "(the gate stays shut without the evidence that the flows leave)",
        )
    return Path(next(iter(found.submodule_search_locations))).resolve().parent


def refuse_taken_ports(settings: Settings) -> None:
    """Raises UsageError where two are to listen on one port, PortTaken naming every address that
    somebody else has, and who.
    """
    shared = shared_ports(settings)
    if shared:
        raise UsageError(
            "one port for two: " + ", ".join(f"{name}={port}" for name, port in shared.items()),
            remedy="give each a port of its own; nothing was started",
        )
    taken = taken_ports(settings)
    if taken:
        what = "; ".join(f"{settings.host}:{port}{holder(port)}" for port in taken.values())
        raise PortTaken(
            f"taken by another process: {what}",
            remedy=f"stop it, or set {', '.join(taken)} to free ports; nothing was started",
        )


class Restarts:
    """When a process may be started again after it ended by itself."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._deaths: deque[float] = deque(maxlen=DEATHS_MAX)

    def after(self, exit_code: int | None) -> float | None:
        """Seconds to wait, growing with each death; None to give up.

        Given up at once for a wrong configuration, otherwise after `DEATHS_MAX` deaths within
        `DEATHS_WITHIN` seconds.
        """
        now = self._now()
        while self._deaths and self._deaths[0] < now - DEATHS_WITHIN:
            self._deaths.popleft()
        self._deaths.append(now)
        if exit_code == USAGE_EXIT or len(self._deaths) >= DEATHS_MAX:
            return None
        return min(BACKOFF_FIRST * 2.0 ** (len(self._deaths) - 1), BACKOFF_MAX)
