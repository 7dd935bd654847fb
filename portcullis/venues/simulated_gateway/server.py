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
from email.utils import formatdate

import msgspec
from aiohttp import WSMsgType, web

from portcullis.domain.model import SECOND
from portcullis.errors import PortcullisError, VenueTimeout, VenueUnreachable
from portcullis.venues.simulated.control import ACTS, Control
from portcullis.venues.simulated.endpoint import break_connection, listen, never_answer
from portcullis.venues.simulated.faults import ConnectionBroken
from portcullis.venues.simulated_gateway.control import OWN_ACTS
from portcullis.venues.simulated_gateway.gateway import (
    Answer,
    SimulatedGateway,
    has_hub,
    problem,
    said,
)
from portcullis.venues.simulated_gateway.negotiations import Negotiations

BODY_BOUND = 64 * 1024

log = logging.getLogger("portcullis.venue")


class GatewayServer:
    """A simulated gateway behind sockets; `control_token` opens the control API."""

    def __init__(self, gateway: SimulatedGateway, *, control_token: str) -> None:
        self.gateway = gateway
        self.exchange = gateway.exchange
        self.listened = asyncio.Event()
        """Set once somebody has opened a hub."""
        self._control_token = control_token.encode()
        self._negotiations = Negotiations()
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the answer is the port (give 0 to have one chosen). Raises PortTaken."""
        app = web.Application(client_max_size=BODY_BOUND)
        app.router.add_get("/api/Status/ping", self._ping)
        app.router.add_post("/api/{endpoint:.+}", self._on_call)
        app.router.add_post("/hubs/{hub}/negotiate", self._on_negotiate)
        app.router.add_get("/hubs/{hub}", self._on_hub)
        app.router.add_post("/control/{name}", self._on_control)
        self._runner = await listen(app, host, port)
        bound = int(self._runner.addresses[0][1])
        log.info("the simulated gateway listens on %s:%s", host, bound)
        return bound

    async def stop(self) -> None:
        """Close every connection; safe to call twice."""
        self.gateway.cut("the gateway stops")
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    # --- REST ---------------------------------------------------------------------------------

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text="pong")

    async def _on_call(self, request: web.Request) -> web.StreamResponse:
        name, body = request.match_info["endpoint"], await request.read()
        try:
            answer = _response(await self.gateway.call(name, body, _token(request)))
        except (VenueUnreachable, ConnectionBroken):
            return break_connection(request)
        except VenueTimeout:
            return await never_answer(request)
        answer.headers["Date"] = formatdate(self.gateway.now() / SECOND, usegmt=True)
        return answer

    # --- hubs ---------------------------------------------------------------------------------

    def _refused(self, request: web.Request) -> web.Response | None:
        if not has_hub(request.match_info["hub"]):
            return web.Response(status=404)
        if self.gateway.user_of(_token(request)) is None:
            return web.Response(status=401)
        return None

    async def _on_negotiate(self, request: web.Request) -> web.StreamResponse:
        refused = self._refused(request)
        if refused is not None:
            return refused
        version = request.query.get("negotiateVersion", "0")
        if not version.isdecimal():
            return _response(said({"error": f"the version {version!r} is no number"}))
        return _response(said(self._negotiations.offer(int(version))))

    async def _on_hub(self, request: web.Request) -> web.StreamResponse:
        refused = self._refused(request)
        if refused is not None:
            return refused
        connection = request.query.get("id")
        status = self._negotiations.take(connection)
        if status:
            return web.Response(status=status)
        socket = web.WebSocketResponse(max_msg_size=1 << 20)
        await socket.prepare(request)
        self.listened.set()
        try:
            await self.gateway.serve_hub(request.match_info["hub"], _Socket(socket, request))
        finally:
            self._negotiations.release(connection)
        return socket

    # --- the operator -------------------------------------------------------------------------

    async def _on_control(self, request: web.Request) -> web.StreamResponse:
        """Acts of the simulated venue, and those that only a gateway has."""
        given = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, b"Bearer " + self._control_token):
            return web.Response(status=401)
        return _response(await self._act(request.match_info["name"], await request.read()))

    async def _act(self, name: str, body: bytes) -> Answer:
        gateway = self.gateway
        try:
            own, call = OWN_ACTS.get(name), ACTS.get(name)
            if own is not None:
                asked = msgspec.json.decode(body or b"{}", type=own.arguments)
                return said(await own.act(gateway, asked))
            if call is not None:
                asked = msgspec.json.decode(body or b"{}", type=call.arguments)
                return said(call.act(Control(gateway.exchange, gateway.plan), asked))
            return problem(f"no act {name!r}; there are " + ", ".join((*ACTS, *OWN_ACTS)))
        except (msgspec.ValidationError, msgspec.DecodeError, PortcullisError) as error:
            return problem(str(error))


class _Socket:
    """A client's WebSocket."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self._socket = socket
        self._request = request

    async def send(self, data: bytes) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._socket.send_str(data.decode())

    async def receive(self) -> bytes | None:
        message = await self._socket.receive()
        if message.type is WSMsgType.TEXT:
            return str(message.data).encode()
        return bytes(message.data) if message.type is WSMsgType.BINARY else None

    async def close(self) -> None:
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._socket.close()

    def abort(self) -> None:
        if isinstance(self._request.transport, asyncio.Transport):
            self._request.transport.abort()


def _token(request: web.Request) -> str:
    header = request.headers.get("Authorization", "")
    return header.removeprefix("Bearer ") or request.query.get("access_token", "")


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, content_type=answer.content_type)
