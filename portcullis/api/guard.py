"""In front of every route: names, limits of size and time, who asks, and the log of requests."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portcullis import trace_context
from portcullis.api.access import NOBODY, Caller
from portcullis.api.gatekeeper import Gatekeeper
from portcullis.api.problems import Problem, of_ours
from portcullis.api.sessions import Sessions
from portcullis.errors import PortcullisError
from portcullis.trace_context import Active, Record, TraceContext

TARGET_MAX = 4_096
PARAMETERS_MAX = 32
BODY_SECONDS = 10.0
SEND_SECONDS = 30.0
WITH_BODY = frozenset(("POST", "PUT", "PATCH"))
JSON, FORM = "application/json", "application/x-www-form-urlencoded"
FORMS = frozenset(("/signin", "/signout"))
"""Where a browser's form comes in; everything else takes JSON, which no form can send."""

METHODS = frozenset(
    ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")
)
OTHER = "_OTHER"
"""What figures and spans have for any other method, as OpenTelemetry writes it: else whoever makes
up methods makes rows without end."""

LOGGED_MAX = 500
CLOSE = {"Connection": "close"}
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
"""Sent with every answer that does not bring its own."""


class GuardTerms(NamedTuple):
    """Names that the API may be called by, pages of other origins that may call it, and bytes."""

    names: frozenset[str]
    origins: frozenset[str]
    body_max: int


class Asked(NamedTuple):
    """A line of the request log. `took` in seconds; `sent` in bytes; `route` is the pattern that
    the path fitted, if any; `parent` is the caller's span; `asked` is the id of what was left for
    the worker in the inbox.
    """

    request_id: str
    method: str
    path: str
    query: str
    caller: Caller
    status: int
    sent: int
    took: float
    refusal: str
    trace: TraceContext
    route: str = "none"
    parent: str = ""
    asked: str = ""

    @property
    def known_method(self) -> str:
        """The method, or `OTHER` for one that is none."""
        return self.method if self.method in METHODS else OTHER


class _Exchange:
    """One request and what was answered so far."""

    def __init__(self, scope: Scope, send: Send, *, sampled: bool) -> None:
        address = (scope.get("client") or ("", 0))[0]
        found = trace_context.adopted(
            _every(scope, trace_context.PARENT), _every(scope, trace_context.STATE)
        )
        self.parent = found.span_id if found else ""
        begun = trace_context.begun(sampled=sampled)
        self.trace = found._replace(span_id=begun.span_id) if found else begun
        self.notes: dict[str, str] = {}
        self.request_id = secrets.token_hex(16)
        self.caller = NOBODY._replace(address=address)
        self.status, self.sent, self.refusal = 0, 0, ""
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = [*message.get("headers", ())]
            have = {name.lower() for name, _ in given}
            given += [row for row in HEADERS if row[0] not in have]
            given.append((b"x-request-id", self.request_id.encode()))
            given.append((trace_context.PARENT.encode(), self.trace.parent.encode()))
            message = {**message, "headers": given}
        elif message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        # Whoever takes nothing off the line holds nothing of ours for long.
        async with asyncio.timeout(SEND_SECONDS):
            await self._send(message)


