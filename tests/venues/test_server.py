"""The venue's process: its market in step with the clock, its token, its end."""

from __future__ import annotations

import asyncio
import signal
import stat
import subprocess
import sys

import pytest

from portcullis.clock import SystemClock
from portcullis.domain.events import Quote, kind_of
from portcullis.domain.model import SECOND
from portcullis.venues.simulated import Exchange, FaultPlan, instrument
from portcullis.venues.simulated.client import SimulatedVenue
from portcullis.venues.simulated.endpoint import VenueServer
from portcullis.venues.simulated.market.replay import DailyReplay
from portcullis.venues.simulated.server import play, run_server
from portcullis.venues.simulated.token import token_in
from portcullis.virtual_time import VirtualClock, VirtualLoop, run
from tests.venues.bench import START


def exchange_on(clock) -> Exchange:
    return Exchange(clock, instruments=[instrument(t) for t in ("ES", "MES", "NQ", "MNQ")])


def test_the_market_keeps_the_clocks_pace_and_lets_traders_look():
    loop = VirtualLoop()
    clock = VirtualClock(loop, START)
    looks: list[int] = []

    async def main() -> Exchange:
        exchange = exchange_on(clock)
        source = DailyReplay(speed=600)
        market = asyncio.create_task(play(exchange, source, clock, [looks.append]))
        await asyncio.sleep(10)
        market.cancel()
        return exchange

    exchange = run(main(), loop)
    assert looks == [START + n * SECOND // 4 for n in range(len(looks))]
    assert len(looks) in (40, 41)
    assert {q.quoted_at for q in exchange.quotes()} == {looks[-1]}


class SleptClock(VirtualClock):
    """A clock that can pass without the loop noticing, as when a machine sleeps."""

    slept = 0

    def monotonic(self) -> int:
        return super().monotonic() + self.slept


def frames_heard(disturb) -> list[int]:
    """Wall times of the quotes of two seconds, disturbed in the middle."""
    loop = VirtualLoop()
    clock = SleptClock(loop, START)
    heard: list[int] = []

    async def main() -> None:
        exchange = exchange_on(clock)
        market = asyncio.create_task(play(exchange, DailyReplay(), clock))
        exchange.subscribe(lambda e: heard.append(e.quoted_at) if isinstance(e, Quote) else None)
        await asyncio.sleep(1.1)
        disturb(clock)
        await asyncio.sleep(1)
        market.cancel()

    run(main(), loop)
    return [at - START for at in heard[::4]]


@pytest.mark.parametrize("hour", [3600 * SECOND, -3600 * SECOND])
def test_a_stepped_wall_clock_neither_stops_nor_rushes_the_market(hour):
    quarter = SECOND // 4
    steady = [n * quarter for n in range(9)]
    assert frames_heard(lambda clock: clock.step(hour)) == steady[:5] + [
        at + hour for at in steady[5:]
    ]


def test_a_market_that_slept_goes_on_from_now():
    def sleep(clock: SleptClock) -> None:
        clock.slept = 3600 * SECOND

    heard = frames_heard(sleep)
    assert len(heard) <= 10, "the hour is not caught up"
    assert heard[-1] >= 3600 * SECOND


def test_the_token_is_made_once_and_readable_by_its_owner_only(tmp_path):
    token = token_in(tmp_path / "home")
    assert len(token) >= 40
    assert token_in(tmp_path / "home") == token
    mode = (tmp_path / "home" / "venue.token").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize("listens", [True, False])
async def test_the_market_opens_for_the_first_listener_or_after_a_while(listens, unused_tcp_port):
    clock = SystemClock()
    server = VenueServer(exchange_on(clock), FaultPlan(), token="t")
    began = asyncio.Event()
    serving = asyncio.create_task(
        run_server(
            server,
            DailyReplay(),
            clock,
            host="127.0.0.1",
            port=unused_tcp_port,
            steppers=[lambda _: began.set()],
            wait_for_listener=60 * SECOND if listens else SECOND // 10,
        )
    )
    venue = SimulatedVenue(f"http://127.0.0.1:{unused_tcp_port}", "t")
    if listens:
        await asyncio.sleep(0.05)
        assert not began.is_set()
        await venue.connect()
    async with asyncio.timeout(5):
        await began.wait()
    await venue.close()
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


PROCESS = """
import asyncio, sys
from pathlib import Path
from portcullis.clock import SystemClock
from portcullis.venues.simulated import Exchange, FaultPlan, instrument
from portcullis.venues.simulated.endpoint import VenueServer
from portcullis.venues.simulated.demonstration import demonstration
from portcullis.venues.simulated.server import run_server
from portcullis.venues.simulated.token import token_in
clock = SystemClock()
exchange = Exchange(clock, instruments=[instrument(t) for t in ("ES", "MES", "NQ", "MNQ")])
shown = demonstration(0)
traders = shown.traders(exchange)
server = VenueServer(exchange, FaultPlan(), token=token_in(Path(sys.argv[1])))
asyncio.run(run_server(server, shown.replay, clock, host="127.0.0.1", port=int(sys.argv[2]),
                       steppers=[t.look for t in traders]))
"""


async def answering(venue: SimulatedVenue) -> None:
    """Wait until the venue's process answers."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await venue.connect()
            except Exception:  # noqa: BLE001 - whatever it is, it is not up yet
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_cleanly_with_a_listener_connected(
    number, tmp_path, unused_tcp_port
):
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-c", PROCESS, str(tmp_path), str(unused_tcp_port)],
        stderr=subprocess.PIPE,
    )
    try:
        venue = SimulatedVenue(f"http://127.0.0.1:{unused_tcp_port}", token_in(tmp_path))
        await answering(venue)
        stream = venue.stream()
        assert kind_of(await anext(stream))
        assert len(await venue.accounts()) == 5
        process.send_signal(number)
        async with asyncio.timeout(10):
            _, errors = await process.communicate()
        assert process.returncode == 0
        assert errors == b""
        await venue.close()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
