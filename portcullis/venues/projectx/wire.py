"""The way to the gateway: requests and hub connections, over HTTP and WebSocket or in-process.

What is above it, from tokens to rows, does not know which.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Protocol

import aiohttp

from portcullis.domain.model import SECOND
from portcullis.errors import VenueRefused, VenueUnreachable
from portcullis.venues.projectx.signalr import BUFFER_MAX

CONNECT_WITHIN = 10 * SECOND
PATIENCE = 5 * SECOND


class NoAnswer(Exception):
    """A request left, and no answer came: nobody knows what became of it."""


class Reply(NamedTuple):
    """HTTP status and content. `told_at` is the second of the gateway's time that its `Date` names,
    microseconds; None where it names none.
    """

    status: int
    content: bytes
    told_at: int | None = None


class HubSocket(Protocol):
    """An open connection to a hub, as frames of bytes."""

    async def send(self, data: bytes) -> None:
        """Send a frame; raises VenueUnreachable when the connection has ended."""

    async def receive(self) -> bytes:
        """The next frame; raises VenueUnreachable when the connection has ended."""

    async def close(self) -> None:
        """End it; safe to call twice."""


class Wire(Protocol):
    """What carries requests to a gateway."""

    url: str
    patience: int
    """How long a request waits for its answer, microseconds, as long as answers come."""

    async def open(self) -> bool:
        """Make ready; what is open stays so, with its requests. Says whether it was not open."""

    async def close(self) -> None:
        """Let go of everything; safe to call twice."""

    async def post(self, path: str, body: bytes, token: str | None, within: int) -> Reply:
        """Send a request and wait `within` microseconds. Raises VenueUnreachable where nothing was
        sent, NoAnswer where it may have been.
        """

    async def connect(self, path: str, token: str) -> HubSocket:
        """A connection to a hub. Raises VenueRefused for a token that is no good, VenueUnreachable
        for everything else.
        """


class HttpWire:
    """REST at `url` and hubs at `hubs`."""

    def __init__(self, url: str, hubs: str, *, patience: int = PATIENCE) -> None:
        self.url = url.rstrip("/")
        self.patience = patience
        self._hubs = hubs.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> bool:
        is_new = self._session is None
        if is_new:
            self._session = aiohttp.ClientSession()
        return is_new

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def post(self, path: str, body: bytes, token: str | None, within: int) -> Reply:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        session = self._opened()
        wait = aiohttp.ClientTimeout(total=within / SECOND)
        try:
            # Not followed: a login that is redirected would hand the key to whoever redirects.
            async with session.post(
                f"{self.url}{path}",
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=wait,
            ) as reply:
                told_at = _second(reply.headers.get("Date"))
                return Reply(reply.status, await reply.read(), told_at)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise VenueUnreachable(
                f"{path}: {self.url} cannot be reached: {error}",
                remedy="check the network and PORTCULLIS_PROJECTX_URL; it is tried again by itself",
            ) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise NoAnswer(str(error) or type(error).__name__) from error

    async def connect(self, path: str, token: str) -> HubSocket:
        url = f"{self._hubs}{path}"
        try:
            async with asyncio.timeout(CONNECT_WITHIN / SECOND):
                socket = await self._opened().ws_connect(
                    url, params={"access_token": token}, max_msg_size=BUFFER_MAX
                )
        except aiohttp.WSServerHandshakeError as error:
            # The error's own words hold the address, and with it the token.
            if error.status == 401:
                raise VenueRefused(
                    "Unauthorized", f"{url} refused the token", remedy="log in again"
                ) from None
            raise ended(url, f"HTTP {error.status}") from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ended(url, type(error).__name__) from None
        return _WebSocket(url, socket)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise VenueUnreachable("a request before connect", remedy="connect to the venue first")
        return self._session


def _second(date: str | None) -> int | None:
    try:
        told = parsedate_to_datetime(date) if date else None
    except (ValueError, OverflowError):
        return None
    return (
        None if told is None else int(told.replace(tzinfo=told.tzinfo or UTC).timestamp()) * SECOND
    )


class _WebSocket:
    """A hub's connection over a WebSocket."""

    def __init__(self, url: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._url = url
        self._socket = socket

    async def send(self, data: bytes) -> None:
        try:
            await self._socket.send_bytes(data)
        except (aiohttp.ClientError, ConnectionError) as error:
            raise ended(self._url, type(error).__name__) from error

    async def receive(self) -> bytes:
        message = await self._socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return str(message.data).encode()
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data)
        raise ended(self._url, f"the socket ended ({message.type.name.lower()})")

    async def close(self) -> None:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with asyncio.timeout(1):
                await self._socket.close()


def ended(url: str, why: str) -> VenueUnreachable:
    """The error of a connection that is no more."""
    return VenueUnreachable(
        f"the connection to {url} ended: {why}",
        remedy="it is made anew by itself, and the account is read again; where it never holds, "
        "check PORTCULLIS_PROJECTX_HUBS",
    )
