"""The simulated venue as a process of its own: its market, its endpoint, its end."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from portcullis.clock import Clock
from portcullis.domain.model import SECOND
from portcullis.venues.simulated.exchange import Exchange
from portcullis.venues.simulated.market.replay import Source

LATE_BOUND = 5 * SECOND
"""A market this far behind (the machine slept) goes on from now instead of catching up."""

Stepper = Callable[[int], None]


class Server(Protocol):
    """An exchange behind sockets; `listened` is set once somebody hears what it pushes."""

    exchange: Exchange
    listened: asyncio.Event

    async def start(self, host: str, port: int) -> int: ...

    async def stop(self) -> None: ...


async def play(
    exchange: Exchange, source: Source, clock: Clock, steppers: Sequence[Stepper] = ()
) -> None:
    """Feed a market to the exchange for ever; after each frame, let the traders act.

    The pace is the monotonic clock's, the quotes bear the wall clock's time: a stepped wall clock
    neither stops nor rushes the market. The traders are told the frame's own time.
    """
    began = clock.now()
    behind = clock.monotonic() - began
    for frame in source.frames(began):
        late = clock.monotonic() - behind - frame.at
        if late > LATE_BOUND:
            behind += late
        elif late < 0:
            await asyncio.sleep(-late / SECOND)
        at = clock.now()
        for quote in frame.quotes:
            exchange.on_quote(msgspec.structs.replace(quote, quoted_at=at))
        for step in steppers:
            step(frame.at)
        await asyncio.sleep(0)


async def run_server(
    server: Server,
    source: Source,
    clock: Clock,
    *,
    host: str,
    port: int,
    steppers: Sequence[Stepper] = (),
    wait_for_listener: int = 0,
) -> None:
    """Serve and play the market until Control-C or SIGTERM. Raises PortTaken.

    The market opens when somebody listens to the stream, at the latest after `wait_for_listener`
    (microseconds).
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError):  # Windows: Control-C ends it anyway
            loop.add_signal_handler(number, stop.set)
    await server.start(host, port)
    market = asyncio.create_task(_open(server, source, clock, steppers, wait_for_listener))
    ending = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((market, ending), return_when=asyncio.FIRST_COMPLETED)
        if market.done():
            market.result()
    finally:
        for task in (market, ending):
            task.cancel()
        await asyncio.gather(market, ending, return_exceptions=True)
        await server.stop()


async def _open(
    server: Server,
    source: Source,
    clock: Clock,
    steppers: Sequence[Stepper],
    wait_for_listener: int,
) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_for_listener / SECOND):
            await server.listened.wait()
    await play(server.exchange, source, clock, steppers)
