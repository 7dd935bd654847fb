"""The stage: the simulated venue as a process, and the demonstration in virtual time.

Apart from the wiring of the worker, which starts in a hurry and needs none of this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from portcullis import __version__
from portcullis.clock import Clock, SystemClock
from portcullis.config.settings import Settings
from portcullis.domain.plan import Plan
from portcullis.store.memory import MemoryInbox, MemoryLedger
from portcullis.store.writer import DirectCommit
from portcullis.venues.simulated import Exchange, FaultPlan, Latency, LocalVenue, instrument
from portcullis.venues.simulated.demonstration import LENGTH, demonstration
from portcullis.venues.simulated.endpoint import VenueServer
from portcullis.venues.simulated.market.readers import read_market
from portcullis.venues.simulated.market.replay import RecordedReplay, Source
from portcullis.venues.simulated.server import Server, play, run_server
from portcullis.venues.simulated.token import token_in
from portcullis.venues.simulated_gateway.gateway import SimulatedGateway
from portcullis.venues.simulated_gateway.server import GatewayServer
from portcullis.virtual_time import VirtualClock, VirtualLoop, run
from portcullis.wiring import SIMULATED_USER, prepare_home
from portcullis.worker.service import Ports, Terms, Worker

DEMO_INSTRUMENTS = ("ES", "MES", "NQ", "MNQ")
DEMO_START = 1_772_550_000_000_000  # 2026-03-03 15:00 UTC: a day without anything special
DEMO_LATENCY = 25_000
DEMO_MARGIN = 20.0
LISTENER_WAIT = 120_000_000  # microseconds; the demonstration is for somebody who watches


def run_venue(settings: Settings, say: Callable[[str], None]) -> None:
    """Run the simulated venue with the demonstration, or a person's own market data."""
    prepare_home(settings)
    token = settings.venue_token or token_in(settings.home_path)
    clock = SystemClock()
    exchange = _exchange(clock)
    _play(settings, say, VenueServer(exchange, FaultPlan(), token=token), clock)


def run_gateway(settings: Settings, say: Callable[[str], None]) -> None:
    """Run the simulated ProjectX Gateway with the same market and traders."""
    prepare_home(settings)
    key = settings.venue_token or token_in(settings.home_path)
    clock = SystemClock()
    exchange = _exchange(clock)
    users = {SIMULATED_USER: key}
    gateway = SimulatedGateway(exchange, FaultPlan(), users, clock)
    key_file, url = settings.home_path / "venue.token", settings.venue_url
    say(f"the simulated gateway is at {url}, REST and both hubs; user {SIMULATED_USER}")
    say(f"the API key is in {key_file}; it opens the control API too")
    say(
        f"to watch it: PORTCULLIS_HOME=... PORTCULLIS_PROJECTX_URL={url} "
        f"PORTCULLIS_PROJECTX_HUBS={url} portcullis init --venue projectx "
        f"--user {SIMULATED_USER} --key-file {key_file}"
    )
    _play(settings, say, GatewayServer(gateway, control_token=key), clock)


def _exchange(clock: Clock) -> Exchange:
    return Exchange(clock, instruments=[instrument(name) for name in DEMO_INSTRUMENTS])


def _play(settings: Settings, say: Callable[[str], None], server: Server, clock: Clock) -> None:
    """Serve an exchange with the demonstration on it."""
    exchange = server.exchange
    shown = demonstration(settings.demo_seed)
    traders = shown.traders(exchange)
    source: Source = shown.replay
    if settings.market_data:
        source = recorded_source(settings)
        traders = []
        say(f"playing {settings.market_data}; the demonstration's traders stay out")
    asyncio.run(
        run_server(
            server,
            source,
            clock,
            host=settings.host,
            port=settings.venue_port,
            steppers=[trader.look for trader in traders],
            wait_for_listener=LISTENER_WAIT,
        )
    )


def recorded_source(settings: Settings) -> Source:
    """A person's own CSV or Parquet as a market; raises UsageError naming file, line and column."""
    recording = read_market(
        Path(settings.market_data).expanduser(),
        instrument(settings.market_instrument),
        on_bad="refuse",
    )
    return RecordedReplay(recording.quotes, speed=float(settings.demo_speed))


def demonstrate(seed: int, plan: Plan, *, start: int = DEMO_START) -> MemoryLedger:
    """The whole demonstration in virtual time: same seed, same events, in any process."""
    loop = VirtualLoop()
    clock = VirtualClock(loop, start)
    ledger = MemoryLedger()
    run(_demonstrate(seed, plan, clock, ledger), loop)
    return ledger


async def _demonstrate(seed: int, plan: Plan, clock: Clock, ledger: MemoryLedger) -> None:
    exchange = _exchange(clock)
    shown = demonstration(seed)
    steppers = [trader.look for trader in shown.traders(exchange)]

    async def at_once(work: Callable[[], None]) -> None:
        work()

    ports = Ports(
        clock,
        ledger,
        DirectCommit(ledger),
        MemoryInbox(),
        LocalVenue(exchange, plan=FaultPlan(latency=Latency(DEMO_LATENCY))),
        lambda _text, _signature: False,
        lambda: plan,
        at_once,
    )
    settings = Settings()
    worker = Worker(
        ports,
        Terms(
            __version__,
            f"demo{seed}",
            settings.reconcile_every,
            settings.enforce_within,
            settings.snapshot_every,
        ),
    )
    working = asyncio.create_task(worker.run(), name="worker")
    market = asyncio.create_task(play(exchange, shown.replay, clock, steppers), name="market")
    await asyncio.sleep(LENGTH / 1_000_000 + DEMO_MARGIN)
    market.cancel()
    worker.stop()
    await working
