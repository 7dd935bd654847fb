"""Asking the worker's gate from another process of this machine, in a bounded time."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from portcullis import trace_context
from portcullis.config.settings import Settings
from portcullis.ports import LEDGER_HEADER

READ_MAX = 64 * 2**20
"""Bytes of an answer: a worker's have some hundred a rule, and others at its port have no end."""


class NoAnswer(Exception):
    """Nobody answered at the gate's address; the text says why."""


class Reply(NamedTuple):
    """What the gate answered; `ledger` names the one whose worker it was."""

    status: int
    body: bytes
    ledger: str

    def json(self) -> Any:
        """Raises NoAnswer for what is no JSON: it was somebody else who answered."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise NoAnswer(str(error)) from error


def ask(
    settings: Settings,
    path: str,
    seconds: float,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """One request, `seconds` for each step of it, as a step of the trace that is under way. Raises
    NoAnswer.
    """
    connection = http.client.HTTPConnection(settings.host, settings.gate_port, timeout=seconds)
    with trace_context.asking(f"{method} {path}", **_described(settings, method, path)) as step:
        try:
            connection.request(method, path, body, {**(headers or {}), **step.headers})
            answer = connection.getresponse()
            step.attributes["http.response.status_code"] = answer.status
            found = answer.read(READ_MAX + 1)
            if len(found) > READ_MAX:
                raise NoAnswer(f"the answer is longer than {READ_MAX} bytes")
            return Reply(answer.status, found, answer.getheader(LEDGER_HEADER, ""))
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise NoAnswer(str(error)) from error
        finally:
            connection.close()


def _described(settings: Settings, method: str, path: str) -> dict[str, str | int]:
    """The request in the words of OpenTelemetry's conventions."""
    return {
        "http.request.method": method,
        "url.full": f"http://{settings.host}:{settings.gate_port}{path}",
        "server.address": settings.host,
        "server.port": settings.gate_port,
    }


def health(
    settings: Settings, seconds: float, is_own: Callable[[Settings, str], bool]
) -> dict[str, Any]:
    """The gate's own account of itself. Raises NoAnswer, also where by `is_own` the worker is that
    of another home.
    """
    reply = ask(settings, "/health", seconds)
    if not is_own(settings, reply.ledger):
        raise NoAnswer("who answers there is not the worker of this home")
    found: dict[str, Any] = reply.json()
    return found
