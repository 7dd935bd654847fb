"""The way to the venue, as a process has it: what left it arrives, even if the process is dead."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from portcullis.clock import Clock
from portcullis.proof.story import Story
from portcullis.venues.projectx.rest import Login
from portcullis.venues.projectx.spent import SLOTS, Spent
from portcullis.venues.projectx.venue import ProjectXVenue
from portcullis.venues.simulated import Exchange, FaultPlan, LocalVenue
from portcullis.venues.simulated_gateway.gateway import SimulatedGateway
from portcullis.venues.simulated_gateway.local import LocalWire

Answer = TypeVar("Answer")
USER, KEY = "trader", "the key of a simulated run"


class Network(LocalVenue):
    """The in-process venue; a request that left is carried out though nobody waits any more."""

    def __init__(self, *given: object, **named: object) -> None:
        super().__init__(*given, **named)  # type: ignore[arg-type]
        self._travelling: dict[asyncio.Task[object], None] = {}

    @property
    def travelling(self) -> int:
        """Requests on their way."""
        return len(self._travelling)

    async def _call(
        self, call: str, act: Callable[[], Answer], account: str = "", instrument: str = ""
    ) -> Answer:
        request = asyncio.ensure_future(super()._call(call, act, account, instrument))
        self._travelling[request] = None
        request.add_done_callback(self._arrived)
        return await asyncio.shield(request)

    def _arrived(self, request: asyncio.Task[object]) -> None:
        self._travelling.pop(request, None)
        if not request.cancelled():
            request.exception()  # looked at, so that nobody complains when nobody waits

    def part(self) -> None:
        """The process is gone. Its streams end when nobody reads them."""


class GatewayNetwork(ProjectXVenue):
    """The adapter to the ProjectX Gateway, with the gateway in this process."""

    def __init__(self, gateway: SimulatedGateway, login: Login, clock: Clock, spent: Spent) -> None:
        self._local = LocalWire(gateway)
        self._gateway_itself = gateway
        super().__init__(self._local, login, clock, spent=spent)

    @property
    def travelling(self) -> int:
        """Requests on their way."""
        return self._local.travelling

    def cut(self, why: str) -> None:
        """Break the connections to both hubs."""
        self._gateway_itself.cut(why)

    def part(self) -> None:
        """The process is gone, and its connections with it."""
        self._local.break_sockets()


AnyNetwork = Network | GatewayNetwork


def gateway_of(
    story: Story, exchange: Exchange, faults: FaultPlan, clock: Clock
) -> SimulatedGateway | None:
    """The gateway of a story that has one."""
    if story.gateway is None:
        return None
    return SimulatedGateway(exchange, faults, {USER: KEY}, clock, story.gateway)


class SpentHere:
    """What the machine keeps of the requests that were sent, whichever process sent them."""

    def __init__(self) -> None:
        self._times: deque[int] = deque(maxlen=SLOTS)

    def times(self, now: int) -> list[int]:
        return [at for at in self._times if at <= now]

    def note(self, at: int) -> None:
        self._times.append(at)


def network_to(
    gateway: SimulatedGateway | None,
    exchange: Exchange,
    faults: FaultPlan,
    clock: Clock,
    spent: Spent,
) -> AnyNetwork:
    """The way of one process to the venue; `clock` and `spent` are those of its machine."""
    if gateway is None:
        return Network(exchange, plan=faults)
    return GatewayNetwork(gateway, Login(USER, KEY), clock, spent)
