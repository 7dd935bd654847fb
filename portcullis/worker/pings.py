"""Sending the dead-man's ping: a thread for each target, every step of it bounded in time.

A target that hangs delays no other and nothing of the worker. The newest report counts: what was
not sent yet when another comes is not sent any more.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

from portcullis.worker.ping_targets import Report, Request, Target

ATTEMPT_SECONDS = 5.0
ATTEMPTS = 3
PAUSE_SECONDS = 1.0
ANSWER_MAX = 1_024
BODY_MAX = 10_000
"""As much of a body as healthchecks once kept."""


Heard = Callable[[Target, str], None]
"""Told what became of a report at a target: why it was not taken, or nothing."""


class Pings:
    """The targets with their threads."""

    def __init__(
        self,
        targets: Sequence[Target],
        heard: Heard,
        checkpoint: Callable[[], str],
        *,
        attempt_seconds: float = ATTEMPT_SECONDS,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        """`heard` and `checkpoint`, the newest signed one, are called on the threads."""
        newest = _Checkpoint(checkpoint)
        self._lines = [
            _Line(each, heard, newest, attempt_seconds, pause_seconds) for each in targets
        ]

    def send(self, report: Report) -> None:
        """Hand a report to every target; returns at once."""
        for line in self._lines:
            line.give(report)

    def stop(self) -> None:
        """Begin nothing more; what is under way ends by itself and holds up no exit."""
        for line in self._lines:
            line.stop()


class _Checkpoint:
    """The newest signed checkpoint, read for a report; a failing one waits for no reading."""

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read
        self._kept = ""

    def under(self, report: Report) -> Report:
        """The report with the checkpoint below it."""
        if not (report.failing and self._kept):
            try:
                self._kept = self._read()
            except Exception as error:  # noqa: BLE001 - the ping is more than the checkpoint
                return report._replace(body=f"{report.body}\nno checkpoint: {error}"[:BODY_MAX])
        return report._replace(body=f"{report.body}\n\n{self._kept}"[:BODY_MAX])


class _Line:
    """One target and its thread."""

    def __init__(
        self, target: Target, heard: Heard, newest: _Checkpoint, attempt: float, pause: float
    ) -> None:
        self._target, self._heard, self._newest = target, heard, newest
        self._attempt, self._pause = attempt, pause
        self._changed = threading.Condition()
        self._waiting: Report | None = None
        self._stopped = False
        self._took_ms: int | None = None
        # A daemon: a name that does not resolve must not hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name="dead-man", daemon=True)
        self._thread.start()

    def give(self, report: Report) -> None:
        with self._changed:
            self._waiting = report
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _run(self) -> None:
        while (report := self._next()) is not None:
            fault = self._tell(report)
            if fault is not None:
                with suppress(RuntimeError):  # the loop that would hear it is gone
                    self._heard(self._target, fault)

    def _next(self) -> Report | None:
        with self._changed:
            self._changed.wait_for(self._has_news)
            report, self._waiting = self._waiting, None
            return None if self._stopped else report

    def _has_news(self) -> bool:
        return self._stopped or self._waiting is not None

    def _tell(self, report: Report) -> str | None:
        """Try until it is taken; the last fault, or None where nothing was to be sent."""
        if self._target.form == "healthchecks":
            report = self._newest.under(report)
        request = self._target.request(report, self._took_ms)
        if request is None:
            return None
        fault = ""
        for attempt in range(ATTEMPTS):
            fault = self._once(request)
            if not fault:
                break
            with self._changed:
                last = attempt + 1 == ATTEMPTS
                if last or self._changed.wait_for(self._has_news, self._pause):
                    break
        return fault

    def _once(self, request: Request) -> str:
        """One attempt: why it was not taken, without the address."""
        began = time.monotonic()
        try:
            status, answer = _sent(request, self._attempt)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return _named(error)
        self._took_ms = round((time.monotonic() - began) * 1_000)
        return self._target.fault(status, answer)


def _named(error: Exception) -> str:
    """What happened, in words that cannot hold any part of an address."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(error, ssl.SSLError):
        return f"no secure connection: {error.reason or 'refused'}"
    if isinstance(error, OSError) and error.strerror:
        return f"no connection: {error.strerror}"
    return f"no answer that can be read ({type(error).__name__})"


def _sent(request: Request, seconds: float) -> tuple[int, str]:
    """The status and the beginning of the answer; raises OSError or HTTPException.

    Redirections are not followed: an address that moved is answered with its 3xx.
    """
    parts = urlsplit(request.url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=seconds)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"User-Agent": "portcullis", "Content-Type": "text/plain; charset=utf-8"}
    try:
        connection.connect()
        with _ended_after(seconds, connection.sock):
            method = "GET" if request.body is None else "POST"
            connection.request(method, path, request.body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(ANSWER_MAX).decode(errors="replace")
    finally:
        connection.close()


@contextmanager
def _ended_after(seconds: float, held: socket.socket) -> Iterator[None]:
    """End a connection after so many seconds, however slowly its bytes drip: TimeoutError."""
    ended = threading.Event()

    def end() -> None:
        ended.set()
        with suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)

    guard = threading.Timer(seconds, end)
    guard.daemon = True
    guard.start()
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError, AttributeError):
        if not ended.is_set():  # what a connection says that was ended under it, is this
            raise
    finally:
        guard.cancel()
    if ended.is_set():
        raise TimeoutError
