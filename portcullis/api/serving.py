"""Serving the application: a socket, limits of time for slow clients, and an orderly end.

uvicorn waits for open streams for ever when it is told to stop, ends by the signal it caught, and
waits for ever for a request's headers; each of these is mended here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, cast

import h11
import msgspec
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from portcullis.api import spans
from portcullis.api.app import build
from portcullis.api.guard import Asked
from portcullis.api.here import Here, make_here
from portcullis.api.meters import Answered
from portcullis.api.problems import MEDIA_TYPE, Problem
from portcullis.api.request_log import RequestLog
from portcullis.config.exposure import refuse_exposed
from portcullis.config.settings import Settings
from portcullis.errors import PortTaken
from portcullis.trace_context import Record

HEADER_SECONDS = 10.0
IDLE_SECONDS = 15
DRAIN_SECONDS = 20
CONNECTIONS_MAX = 500
ADDRESS_CONNECTIONS_MAX = 250
"""Of one address: nobody alone can keep everybody else out."""

HEADERS_BYTES_MAX = 16_384
NICE = 5
"""Enforcement and the gate go first where the processors do not suffice for all."""


class PatientNoLonger(H11Protocol):
    """HTTP/1.1 where a request's headers must come in their time, and connections are counted."""

    open: ClassVar[Counter[str]] = Counter()
    """Connections by the address of the other side."""

    _headers_due: asyncio.TimerHandle | None = None
    _counted = ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        address = self.client[0] if self.client else "unknown"
        full = self.open.total() >= CONNECTIONS_MAX
        if full or self.open[address] >= ADDRESS_CONNECTIONS_MAX:
            transport.abort()
            return
        self._counted = address
        self.open[address] += 1
        self._watch_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()
        if self._counted:
            self.open[self._counted] -= 1
            if not self.open[self._counted]:
                del self.open[self._counted]
            self._counted = ""
        super().connection_lost(exc)

    def _watch_headers(self) -> None:
        """Begin to wait where none are under way; a request that began ends the waiting."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        answering = cycle is not None and not cycle.response_complete
        if answering or self.transport.is_closing():
            self._let_go()
        elif self._headers_due is None:
            self._headers_due = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def send_400_response(self, msg: str) -> None:
        """Where no request can be read at all: a problem, as every other refusal."""
        body = msgspec.json.encode(Problem(400, msg).body())
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        for event in (
            h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def on_response_complete(self) -> None:
        self._let_go()
        super().on_response_complete()

    def _give_up(self) -> None:
        self._headers_due = None
        if not self.transport.is_closing():
            self.transport.close()

    def _let_go(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None


class Server(uvicorn.Server):
    """uvicorn that tells of its end when it begins, and ends by itself afterwards."""

    def __init__(
        self, config: uvicorn.Config, on_start: Callable[[], None], on_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_start, self._on_stop = on_start, on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: Any) -> None:
        self._on_stop()
        super().handle_exit(sig, frame)


def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Run until SIGTERM or Control-C. Raises UsageError for settings that would be unsafe,
    PortTaken for the address.
    """
    secured = _secured(settings)
    if sys.platform != "win32":
        os.nice(NICE)
    with contextlib.ExitStack() as stack:
        export = spans.opened(settings, say)
        if export is not None:
            stack.callback(export.close)
        here = make_here(settings, say)
        log = stack.enter_context(
            contextlib.closing(RequestLog(settings.request_log_path.parent, here.now))
        )
        record = None if export is None else export.record
        scheme = "https" if secured else "http"
        config = uvicorn.Config(
            build(here, _noting(log, here, record, scheme), record),
            host=settings.api_host,
            port=settings.api_port,
            http=PatientNoLonger,
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=IDLE_SECONDS,
            timeout_graceful_shutdown=DRAIN_SECONDS,
            h11_max_incomplete_event_size=HEADERS_BYTES_MAX,
            **secured,
        )
        try:
            listening = config.bind_socket()
        except SystemExit as error:  # uvicorn has no other way to say it
            raise PortTaken(
                f"the API's address {settings.api_host}:{settings.api_port} is taken",
                remedy="stop what listens there, or set PORTCULLIS_API_PORT to a free port",
            ) from error
        where = f"the API listens on {scheme}://{settings.api_host}:{settings.api_port}"
        Server(config, lambda: say(where), here.stopping.set).run([listening])


def _noting(
    log: RequestLog, here: Here, record: Record | None, scheme: str
) -> Callable[[Asked], None]:
    """Keep a request, count it and, where somebody collects them, tell of it as a span."""

    def note(asked: Asked) -> None:
        log.write(asked)
        trace = asked.trace.trace_id
        here.meters.answered(
            Answered(asked.known_method, asked.route, asked.status, asked.took, asked.sent, trace)
        )
        if asked.caller.key_id and asked.caller.role is None:
            here.meters.ending.used()
        if record is not None:
            record(spans.span_of(asked, here.now(), scheme))

    return note


def _secured(settings: Settings) -> dict[str, Any]:
    """What TLS needs, nothing for a plain API. Raises UsageError as `refuse_exposed`."""
    if refuse_exposed(settings) is None:
        return {}
    files = (settings.api_certificate, settings.api_certificate_key)
    certificate, key = (str(Path(name).expanduser()) for name in files)
    return {"ssl_certfile": certificate, "ssl_keyfile": key}
