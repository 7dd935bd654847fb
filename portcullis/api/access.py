"""Who may do what: the matrix of routes and roles as data, and the one place that applies it.

A route that the matrix does not name cannot be built, so that none is open by oversight.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Literal, NamedTuple

from fastapi import Request, Response
from fastapi.routing import APIRoute

from portcullis.api.keys import ROLES, Role
from portcullis.api.problems import Problem, unauthorized

Level = Literal["anyone", "local", "readonly", "operator", "admin"]
"""The least that a route asks for. `local`: nothing from this machine itself, otherwise a key."""

MATRIX: dict[tuple[str, str], Level] = {
    ("GET", "/healthz"): "anyone",
    ("GET", "/livez"): "anyone",
    ("GET", "/health"): "local",
    ("GET", "/ready"): "local",
    ("GET", "/readyz"): "local",
    ("GET", "/api/health"): "local",
    ("GET", "/api/health/status"): "local",
    ("GET", "/api/health/uptime"): "local",
    ("GET", "/api/health/last_snapshot"): "local",
    ("GET", "/"): "local",
    ("GET", "/board"): "local",
    ("GET", "/accounts/{account}"): "local",
    ("GET", "/static/{name}"): "anyone",
    ("GET", "/signin"): "anyone",
    ("POST", "/signin"): "anyone",
    ("POST", "/signout"): "anyone",
    ("GET", "/openapi.json"): "local",
    ("GET", "/metrics"): "local",
    ("GET", "/metrics/json"): "local",
    ("GET", "/slos"): "local",
    ("GET", "/logs"): "readonly",
    ("GET", "/api/v1/events"): "readonly",
    ("GET", "/api/v1/events/export"): "readonly",
    ("GET", "/api/v1/accounts"): "readonly",
    ("GET", "/api/v1/accounts/{account}"): "readonly",
    ("GET", "/api/v1/rules"): "readonly",
    ("GET", "/api/v1/locks"): "readonly",
    ("GET", "/api/v1/evidence"): "readonly",
    ("GET", "/api/v1/drills"): "readonly",
    ("GET", "/api/v1/agents"): "readonly",
    ("GET", "/api/v1/alerts"): "readonly",
    ("GET", "/api/v1/alerts/{alert}"): "readonly",
    ("GET", "/api/v1/silences"): "readonly",
    ("GET", "/api/v1/channels"): "readonly",
    ("GET", "/api/v1/deliveries"): "readonly",
    ("GET", "/api/v1/requests/{request_id}"): "readonly",
    ("POST", "/api/v1/alerts/{alert}/ack"): "operator",
    ("POST", "/api/v1/silences"): "operator",
    ("DELETE", "/api/v1/silences/{silence}"): "operator",
    ("POST", "/api/v1/channels/{channel}/test"): "operator",
    ("POST", "/api/v1/deliveries/{delivery}/redeliver"): "operator",
    ("POST", "/api/v1/accounts/{account}/lock"): "operator",
    ("POST", "/api/v1/accounts/{account}/flatten"): "operator",
    ("POST", "/api/v1/mode/observe"): "operator",
    ("POST", "/api/v1/halt"): "operator",
    ("POST", "/api/v1/accounts/{account}/release"): "admin",
    ("POST", "/api/v1/mode/release"): "admin",
    ("GET", "/config"): "admin",
    ("POST", "/config/reload"): "admin",
    ("GET", "/config/pending"): "readonly",
    ("POST", "/config/approve"): "admin",
    ("POST", "/config/withdraw"): "operator",
    ("POST", "/auth/token"): "admin",
    ("GET", "/auth/keys"): "admin",
    ("DELETE", "/auth/keys/{key_id}"): "admin",
    ("POST", "/auth/keys/{key_id}/rotate"): "admin",
}


REPEATED = frozenset(("kind",))
"""Parameters that may come more than once."""


class Caller(NamedTuple):
    """Who asks. `role` is None without a key; `refusal` says why a key that was sent is none;
    `key_id` is then that of one that holds no more, if it was.
    """

    address: str
    is_local: bool
    name: str = ""
    key_id: str = ""
    role: Role | None = None
    refusal: str = ""

    @property
    def by(self) -> str:
        """The name under which the ledger keeps what was asked."""
        return f"key {self.name} ({self.key_id})"


NOBODY = Caller("", is_local=False)


def caller_of(request: Request) -> Caller:
    """Who asks, as the guard in front of the routes found."""
    found = request.scope.get("portcullis.caller", NOBODY)
    assert isinstance(found, Caller)
    return found


def admit(caller: Caller, level: Level) -> None:
    """Raises Problem: 401 where a key is missing or wrong, 403 where its role is too small."""
    if level == "anyone" or (level == "local" and caller.is_local and not caller.refusal):
        return
    if caller.role is None:
        raise unauthorized(caller.refusal or "this needs a key")
    needed = ROLES.index("readonly" if level == "local" else level)
    if ROLES.index(caller.role) < needed:
        raise Problem(
            403,
            f"this needs the role {ROLES[needed]}; the key {caller.name} has {caller.role}",
            remedy="ask an administrator, or use another key",
        )


class GuardedRoute(APIRoute):
    """A route that looks into the matrix before anything of the request is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        levels = {method: MATRIX[method, self.path_format] for method in self.methods or ()}

        async def guarded(request: Request) -> Response:
            admit(caller_of(request), levels[request.method])
            _refuse_repeated(request)
            return await handle(request)

        return guarded


def _refuse_repeated(request: Request) -> None:
    """Raises Problem 422 where a parameter comes twice that counts once: none is chosen."""
    names = [name for name, _ in request.query_params.multi_items() if name not in REPEATED]
    if len(set(names)) < len(names):
        raise Problem(422, "a parameter comes twice", remedy="give each once; `kind` up to 20")
