"""Services to send to, on loopback, over real sockets: they speak as Telegram, Slack, BlueBubbles
and any webhook do, and behave badly on demand.

`HttpSink` answers by path; `behave` says how, from then on. `MailSink` is a mail server.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

Mode = Literal[
    "ok", "busy", "broken", "refused", "not ok", "hang", "drip head", "drip body", "drop", "flood"
]
"""How a sink behaves.

- busy: 429 with `retry_after`
- broken: 500
- refused: 400
- not ok: 200 with ok: false (for a webhook of Slack: a 200 with other words)
- hang: the request is read and never answered
- drip head, drip body: a byte now and then, for ever
- drop: the connection ends after the request
- flood: an answer that does not end, as fast as it goes
"""

TOKEN = "123456789:AAsecretTelegramToken0123456789abcd"
HOOK = "T0SECRETA/B0SECRETB/secretslackhooktokenCCCC"
BOT = "xoxb-1111-2222-secretslackbottoken"
BLUE = "secretBluePassword"

DRIP_SECONDS = 0.05


class Received(msgspec.Struct, frozen=True):
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Reply(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    headers: dict[str, str] = {}


class HttpSink:
    """An HTTP server on a free port of loopback."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.mode: Mode = "ok"
        self.retry_after = 7
        self.updates: list[dict[str, Any]] = []
        """What Telegram has to tell: given out by getUpdates until its offset passes them."""
        self.moved = ""
        """Where everything has moved to, if anywhere."""
        self.unmodified = False
        """Whether Telegram finds that an edit changes nothing."""
        self.garbled = False
        """Whether answers say that they are packed and are not."""
        self.queued = False
        """Whether BlueBubbles is still at work on a message of the same name."""
        self.stopping = threading.Event()
        self._number = 100
        self._changed = threading.Condition()
        sink = self

        class Handler(_Handler):
            owner = sink

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def start(self) -> HttpSink:
        self._thread.start()
        return self

    def stop(self) -> None:
        """May be called again."""
        if self.stopping.is_set():
            return
        self.stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def behave(self, mode: Mode, *, retry_after: int = 7) -> None:
        """From now on, for every request but getUpdates."""
        self.mode, self.retry_after = mode, retry_after

    def tell(self, update: dict[str, Any]) -> None:
        """Something happened at Telegram."""
        with self._changed:
            self.updates.append(update)
            self._changed.notify_all()

    def wait_for(self, number: int, path: str = "", within: float = 10) -> list[Received]:
        """The requests whose path ends so, as soon as there are `number` of them."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.those(path)) >= number, within):
                raise AssertionError(f"{len(self.those(path))} of {number} requests: {path!r}")
        return self.those(path)

    def those(self, path: str) -> list[Received]:
        return [request for request in self.received if request.path.endswith(path)]

    # --- answers ----------------------------------------------------------------------------------

    def take(self, request: Received) -> None:
        with self._changed:
            self.received.append(request)
            self._changed.notify_all()

    def answer(self, request: Received) -> Reply:
        if self.garbled:
            return Reply(200, b"not packed at all", {"Content-Encoding": "gzip"})
        if self.moved:
            return Reply(302, b"", {"Location": self.moved})
        if request.path.endswith("/getUpdates"):
            return self._updates(request)
        if self.unmodified and "/editMessage" in request.path:
            words = "Bad Request: message is not modified: new content is the same"
            return _as_json(400, _telegram_failure(400, words))
        if self.mode == "busy":
            return self._busy(request)
        if self.mode in {"broken", "refused"}:
            return self._failure(request, 500 if self.mode == "broken" else 400)
        if self.mode == "not ok":
            return self._not_ok(request)
        return self._ok(request)

    def _ok(self, request: Received) -> Reply:
        self._number += 1
        if request.path.startswith("/bot"):
            return _as_json(200, {"ok": True, "result": self._telegram_result(request)})
        if request.path.startswith("/services/"):
            return Reply(200, b"ok", {"Content-Type": "text/html"})
        if request.path.startswith("/api/chat."):
            stamp = f"1700000000.{self._number:06d}"
            return _as_json(200, {"ok": True, "channel": "C0OPS", "ts": stamp})
        if request.path == "/api/v1/message/text":
            if request.query.get("password") != [BLUE]:
                return _as_json(401, {"status": 401, "message": "You are not authorized"})
            if self.queued:
                error = "Message is already queued to be sent!"
                return _as_json(400, {"status": 400, "message": error, "error": {"message": error}})
            data = {"guid": f"p:0/{self._number}"}
            return _as_json(200, {"status": 200, "message": "Message sent!", "data": data})
        return _as_json(200, {})

    def _telegram_result(self, request: Received) -> Any:
        if request.path.endswith("/sendMessage"):
            given = request.json()
            chat = {"id": given["chat_id"], "type": "private"}
            return {"message_id": self._number, "chat": chat, "text": given["text"]}
        return True

    def _busy(self, request: Received) -> Reply:
        seconds = self.retry_after
        if request.path.startswith("/bot"):
            words = f"Too Many Requests: retry after {seconds}"
            failure = _telegram_failure(429, words) | {"parameters": {"retry_after": seconds}}
            return _as_json(429, failure)
        reply = _as_json(429, {"ok": False, "error": "ratelimited"})
        return msgspec.structs.replace(
            reply, headers={**reply.headers, "Retry-After": str(seconds)}
        )

    def _failure(self, request: Received, status: int) -> Reply:
        if request.path.startswith("/bot"):
            words = "Bad Request: chat not found" if status == 400 else "Internal Server Error"
            return _as_json(status, _telegram_failure(status, words))
        if request.path == "/api/v1/message/text":
            error = {"type": "iMessage Error", "message": "Transaction timeout"}
            return _as_json(status, {"status": status, "message": "Send Error", "error": error})
        return Reply(status, b"no_service", {"Content-Type": "text/plain"})

    def _not_ok(self, request: Received) -> Reply:
        if request.path.startswith("/bot"):
            words = "Forbidden: bot was blocked by the user"
            return _as_json(200, _telegram_failure(403, words))
        if request.path.startswith("/services/"):
            return Reply(200, b"no_team", {"Content-Type": "text/html"})
        return _as_json(200, {"ok": False, "error": "not_in_channel"})

    def _updates(self, request: Received) -> Reply:
        given = request.json() if request.body else {}
        offset, timeout = int(given.get("offset", 0)), float(given.get("timeout", 0))
        if self.mode == "busy":
            return self._busy(request)
        if self.mode == "refused":
            return _as_json(409, _telegram_failure(409, "Conflict: other getUpdates request"))
        if self.mode == "broken":
            return self._failure(request, 500)

        def waiting() -> list[dict[str, Any]]:
            return [each for each in self.updates if each["update_id"] >= offset]

        with self._changed:
            self._changed.wait_for(lambda: waiting() or self.stopping.is_set(), timeout)
            return _as_json(200, {"ok": True, "result": waiting()})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    owner: HttpSink
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        request = Received(
            self.command, parts.path, parse_qs(parts.query), dict(self.headers.items()), body
        )
        self.owner.take(request)
        mode = "ok" if parts.path.endswith("/getUpdates") else self.owner.mode
        if mode == "hang":
            self.owner.stopping.wait()
        elif mode == "drip head":
            self._drip(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 10_000)
        elif mode == "drip body":
            self._drip(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", at_once=True)
            self._drip(b'{"ok": true' + b" " * 100_000)
        elif mode == "flood":
            self._flood()
        elif mode != "drop":
            self._send(self.owner.answer(request))
            return
        self.close_connection = True

    def do_GET(self) -> None:
        self.do_POST()

    def _drip(self, data: bytes, *, at_once: bool = False) -> None:
        if at_once:
            self.wfile.write(data)
            return
        with suppress(OSError):
            for byte in data:
                self.wfile.write(bytes([byte]))
                if self.owner.stopping.wait(DRIP_SECONDS):
                    return

    def _flood(self) -> None:
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            while not self.owner.stopping.is_set():
                self.wfile.write(b" " * 65_536)

    def _send(self, reply: Reply) -> None:
        headers = {"Content-Length": str(len(reply.body)), **reply.headers}
        head = f"HTTP/1.1 {reply.status} Answer\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        with suppress(OSError):
            self.wfile.write(head.encode() + b"\r\n" + reply.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing: it would print addresses."""


