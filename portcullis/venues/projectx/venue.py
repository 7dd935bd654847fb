"""The ProjectX Gateway as a venue: REST for the truth and for orders, both hubs for the stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import aiohttp

from portcullis.clock import Clock
from portcullis.domain.model import SECOND
from portcullis.errors import VenueUnreachable
from portcullis.ports import VenueEvent
from portcullis.venues.projectx.books import Books
from portcullis.venues.projectx.desk import Desk
from portcullis.venues.projectx.rest import Gateway, Login
from portcullis.venues.projectx.stream import Stream


class ProjectXVenue(Desk):
    """The gateway at `url` with its hubs at `hubs`, for the accounts that `login` may see.

    `tickers` names products (MNQ) whose prices are wanted from the start; those that an account
    holds or has orders in are added by themselves. `timeout` bounds a call, microseconds.
    """

    def __init__(
        self,
        url: str,
        hubs: str,
        login: Login,
        clock: Clock,
        *,
        tickers: Iterable[str] = (),
        live_data: bool = False,
        timeout: int = 10 * SECOND,
    ) -> None:
        gateway = Gateway(url, login, clock, timeout=timeout)
        super().__init__(gateway, Books(), clock, live_data=live_data)
        self._hubs = hubs
        self._tickers = frozenset(tickers)
        self._session: aiohttp.ClientSession | None = None
        self._stream: Stream | None = None

    async def connect(self) -> None:
        """Log in, open both hubs and subscribe. Raises VenueRefused for a wrong user or key."""
        await self.close()
        await self.gateway.open()
        try:
            await self._listen()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        stream, self._stream = self._stream, None
        session, self._session = self._session, None
        if stream is not None:
            await stream.close()
        if session is not None:
            await session.close()
        await self.gateway.close()

    def stream(self) -> AsyncIterator[VenueEvent]:
        """What both hubs say since `connect`."""
        if self._stream is None:
            raise VenueUnreachable("stream before connect", remedy="connect to the venue first")
        return self._stream.events()

    async def _listen(self) -> None:
        listed = await self.instruments()
        await self.accounts()
        contracts = [each.id for each in listed if each.ticker in self._tickers]
        self._session = aiohttp.ClientSession()
        self._stream = Stream(self._hubs, self, self._clock, self.name)
        token = await self.gateway.token()
        await self._stream.open(self._session, token, self.books.accounts.values(), contracts)
