"""The ProjectX Gateway to look at: records over REST, both hubs as the stream, no orders."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

from portcullis.clock import Clock
from portcullis.errors import VenueRefused, VenueUnreachable
from portcullis.ports import VenueEvent
from portcullis.venues.projectx.books import Books
from portcullis.venues.projectx.records import Records
from portcullis.venues.projectx.rest import Gateway, Login
from portcullis.venues.projectx.spent import Spent
from portcullis.venues.projectx.stream import Stream
from portcullis.venues.projectx.wire import Wire


class ObservedGateway(Records):
    """The gateway behind a wire, for the accounts that `login` may see.

    `tickers` names products (MNQ) whose prices are wanted from the start; those that an account
    holds or has orders in are added by themselves. `spent` is what outlives this process of the
    requests it sent.
    """

    def __init__(
        self,
        wire: Wire,
        login: Login,
        clock: Clock,
        *,
        tickers: Iterable[str] = (),
        live_data: bool = False,
        spent: Spent | None = None,
    ) -> None:
        super().__init__(Gateway(wire, login, clock, spent), Books(), clock, live_data=live_data)
        self._tickers = frozenset(tickers)
        self.gateway.on_time = self._take_time
        self._stream: Stream | None = None

    async def connect(self) -> None:
        """Log in, open both hubs and subscribe. Raises VenueRefused for a wrong user or key."""
        await self.hang_up()
        await self.gateway.open()
        try:
            await self._listen()
        except BaseException:
            await self.hang_up()
            raise

    def _take_time(self, second: int) -> None:
        self.books.skew.note_second(second, self._clock.monotonic())

    async def hang_up(self) -> None:
        """End the hubs' connections alone: REST is another host, and protection needs it."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()

    async def close(self) -> None:
        await self.hang_up()
        await self.gateway.close()

    def stream(self) -> AsyncIterator[VenueEvent]:
        """What both hubs say since `connect`."""
        if self._stream is None:
            raise VenueUnreachable("stream before connect", remedy="connect to the venue first")
        return self._stream.events()

    async def _listen(self) -> None:
        listed = await self.instruments()
        if not self.books.accounts:
            await self.meet()
        contracts = [each.id for each in listed if each.ticker in self._tickers]
        token = await self.gateway.token()
        try:
            await self._open(token, contracts)
        except VenueRefused as error:
            if error.code != "Unauthorized":
                raise
            # A token may end before its time; only one that was just made tells of the key.
            await self.hang_up()
            await self._open(await self.gateway.token(spoilt=token), contracts)

    async def _open(self, token: str, contracts: list[str]) -> None:
        self._stream = Stream(self.gateway.wire, self, self._clock, self.name)
        await self._stream.open(token, self.books.accounts.values(), contracts)
