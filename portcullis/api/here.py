"""What the routes share: settings, the clock, and ways to the store and the worker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, LifoQueue
from typing import Any, NamedTuple

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from portcullis.api.ending import Ending
from portcullis.api.keys import KeyFile, standing
from portcullis.api.meters import Meters
from portcullis.api.problems import Problem
from portcullis.api.seen import Seen
from portcullis.api.sessions import Sessions
from portcullis.api.shut import Shutting
from portcullis.clock import SystemClock
from portcullis.config.certificate import read_certificate
from portcullis.config.settings import Settings
from portcullis.errors import PortcullisError
from portcullis.store.opening import has_ledger, open_reader
from portcullis.store.reading import LedgerReader

READERS_KEPT = 8


class Readers:
    """Looks into the ledger, kept open between requests; each is lent to one at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._idle: LifoQueue[tuple[object, LedgerReader]] = LifoQueue(READERS_KEPT)

    @contextmanager
    def one(self) -> Iterator[LedgerReader]:
        """A reader of the ledger that is there now. Raises Problem 503 where there is none."""
        stamp = self._stamp()
        reader = self._kept(stamp)
        try:
            yield reader
        except (PortcullisError, GeneratorExit):
            reader.close()
            raise
        except Problem:
            self._keep(stamp, reader)
            raise
        except BaseException:
            reader.close()
            raise
        self._keep(stamp, reader)

    def close(self) -> None:
        while True:
            try:
                self._idle.get_nowait()[1].close()
            except Empty:
                return

    def _kept(self, stamp: object) -> LedgerReader:
        while True:
            try:
                of, reader = self._idle.get_nowait()
            except Empty:
                break
            if of == stamp:
                return reader
            reader.close()  # of a file that a restore has replaced
        if not has_ledger(self._settings):
            raise Problem(
                503,
                "there is no ledger yet",
                remedy="start the worker with `portcullis up`",
                headers={"Retry-After": "5"},
            )
        return open_reader(self._settings)

    def _keep(self, stamp: object, reader: LedgerReader) -> None:
        if self._idle.full():
            reader.close()
        else:
            self._idle.put((stamp, reader))

    def _stamp(self) -> object:
        if self._settings.store_url:
            return None
        try:
            found = self._settings.ledger_path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


class Here(NamedTuple):
    """Everything that routes need of this process. `links`: since when the venues are as they are,
    so that it is looked up when it changes and not at every question.
    """

    settings: Settings
    keys: KeyFile
    seen: Seen
    readers: Readers
    meters: Meters
    sessions: Sessions
    links: dict[str, Any]
    shutting: Shutting
    stopping: threading.Event
    started: int
    now: Callable[[], int]
    monotonic: Callable[[], float]
    say: Callable[[str], None]


def make_here(settings: Settings, say: Callable[[str], None] = lambda _: None) -> Here:
    """Raises UsageError for a certificate that cannot be used."""
    now = SystemClock().now
    keys, certificate = KeyFile(settings.home_path), read_certificate(settings)
    return Here(
        settings,
        keys,
        Seen(settings, time.monotonic),
        Readers(settings),
        Meters(
            settings.home_path,
            lambda: _reader(settings),
            now,
            Ending(
                lambda: standing(keys.all(), now()), certificate.expires_at if certificate else None
            ),
        ),
        Sessions(keys, now),
        {},
        Shutting(),
        threading.Event(),
        now(),
        now,
        time.monotonic,
        say,
    )


def _reader(settings: Settings) -> LedgerReader | None:
    return open_reader(settings) if has_ledger(settings) else None


def here_of(request: Request) -> Here:
    found = request.app.state.here
    assert isinstance(found, Here)
    return found


async def in_ledger(here: Here, look: Callable[[LedgerReader], Any]) -> Any:
    """What `look` finds in the ledger, in a thread; readers are never kept over a wait."""

    def work() -> Any:
        with here.readers.one() as reader:
            return look(reader)

    return await run_in_threadpool(work)