class Guard:
    """Middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        terms: GuardTerms,
        gatekeeper: Gatekeeper,
        sessions: Sessions,
        log: Callable[[Asked], None],
        monotonic: Callable[[], float],
        now: Callable[[], int],
        record: Record | None = None,
    ) -> None:
        """`record` hears of the spans that requests ask others in; `log` of every request."""
        self._now, self._record = now, record
        self._app, self._terms, self._gatekeeper = app, terms, gatekeeper
        self._sessions = sessions
        self._log, self._monotonic = log, monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = self._monotonic()
        exchange = _Exchange(scope, send, sampled=self._record is not None)
        try:
            await self._answer(scope, receive, exchange)
        except TimeoutError:  # the other side takes nothing off the line: it is let go of
            exchange.refusal = "nothing was taken off the line"
            raise
        finally:
            took = self._monotonic() - began
            self._log(_line(scope, exchange, took))

    async def _answer(self, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        try:
            headers = _headers(scope)
            self._refuse(scope, headers)
            caller = self._gatekeeper.identify(exchange.caller.address, headers)
            if caller.role is None and not caller.refusal:
                caller = self._sessions.caller(headers, scope["method"], caller)
            exchange.caller = caller
            exchange.refusal = exchange.caller.refusal
            body = await self._body(scope, headers, receive)
        except (Problem, PortcullisError) as error:
            # The latter: the file of keys cannot be read, and nobody gets in.
            problem = error if isinstance(error, Problem) else of_ours(error)
            exchange.refusal = problem.detail
            await problem.response()(scope, receive, exchange.send)
            return
        scope["portcullis.caller"] = exchange.caller
        scope["portcullis.request_id"] = exchange.request_id
        active = Active(exchange.trace, self._record or _unrecorded, self._now, exchange.notes)
        with trace_context.under_way(active):
            await self._app(scope, _replayed(body, receive), exchange.send)

    def _refuse(self, scope: Scope, headers: Mapping[str, str]) -> None:
        """What is refused by its first line and its headers alone."""
        query = scope["query_string"]
        raw = scope.get("raw_path") or scope["path"].encode()
        if len(raw) + len(query) > TARGET_MAX:
            raise Problem(414, f"more than {TARGET_MAX} bytes of address", headers=CLOSE)
        if query.count(b"&") >= PARAMETERS_MAX:
            raise Problem(400, f"more than {PARAMETERS_MAX} parameters", headers=CLOSE)
        if not _is_text(raw) or not _is_text(query.replace(b"+", b" ")):
            raise Problem(400, "the address is no UTF-8 text, or holds control characters")
        if _host(headers.get("host", "")) not in self._terms.names:
            raise Problem(
                400,
                "this is not called by that name here",
                remedy="call it by its address, or set PORTCULLIS_API_NAMES",
            )
        origin = headers.get("origin")
        same = (f"http://{headers['host']}", f"https://{headers['host']}")
        if origin is not None and origin not in (*same, *self._terms.origins):
            raise Problem(
                403, "pages of other origins may not ask", remedy="set PORTCULLIS_API_ORIGINS"
            )

    async def _body(self, scope: Scope, headers: Mapping[str, str], receive: Receive) -> bytes:
        """The whole body, which is small; refused before it is read where it says its length."""
        most, length = self._terms.body_max, headers.get("content-length", "0")
        too_long = Problem(413, f"more than {most} bytes", headers=CLOSE)
        if not length.isdecimal() or int(length[:20]) > most or len(length) > 20:
            raise too_long
        if length == "0" and "transfer-encoding" not in headers:
            return b""
        found = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        break
                    found += message.get("body", b"")
                    if len(found) > most:
                        raise too_long
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            what = f"the body did not come within {BODY_SECONDS:.0f} s"
            raise Problem(408, what, headers=CLOSE) from None
        if scope["method"] in WITH_BODY:
            _refuse_media(FORM if scope["path"] in FORMS else JSON, headers, found)
        return bytes(found)


def _refuse_media(wanted: str, headers: Mapping[str, str], body: bytearray) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != wanted:
        raise Problem(415, f"send {wanted}", headers={"Accept": wanted})
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise Problem(400, f"the body is no UTF-8 text: {error.reason}") from error


def _headers(scope: Scope) -> dict[str, str]:
    """By name; of several with one name the first, so that none can be slipped in behind it."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return found


def _every(scope: Scope, name: str) -> list[str]:
    wanted = name.encode()
    return [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == wanted]


def _unrecorded(_: trace_context.Span) -> None:
    """Nobody wants to know."""


def _host(text: str) -> str:
    """The name without its port, in small letters."""
    if text.startswith("["):
        return text.partition("]")[0].removeprefix("[").lower()
    return text.partition(":")[0].lower()


def _is_text(raw: bytes) -> bool:
    try:
        text = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        return False
    return not any(ord(sign) < 32 or ord(sign) == 127 for sign in text)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """The body that was read already, then whatever comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if not given:
            given = True
            return {"type": "http.request", "body": body, "more_body": False}
        return await receive()

    return again


def _line(scope: Scope, exchange: _Exchange, took: float) -> Asked:
    query: Any = scope["query_string"].decode("latin-1")
    return Asked(
        exchange.request_id,
        scope["method"][:LOGGED_MAX],
        scope["path"][:LOGGED_MAX],
        query[:LOGGED_MAX],
        exchange.caller,
        exchange.status,
        exchange.sent,
        took,
        exchange.refusal[:LOGGED_MAX],
        exchange.trace,
        getattr(scope.get("route"), "path", "none"),
        exchange.parent,
        exchange.notes.get("asked", ""),
    )
