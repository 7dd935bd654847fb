"""What a service really answered while a plugin sent, and an end to every attempt.

Apprise says true or false. The rest is noted here for the thread that sends: the answers that
`requests` and `smtplib` got, what they raised, and what Apprise wrote to its log. A watch also
remembers every socket its thread opens and shuts them when its time is up: a time-out for each read
is no bound where a server sends a byte now and then.
"""

from __future__ import annotations

import logging
import smtplib
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from typing import Any, Literal

import msgspec
import requests

from portcullis.alerts.channels.secrets import quiet_loggers
from portcullis.alerts.message import Outcome

BODY_KEPT = 4096
"""Bytes of an answer that are looked at."""

BODY_MAX = 1_000_000
CHUNK = 65_536
"""Bytes of an answer that are taken in at all, and at once."""

LINES_KEPT = 20


class Answer(msgspec.Struct, frozen=True):
    """An answer over HTTP: its status, the start of its body, and two headers as they came."""

    status: int
    body: str = ""
    retry_after: str = ""
    date: str = ""


class Fault(msgspec.Struct, frozen=True):
    """What ended a request without an answer.

    - unreachable: nothing was sent
    - silent: it was sent, and no answer came in time
    - broken: it was sent, and the connection ended before the answer
    - invalid: it cannot be sent at all
    - mail: a mail server's refusal, with its `code`
    """

    kind: Literal["unreachable", "silent", "broken", "invalid", "mail"]
    words: str
    code: int = 0
    by_mail: bool = False


class Seen(msgspec.Struct, frozen=True):
    """Everything noted during one attempt. `accepted` is Apprise's own word.

    `replies` are the codes of a mail server; `stated` is what a plugin of ours knows better.
    """

    accepted: bool
    late: bool = False
    answers: tuple[Answer, ...] = ()
    replies: tuple[int, ...] = ()
    faults: tuple[Fault, ...] = ()
    lines: tuple[str, ...] = ()
    stated: Outcome | None = None


class Watch:
    """Of one attempt in one thread."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.replies: list[int] = []
        self.faults: list[Fault] = []
        self.lines: list[str] = []
        self.stated: Outcome | None = None
        self.late = False
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()

    def seen(self, *, accepted: bool) -> Seen:
        """What was noted so far."""
        return Seen(
            accepted=accepted,
            late=self.late,
            answers=tuple(self.answers),
            replies=tuple(self.replies),
            faults=tuple(self.faults),
            lines=tuple(self.lines[-LINES_KEPT:]),
            stated=self.stated,
        )

    def connecting(self, opened: socket.socket) -> None:
        """A socket is about to connect. A duplicate is kept, since TLS takes the first away."""
        with self._lock:
            if self.late:
                raise TimeoutError("the attempt's time is up")
            self._sockets.append(socket.socket(fileno=socket.dup(opened.fileno())))

    def cut(self) -> None:
        """The time is up: every read and write of this attempt ends now."""
        with self._lock:
            self.late = True
            for opened in self._sockets:
                with suppress(OSError):
                    opened.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give the duplicates back."""
        with self._lock:
            while self._sockets:
                self._sockets.pop().close()


class _Current(threading.local):
    watch: Watch | None = None


_current = _Current()
_installing = threading.Lock()
_installed = threading.Event()


@contextmanager
def watching(within: float) -> Iterator[Watch]:
    """Note what this thread's sending meets, and end it after `within` seconds."""
    install()
    watch = Watch()
    timer = threading.Timer(within, watch.cut)
    timer.daemon = True
    timer.start()
    _current.watch = watch
    try:
        yield watch
    finally:
        _current.watch = None
        timer.cancel()
        watch.close()


@contextmanager
def listening() -> Iterator[Watch]:
    """Keep what Apprise logs in this thread, where nothing is sent."""
    install()
    watch = Watch()
    before, _current.watch = _current.watch, watch
    try:
        yield watch
    finally:
        _current.watch = before


def state(outcome: Outcome) -> None:
    """For plugins of ours: say what became of the message, where they know it themselves."""
    if _current.watch is not None:
        _current.watch.stated = outcome


def install() -> None:
    """Put the observers in place, once for the process. Threads without a watch notice nothing."""
    with _installing:
        if not _installed.is_set():
            _observe_requests()
            _observe_mail()
            sys.addaudithook(_on_audit)
            logging.getLogger("apprise").addHandler(_Lines())
            _installed.set()
    quiet_loggers()


