"""The simulated gateway in this process: a wire without sockets, in virtual time too."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from portcullis.domain.model import SECOND
from portcullis.errors import VenueRefused, VenueTimeout, VenueUnreachable
from portcullis.venues.projectx.wire import PATIENCE, HubSocket, NoAnswer, Reply, ended
from portcullis.venues.simulated.faults import ConnectionBroken
from portcullis.venues.simulated_gateway.gateway import Answer, SimulatedGateway


class LocalWire:
    """The way to a gateway, as a process has it: what left arrives, even if nobody waits any more.

    `patience` (microseconds) is how long a request without an answer waits for it.
    """

    def __init__(self, gateway: SimulatedGateway, *, patience: int = PATIENCE) -> None:
        self.url = "the gateway in this process"
        self._gateway = gateway
        self.patience = patience
        self._travelling: dict[asyncio.Task[Any], None] = {}
        self._served: dict[asyncio.Task[Any], None] = {}
        self._sockets: list[_Pipe] = []
        self._is_open = False

    @property
    def travelling(self) -> int:
        """Requests on their way."""
        return len(self._travelling)

    async def open(self) -> bool:
        is_new, self._is_open = not self._is_open, True
        return is_new

    async def close(self) -> None:
        self._is_open = False
        self.break_sockets()

    def break_sockets(self) -> None:
        """Break the hubs' connections, as the end of a process does."""
        for socket in self._sockets:
            socket.abort()
        self._sockets.clear()

    async def post(self, path: str, body: bytes, token: str | None, within: int) -> Reply:
        if not self._is_open:
            raise VenueUnreachable("a request before connect", remedy="connect to the venue first")
        call = self._gateway.call(path.removeprefix("/api/"), body, token or "")
        request = _begin(call, self._travelling)
        try:
            async with asyncio.timeout(within / SECOND):
                answer: Answer = await asyncio.shield(request)
        except (VenueUnreachable, ConnectionBroken) as error:
            raise NoAnswer("the connection broke") from error
        except VenueTimeout as error:
            await asyncio.sleep(within / SECOND)
            raise NoAnswer("time-out") from error
        except TimeoutError as error:
            raise NoAnswer("time-out") from error
        return Reply(answer.status, answer.body, self._gateway.now() // SECOND * SECOND)

    async def connect(self, path: str, token: str) -> HubSocket:
        await asyncio.sleep(self._gateway.plan.travel() / SECOND)
        if self._gateway.user_of(token) is None:
            raise VenueRefused("Unauthorized", f"{path} refused the token", remedy="log in again")
        pipe = _Pipe(path)
        self._sockets = [socket for socket in self._sockets if not socket.is_over]
        self._sockets.append(pipe)
        _begin(self._gateway.serve_hub(path.rpartition("/")[2], pipe.far_end), self._served)
        return pipe


def _begin(
    work: Coroutine[Any, Any, Any], among: dict[asyncio.Task[Any], None]
) -> asyncio.Task[Any]:
    """Let something happen at the gateway, whoever waits for it."""

    def over(task: asyncio.Task[Any]) -> None:
        among.pop(task, None)
        if not task.cancelled():
            task.exception()  # looked at, so that nobody complains when nobody waits

    task = asyncio.ensure_future(work)
    among[task] = None
    task.add_done_callback(over)
    return task


class _Pipe:
    """The client's end of a connection in memory; `far_end` is the hub's."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._here: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._there: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.is_over = False
        self.far_end = _FarEnd(self)

    async def send(self, data: bytes) -> None:
        if self.is_over:
            raise ended(self._path, "it is closed")
        self._there.put_nowait(data)

    async def receive(self) -> bytes:
        frame = await self._here.get()
        if frame is None:
            self._here.put_nowait(None)
            raise ended(self._path, "it was closed")
        return frame

    async def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        """End it at both ends; what was on its way to the client can still be read."""
        if not self.is_over:
            self.is_over = True
            self._here.put_nowait(None)
            self._there.put_nowait(None)

    def arrive(self, data: bytes) -> None:
        if not self.is_over:
            self._here.put_nowait(data)

    async def heard(self) -> bytes | None:
        return await self._there.get()


class _FarEnd:
    """The hub's end."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe

    async def send(self, data: bytes) -> None:
        self._pipe.arrive(data)

    async def receive(self) -> bytes | None:
        return await self._pipe.heard()

    async def close(self) -> None:
        self._pipe.abort()

    def abort(self) -> None:
        self._pipe.abort()
