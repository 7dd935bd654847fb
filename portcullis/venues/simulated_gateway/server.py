"""The simulated gateway on one port: REST, both hubs, and a control API for drills.

    GET  /api/Status/ping                 pong
    POST /api/<endpoint>                  the gateway's endpoints
    POST /hubs/<hub>/negotiate            versions 0 and 1
    GET  /hubs/<hub>                      the WebSocket of a hub
    POST /control/<act>                   what an operator or a drill does to it

Tokens are taken from the Authorization header or from `access_token`, at REST and at the hubs.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from portcullis.clock import Clock
from portcullis.domain.model import SECOND
from portcullis.errors import (
    PortcullisError,
    VenueRefused,
    VenueTimeout,
    VenueUnreachable,
)
from portcullis.venues.simulated.control import ACTS, Control
from portcullis.venues.simulated.endpoint import break_connection, never_answer, port_error
from portcullis.venues.simulated.exchange import Exchange
from portcullis.venues.simulated.faults import ConnectionBroken, FaultPlan, carry_out
from portcullis.venues.simulated_gateway.books import Books, Rejected, code_of
from portcullis.venues.simulated_gateway.control import OWN_ACTS
from portcullis.venues.simulated_gateway.endpoints import TABLE, Endpoint
from portcullis.venues.simulated_gateway.hubs import METHODS, HubConnection, HubName, Negotiations
from portcullis.venues.simulated_gateway.limits import RateLimit
from portcullis.venues.simulated_gateway.terms import GatewayTerms
from portcullis.venues.simulated_gateway.tokens import Tokens

BODY_BOUND = 64 * 1024
LOGIN, VALIDATE, LOGOUT, BARS = (
    "Auth/loginKey",
    "Auth/validate",
    "Auth/logout",
    "History/retrieveBars",
)
HTML = b"<html><head><title>Sign in</title></head><body>This network needs a login.</body></html>"

log = logging.getLogger("portcullis.venue")

_encoder = msgspec.json.Encoder(decimal_format="number")


class GatewayServer:
    """A gateway for `users` (login name to API key; names are told apart without their case).

    `control_token` opens the control API. `expired` holds users without an API subscription.
    """

    def __init__(
        self,
        exchange: Exchange,
        plan: FaultPlan,
        users: Mapping[str, str],
        clock: Clock,
        *,
        control_token: str,
        terms: GatewayTerms | None = None,
    ) -> None:
        self.terms = terms or GatewayTerms()
        self.exchange, self.plan = exchange, plan
        self.books = Books(exchange, self.terms, {})
        self.tokens = Tokens(clock, self.terms.token_life)
        self.limit = RateLimit(self.terms.limit, 60 * SECOND, self.terms.window)
        self.bars_limit = RateLimit(self.terms.bars_limit, 30 * SECOND, self.terms.window)
        self.expired: set[str] = set()
        self.logins = 0
        self.listened = asyncio.Event()
        self._users = {name.lower(): key for name, key in users.items()}
        self._clock = clock
        self._control_token = control_token.encode()
        self._negotiations = Negotiations()
        self.connections: list[HubConnection] = []
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the answer is the port (give 0 to have one chosen). Raises PortTaken."""
        app = web.Application(client_max_size=BODY_BOUND)
        app.router.add_get("/api/Status/ping", self._ping)
        app.router.add_post("/api/{endpoint:.+}", self._on_call)
        app.router.add_post("/hubs/{hub}/negotiate", self._on_negotiate)
        app.router.add_get("/hubs/{hub}", self._on_hub)
        app.router.add_post("/control/{name}", self._on_control)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise port_error(host, port, error) from error
        self._runner = runner
        bound = int(runner.addresses[0][1])
        log.info("the simulated gateway listens on %s:%s", host, bound)
        return bound

    async def stop(self) -> None:
        """Close every connection; safe to call twice."""
        self.cut("the gateway stops")
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def cut(self, why: str = "cut by the operator") -> None:
        """Break every connection to a hub."""
        for connection in self.connections:
            connection.end(why)

    # --- REST ---------------------------------------------------------------------------------

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="pong")

    async def _on_call(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["endpoint"]
        counted = self.bars_limit if name == BARS else self.limit
        if not counted.take(self._clock.monotonic()):
            return web.Response(status=429)
        body = await request.read() or b"{}"
        try:
            return await self._answer(request, name, body)
        except _Status as status:
            return status.response()
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            return _problem(str(error))
        except VenueUnreachable:
            return break_connection(request)
        except ConnectionBroken:
            return break_connection(request)
        except VenueTimeout:
            return await never_answer(request)

    async def _answer(self, request: web.Request, name: str, body: bytes) -> web.StreamResponse:
        if name == LOGIN:
            return await self._with_faults(name, lambda: self._log_in(body))
        user = self._user(request)
        if user is None:
            raise _Status(401)
        if name == VALIDATE:
            return await self._with_faults(name, lambda: {"newToken": self.tokens.issue(user)})
        if name == LOGOUT:
            return await self._with_faults(name, dict)
        endpoint = TABLE.get(name)
        if endpoint is None or (name == "Order/v2/query" and not self.terms.has_query):
            raise _Status(404)
        return await self._act(name, endpoint, body)

    async def _act(self, name: str, endpoint: Endpoint, body: bytes) -> web.Response:
        asked: Any = msgspec.json.decode(body, type=endpoint.body)
        return await self._with_faults(
            name,
            lambda: endpoint.act(self.books, asked),
            account=self._account_of(asked),
            instrument=getattr(asked, "contract_id", ""),
        )

    def _account_of(self, asked: Any) -> str:
        """Whom a call is about, for the fault plan; nobody where the account does not exist."""
        with contextlib.suppress(VenueRefused, AttributeError):
            return self.books.account(asked.account_id)
        return ""

    async def _with_faults(
        self,
        name: str,
        act: Callable[[], dict[str, Any]],
        *,
        account: str = "",
        instrument: str = "",
    ) -> web.Response:
        """Carry a call out as the fault plan lets it; a refusal is an answer too."""
        try:
            payload = await carry_out(
                self.plan, self.exchange, name, act, account=account, instrument=instrument
            )
        except VenueRefused as error:
            if error.code in STATUSES:
                raise _Status(*STATUSES[error.code]) from error
            return _refusal(name, error)
        return _said({**payload, "success": True, "errorCode": 0, "errorMessage": None})

    def _log_in(self, body: bytes) -> dict[str, Any]:
        asked = msgspec.json.decode(body, type=_Login)
        name = asked.user_name.lower()
        self.logins += 1
        if name not in self._users or self._users[name] != asked.api_key:
            raise VenueRefused("InvalidCredentials", "", remedy="")
        if name in self.expired:
            raise VenueRefused("ApiSubscriptionNotFound", "", remedy="")
        return {"token": self.tokens.issue(name)}

    def _user(self, request: web.Request) -> str | None:
        header = request.headers.get("Authorization", "")
        token = header.removeprefix("Bearer ") or request.query.get("access_token", "")
        with contextlib.suppress(msgspec.MsgspecError, ValueError, KeyError):
            return self.tokens.user_of(token)
        return None

    # --- hubs ---------------------------------------------------------------------------------

    async def _on_negotiate(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["hub"] not in METHODS:
            return web.Response(status=404)
        if self._user(request) is None:
            return web.Response(status=401)
        version = request.query.get("negotiateVersion", "0")
        if not version.isdecimal():
            return _said({"error": f"the version {version!r} is no number"})
        return _said(self._negotiations.offer(int(version)))

    async def _on_hub(self, request: web.Request) -> web.StreamResponse:
        hub = request.match_info["hub"]
        if hub not in METHODS:
            return web.Response(status=404)
        if self._user(request) is None:
            return web.Response(status=401)
        connection = request.query.get("id")
        status = self._negotiations.take(connection)
        if status:
            return web.Response(status=status)
        name: HubName = "user" if hub == "user" else "market"
        opened = HubConnection(name, self.books, self.plan)
        self.connections.append(opened)
        self.listened.set()
        try:
            return await opened.serve(request)
        finally:
            self.connections.remove(opened)
            self._negotiations.release(connection)

    # --- the operator -------------------------------------------------------------------------

    async def _on_control(self, request: web.Request) -> web.StreamResponse:
        """Acts of the simulated venue, and those that only a gateway has."""
        given = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, b"Bearer " + self._control_token):
            return web.Response(status=401)
        name = request.match_info["name"]
        body = await request.read() or b"{}"
        try:
            own, call = OWN_ACTS.get(name), ACTS.get(name)
            if own is not None:
                return _said(await own.act(self, msgspec.json.decode(body, type=own.arguments)))
            if call is not None:
                arguments = msgspec.json.decode(body, type=call.arguments)
                return _said(call.act(Control(self.exchange, self.plan), arguments))
            return _problem(f"no act {name!r}; there are " + ", ".join((*ACTS, *OWN_ACTS)))
        except (msgspec.ValidationError, msgspec.DecodeError, PortcullisError) as error:
            return _problem(str(error))


class _Login(msgspec.Struct, rename="camel"):
    user_name: str
    api_key: str


class _Status(Exception):
    """Answered with a status of HTTP, and what a proxy would say."""

    def __init__(self, status: int, body: bytes = b"") -> None:
        super().__init__(str(status))
        self.status, self.body = status, body

    def response(self) -> web.Response:
        return web.Response(status=self.status, body=self.body, content_type="text/html")


STATUSES: dict[str, tuple[int, bytes]] = {
    "HTTP 401": (401, b""),
    "HTTP 429": (429, b""),
    "HTTP 502": (502, b"<html>502 Bad Gateway</html>"),
    "HTML": (200, HTML),
}
"""Codes of a `reject` fault that stand for something other than a refusal of the gateway."""


def _said(payload: Any) -> web.Response:
    return web.Response(body=_encoder.encode(payload), content_type="application/json")


def _refusal(endpoint: str, error: VenueRefused) -> web.Response:
    """HTTP 200, `success` false, and the number that this endpoint has for the refusal."""
    text = str(error).removeprefix(f"{error.code}:").strip() or None
    number = code_of(endpoint, error.code)
    payload: dict[str, Any] = {"success": False, "errorCode": number, "errorMessage": text}
    if isinstance(error, Rejected):
        payload["orderId"] = int(error.order_id)
    return _said(payload)


def _problem(detail: str) -> web.Response:
    body = {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": detail}
    return web.Response(
        status=400, body=_encoder.encode(body), content_type="application/problem+json"
    )
