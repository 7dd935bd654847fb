"""The simulated venue's endpoint: an exchange behind HTTP and a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from portcullis.errors import (
    PortcullisError,
    PortTaken,
    UsageError,
    VenueRefused,
    VenueTimeout,
    VenueUnreachable,
)
from portcullis.venues.simulated.control import ACTS, Control
from portcullis.venues.simulated.exchange import Exchange
from portcullis.venues.simulated.faults import ConnectionBroken, FaultPlan, carry_out
from portcullis.venues.simulated.push import PushStream
from portcullis.venues.simulated.wire import CALLS, SUBSCRIBED, Call, Refused

BODY_BOUND = 64 * 1024
"""Largest request body in bytes."""

HOLD_BOUND = 600.0
"""Longest time in seconds a request is left without an answer."""

log = logging.getLogger("portcullis.venue")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class VenueServer:
    """An exchange behind HTTP and a WebSocket. Every request needs the bearer token."""

    def __init__(self, exchange: Exchange, plan: FaultPlan, *, token: str) -> None:
        if not token:
            raise UsageError("the venue has no token", remedy="set a token; empty is refused")
        self.exchange = exchange
        self.plan = plan
        self._token = token.encode()
        self._runner: web.AppRunner | None = None
        self._streams: list[PushStream] = []
        self.listened = asyncio.Event()
        """Set once somebody has subscribed to the stream."""

    async def start(self, host: str, port: int) -> int:
        """Listen; the answer is the port (give 0 to have one chosen). Raises PortTaken."""
        app = web.Application(middlewares=[self._guard], client_max_size=BODY_BOUND)
        app.router.add_post("/calls/{name}", self._on_call)
        app.router.add_post("/control/{name}", self._on_control)
        app.router.add_get("/stream", self._on_stream)
        self._runner = await listen(app, host, port)
        bound = int(self._runner.addresses[0][1])
        log.info("the simulated venue listens on %s:%s", host, bound)
        return bound

    async def stop(self) -> None:
        """Close every connection; safe to call twice."""
        self.cut("the venue stops")
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def cut(self, why: str = "cut by the operator") -> None:
        """Break every stream."""
        for stream in self._streams:
            stream.end(why)
        self._streams.clear()

    # --- requests -----------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode()
        if not hmac.compare_digest(given, b"Bearer " + self._token):
            return _refused(401, "Unauthorized", "the bearer token is missing or wrong")
        return await handler(request)

    async def _on_call(self, request: web.Request) -> web.StreamResponse:
        return await self._answer(request, CALLS, self._carry_out)

    async def _on_control(self, request: web.Request) -> web.StreamResponse:
        if request.match_info["name"] == "cut":
            self.cut()
            return web.json_response(None)
        return await self._answer(request, ACTS, self._control)

    async def _answer(
        self,
        request: web.Request,
        table: dict[str, Call],
        carry: Callable[[web.Request, Call, Any], Awaitable[Any]],
    ) -> web.StreamResponse:
        call = table.get(request.match_info["name"])
        if call is None:
            return _refused(404, "NotFound", "there are " + ", ".join(table))
        try:
            arguments = msgspec.json.decode(await request.read() or b"{}", type=call.arguments)
            answer = await carry(request, call, arguments)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            return _refused(400, "BadRequest", str(error))
        except VenueRefused as error:
            text = str(error).removeprefix(f"{error.code}: ")
            return _refused(409, error.code, text, error.remedy)
        except UsageError as error:
            return _refused(400, "BadRequest", str(error), error.remedy)
        except VenueUnreachable as error:
            return _refused(503, "Unreachable", str(error), error.remedy)
        except ConnectionBroken:
            return break_connection(request)
        except VenueTimeout:
            return await never_answer(request)
        body = msgspec.json.encode(answer)
        return web.Response(body=body, content_type="application/json")

    async def _carry_out(self, request: web.Request, call: Call, arguments: Any) -> Any:
        return await carry_out(
            self.plan,
            self.exchange,
            request.match_info["name"],
            lambda: call.act(self.exchange, arguments),
            account=getattr(arguments, "account", ""),
            instrument=getattr(arguments, "instrument", ""),
        )

    async def _control(self, _: web.Request, call: Call, arguments: Any) -> Any:
        return call.act(Control(self.exchange, self.plan), arguments)

    async def _on_stream(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        stream = PushStream(self.exchange, self.plan, latency=self.plan.latency.fixed // 2)
        self._streams.append(stream)
        await socket.send_json(SUBSCRIBED)
        self.listened.set()
        pushing = asyncio.create_task(self._push(stream, socket, request))
        try:
            async for _ in socket:
                pass  # clients have nothing to say here; reading sees them leave
        finally:
            pushing.cancel()
            stream.end("the listener left")
            if stream in self._streams:
                self._streams.remove(stream)
            await asyncio.gather(pushing, return_exceptions=True)
        return socket

    async def _push(
        self, stream: PushStream, socket: web.WebSocketResponse, request: web.Request
    ) -> None:
        try:
            async for event in stream:
                await socket.send_str(msgspec.json.encode(event).decode())
        except VenueUnreachable:
            break_connection(request)
        except (ConnectionError, RuntimeError):
            return  # the listener left while something was on its way


def _refused(status: int, code: str, message: str, remedy: str = "") -> web.Response:
    remedy = remedy or "correct the request; nothing was changed"
    body = msgspec.json.encode(Refused(code, message, remedy))
    return web.Response(status=status, body=body, content_type="application/json")


def break_connection(request: web.Request) -> web.StreamResponse:
    """Break the connection as a dying network would: no answer, no goodbye."""
    if isinstance(request.transport, asyncio.Transport):
        request.transport.abort()
    return web.Response()


async def never_answer(request: web.Request) -> web.StreamResponse:
    """Keep the caller waiting until it gives up."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HOLD_BOUND):
            while request.transport is not None:  # noqa: ASYNC110 - nothing tells us
                await asyncio.sleep(0.1)
    return web.Response(status=504)


async def listen(app: web.Application, host: str, port: int) -> web.AppRunner:
    """Serve an application; `port` 0 has one chosen. Raises PortTaken."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise _port_error(host, port, error) from error
    return runner


def _port_error(host: str, port: int, error: OSError) -> PortcullisError:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"port {port} on {host} is taken",
            remedy="end the process that listens there, or choose another port",
        )
    return UsageError(
        f"cannot listen on {host}:{port}: {error.strerror}",
        remedy="choose an address of this machine and a port you may use",
    )