def _as_json(status: int, content: Any) -> Reply:
    return Reply(status, json.dumps(content).encode(), {"Content-Type": "application/json"})


def _telegram_failure(code: int, words: str) -> dict[str, Any]:
    return {"ok": False, "error_code": code, "description": words}


@contextmanager
def http_sink() -> Iterator[HttpSink]:
    sink = HttpSink().start()
    try:
        yield sink
    finally:
        sink.stop()


def redirect(patch: pytest.MonkeyPatch, sink: HttpSink) -> None:
    """Let Apprise's Telegram and Slack, and our own client of Telegram, speak to the sink."""
    from apprise.plugins.slack import NotifySlack
    from apprise.plugins.telegram import NotifyTelegram

    patch.setattr(NotifyTelegram, "notify_url", f"{sink.url}/bot")
    patch.setattr(NotifySlack, "webhook_url", f"{sink.url}/services")
    patch.setattr(NotifySlack, "api_url", f"{sink.url}/api/{{}}")


def addresses(sink: HttpSink) -> dict[str, str]:
    """An address of each kind that the sink answers for, once `redirect` is done."""
    return {
        "telegram": f"tgram://{TOKEN}/4242",
        "slack hook": f"slack://{HOOK}/#ops",
        "slack bot": f"slack://{BOT}/C0OPS",
        "bluebubbles": f"bbub://:{BLUE}@127.0.0.1:{sink.port}/+15551234567",
        "json": f"json://hookuser:hooksecretpw@127.0.0.1:{sink.port}/hooks/pathsecret99"
        "?+X-Auth=headersecret77",
    }


def within(seconds: float, act: Callable[[], Any]) -> Any:
    """The result of `act`, which must not have taken longer."""
    start = time.monotonic()
    result = act()
    took = time.monotonic() - start
    assert took <= seconds, f"took {took:.1f} s, not {seconds} s"
    return result
