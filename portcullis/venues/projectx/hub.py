"""One connection to a hub of the gateway: opened, subscribed, listened to, and ended in good time.

A connection is used once. When it ends, for whatever reason, `events` raises, and who supervises it
makes a new one: nothing of the old is kept, since the gateway replays nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from portcullis.domain.model import SECOND
from portcullis.errors import VenueRefused, VenueTimeout, VenueUnreachable
from portcullis.venues.projectx import signalr
from portcullis.venues.projectx.wire import HubSocket, Wire, ended

KEEP_ALIVE = 15 * SECOND
SERVER_TIMEOUT = 30 * SECOND
ANSWER_WITHIN = 10 * SECOND
WAITING_MAX = 50_000
"""Events that may wait for their reader: minutes of the busiest market seen."""


class Hub:
    """A connection to the hub at `path` (/hubs/user) of a wire."""

    def __init__(
        self,
        wire: Wire,
        path: str,
        *,
        keep_alive: int = KEEP_ALIVE,
        server_timeout: int = SERVER_TIMEOUT,
        answer_within: int = ANSWER_WITHIN,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self.url = path
        self._wire = wire
        self._keep_alive = keep_alive / SECOND
        self._server_timeout = server_timeout / SECOND
        self._answer_within = answer_within / SECOND
        self._socket: HubSocket | None = None
        self._records = signalr.Records()
        self._calls: dict[str, asyncio.Future[None]] = {}
        self._numbers = 0
        self._events: asyncio.Queue[signalr.Invocation | Exception] = asyncio.Queue()
        self._waiting_max = waiting_max
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, token: str) -> None:
        """Connect without negotiation and shake hands. Raises VenueRefused for a token that is no
        good, VenueUnreachable for everything else.
        """
        try:
            self._socket = await self._wire.connect(self.url, token)
            async with asyncio.timeout(self._answer_within):
                await self._socket.send(signalr.HANDSHAKE)
                rest = await self._shaken(self._socket)
        except TimeoutError:
            raise ended(self.url, "no answer to the handshake") from None
        for record in rest:
            self._take(record)
        self._tasks = [
            asyncio.create_task(self._listen(self._socket)),
            asyncio.create_task(self._keep(self._socket)),
        ]

    async def call(self, target: str, *arguments: object) -> None:
        """Call a method and wait until the hub says that it was done; raises VenueRefused with the
        hub's words when it was not.
        """
        if self._socket is None:
            raise ended(self.url, "it is not open")
        self._numbers += 1
        number = self._numbers
        answered = asyncio.get_running_loop().create_future()
        self._calls[str(number)] = answered
        try:
            async with asyncio.timeout(self._answer_within):
                await self._socket.send(signalr.call(number, target, *arguments))
                await answered
        except TimeoutError:
            raise VenueTimeout(
                f"{target}: {self.url} did not answer", remedy="the connection is made anew"
            ) from None
        finally:
            self._calls.pop(str(number), None)

    async def events(self) -> AsyncIterator[signalr.Invocation]:
        """What the hub says, until the connection ends; then VenueUnreachable says why."""
        while True:
            event = await self._events.get()
            if isinstance(event, Exception):
                raise event
            yield event

    async def close(self) -> None:
        """End the connection; safe to call twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()
        self._end(ended(self.url, "closed by us"))

    # --- under the hood -----------------------------------------------------------------------

    async def _shaken(self, socket: HubSocket) -> list[bytes]:
        """The records that came along with the answer to the handshake."""
        while True:
            found = self._records.feed(await socket.receive())
            if found:
                signalr.shake(found[0])
                return found[1:]

    async def _listen(self, socket: HubSocket) -> None:
        """Take what comes. A server that says nothing, not even a ping, is gone: a socket that is
        half open would never say so.
        """
        try:
            while True:
                async with asyncio.timeout(self._server_timeout):
                    frame = await socket.receive()
                for record in self._records.feed(frame):
                    self._take(record)
        except TimeoutError:
            self._end(ended(self.url, f"silent for {self._server_timeout:.0f} s"))
        except Exception as error:  # noqa: BLE001 - raised to whoever reads
            self._end(error)

    async def _keep(self, socket: HubSocket) -> None:
        """Give signs of life; that they cannot be sent is seen by who listens."""
        with contextlib.suppress(VenueUnreachable):
            while True:
                await asyncio.sleep(self._keep_alive)
                await socket.send(signalr.PING)

    def _take(self, record: bytes) -> None:
        message = signalr.message_of(record)
        if isinstance(message, signalr.Invocation):
            if self._events.qsize() >= self._waiting_max:
                raise ended(self.url, f"{self._waiting_max} events wait to be read")
            self._events.put_nowait(message)
        elif isinstance(message, signalr.Completion):
            self._answer(message)
        elif isinstance(message, signalr.Close):
            raise ended(self.url, f"closed by the server: {message.error or 'no reason given'}")

    def _answer(self, message: signalr.Completion) -> None:
        answered = self._calls.get(message.invocation_id)
        if answered is None or answered.done():
            return
        if message.error is None:
            answered.set_result(None)
        else:
            answered.set_exception(
                VenueRefused("HubError", message.error, remedy="this is a defect: report it")
            )

    def _end(self, why: Exception) -> None:
        """Tell everyone who waits; what came before is read first."""
        self._events.put_nowait(why)
        for answered in self._calls.values():
            if not answered.done():
                answered.set_exception(why)