def _on_audit(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and _current.watch is not None:
        _current.watch.connecting(args[0])


class _Lines(logging.Handler):
    """What Apprise says of this thread's attempt. It writes nowhere."""

    def emit(self, record: logging.LogRecord) -> None:
        if _current.watch is not None:
            _current.watch.lines.append(record.getMessage())


# --- requests -------------------------------------------------------------------------------------


def _observe_requests() -> None:
    send = requests.Session.send

    @wraps(send)
    def observed(self: requests.Session, request: Any, **options: Any) -> requests.Response:
        watch = _current.watch
        if watch is None:
            return send(self, request, **options)
        try:
            response = send(self, request, **{**options, "stream": True})
            if not options.get("stream"):
                _read(response)
        except Exception as problem:
            watch.faults.append(http_fault(problem))
            raise
        watch.answers.append(answer_of(response))
        return response

    requests.Session.send = observed  # type: ignore[method-assign]


def _read(response: requests.Response) -> None:
    """Take the body in, as `requests` would, but not more of it than anybody needs."""
    taken = bytearray()
    for chunk in response.iter_content(CHUNK):
        taken += chunk
        if len(taken) > BODY_MAX:
            response.close()
            raise requests.exceptions.ContentDecodingError("the answer has no end")
    response._content = bytes(taken)  # noqa: SLF001  (what `content` gives, here and to the plugin)
    response.close()


def answer_of(response: requests.Response) -> Answer:
    """What is kept of an answer."""
    return Answer(
        status=response.status_code,
        body=response.content[:BODY_KEPT].decode("utf-8", errors="replace"),
        retry_after=response.headers.get("Retry-After", ""),
        date=response.headers.get("Date", ""),
    )


def http_fault(problem: Exception) -> Fault:
    """What an error of `requests` means. Its text is not kept: it holds the whole address."""
    name = type(problem).__name__
    if isinstance(problem, requests.ConnectTimeout | requests.exceptions.ProxyError):
        return Fault("unreachable", f"no connection ({name})")
    if isinstance(problem, requests.exceptions.SSLError):
        return Fault("unreachable", f"TLS failed: {_tls_words(problem)}")
    if isinstance(problem, requests.ReadTimeout):
        return Fault("silent", "no answer in time")
    if isinstance(problem, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        inner = getattr(problem.args[0] if problem.args else None, "reason", None)
        if type(inner).__name__ in {"NewConnectionError", "NameResolutionError"}:
            return Fault("unreachable", f"no connection ({_network_words(inner)})")
        return Fault("broken", f"the connection ended before the answer ({name})")
    if isinstance(problem, ValueError):  # of requests: an address, a header, a name that cannot be
        return Fault("invalid", f"the request cannot be made ({name})")
    return Fault("broken", f"the answer cannot be read ({name})")


def _network_words(problem: Any) -> str:
    text = str(problem).lower()
    for words in ("connection refused", "no route", "unreachable", "name", "temporary failure"):
        if words in text:
            return "the name is not known" if words in {"name", "temporary failure"} else words
    return type(problem).__name__


def _tls_words(problem: Exception) -> str:
    text = str(problem)
    for words in ("self-signed certificate", "certificate has expired", "Hostname mismatch"):
        if words in text:
            return words
    return "certificate" if "CERTIFICATE_VERIFY_FAILED" in text else "handshake"


# --- smtplib --------------------------------------------------------------------------------------


def _observe_mail() -> None:
    for name in ("connect", "starttls", "login", "sendmail"):
        setattr(smtplib.SMTP, name, _noting(getattr(smtplib.SMTP, name)))
    getreply = smtplib.SMTP.getreply

    @wraps(getreply)
    def observed(self: smtplib.SMTP) -> tuple[int, bytes]:
        code, text = getreply(self)
        if _current.watch is not None:
            _current.watch.replies.append(code)
        return code, text

    smtplib.SMTP.getreply = observed  # type: ignore[method-assign]


def _noting(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def observed(*args: Any, **options: Any) -> Any:
        try:
            return method(*args, **options)
        except Exception as problem:
            if _current.watch is not None:
                _current.watch.faults.append(mail_fault(problem))
            raise

    return observed


def mail_fault(problem: Exception) -> Fault:
    """What an error of `smtplib` means, with the server's code and words where it gave any."""
    if isinstance(problem, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(problem.recipients.values()))
        return Fault("mail", f"{code} {_decoded(text)}", code, by_mail=True)
    if isinstance(problem, smtplib.SMTPResponseException):
        code = problem.smtp_code
        return Fault("mail", f"{code} {_decoded(problem.smtp_error)}", code, by_mail=True)
    if isinstance(problem, smtplib.SMTPNotSupportedError):
        return Fault("mail", str(problem), 502, by_mail=True)
    if isinstance(problem, smtplib.SMTPServerDisconnected):
        return Fault("broken", str(problem), by_mail=True)
    if isinstance(problem, TimeoutError):
        return Fault("silent", "no answer in time", by_mail=True)
    return Fault("unreachable", f"{type(problem).__name__}: {problem}", by_mail=True)


def _decoded(text: bytes | str) -> str:
    return text.decode("utf-8", errors="replace") if isinstance(text, bytes) else text
