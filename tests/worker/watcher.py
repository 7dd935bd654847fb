"""A watcher outside: a real HTTP server in a thread of its own, as healthchecks or Kuma answer."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from aiohttp import web

UUID = "5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278"
WAIT_SECONDS = 10.0


class Got(NamedTuple):
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    body: str


class Watcher:
    """What it got, in order, and how it answers: `answers` is taken from, the last one stays."""

    def __init__(self) -> None:
        self.got: queue.Queue[Got] = queue.Queue()
        self.answers: list[tuple[int, str]] = [(200, "OK")]
        self.holding = threading.Event()
        self.dripping = threading.Event()
        self.over = asyncio.Event()
        self.port = 0

    @property
    def healthchecks(self) -> str:
        return f"http://127.0.0.1:{self.port}/{UUID}"

    @property
    def kuma(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/push/t0ken?status=up&msg=OK&ping="

    async def next(self) -> Got:
        """The next request; raises queue.Empty when none comes."""
        return await asyncio.to_thread(self.got.get, True, WAIT_SECONDS)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = (await request.read()).decode()
        self.got.put(Got(request.method, request.path, dict(request.query), body))
        if self.holding.is_set():
            await self.over.wait()
        if self.dripping.is_set():
            reply = web.StreamResponse()
            await reply.prepare(request)
            while not self.over.is_set():
                await reply.write(b".")
                await asyncio.sleep(0.05)
        status, text = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=status, text=text)


@contextmanager
def watching() -> Iterator[Watcher]:
    """A watcher that listens."""
    watcher = Watcher()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", watcher.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)

    async def begin() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        watcher.port = runner.addresses[0][1]

    try:
        asyncio.run_coroutine_threadsafe(begin(), loop).result(WAIT_SECONDS)
        yield watcher
    finally:
        loop.call_soon_threadsafe(watcher.over.set)
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(WAIT_SECONDS)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
