"""What only a gateway's operator, or a drill, can do; the rest are the simulated venue's acts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from portcullis.venues.simulated.wire import Nothing

if TYPE_CHECKING:
    from portcullis.venues.simulated_gateway.gateway import SimulatedGateway


class Goodbye(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the hubs end their connections."""

    error: str | None = None
    allow_reconnect: bool = True


class OfUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user: str


class Act(NamedTuple):
    arguments: type[msgspec.Struct]
    act: Callable[[SimulatedGateway, Any], Awaitable[Any]]


async def _cut(on: SimulatedGateway, _: Nothing) -> None:
    on.cut()


async def _end_tokens(on: SimulatedGateway, _: Nothing) -> None:
    on.tokens.end_all()


async def _close_hubs(on: SimulatedGateway, how: Goodbye) -> None:
    for connection in list(on.connections):
        await connection.say_close(how.error, allow_reconnect=how.allow_reconnect)


async def _log_out(on: SimulatedGateway, _: Nothing) -> None:
    on.tokens.end_all()
    for connection in list(on.connections):
        await connection.log_out()


async def _starve(on: SimulatedGateway, _: Nothing) -> None:
    for connection in on.connections:
        connection.starved = True


async def _expire(on: SimulatedGateway, whose: OfUser) -> None:
    on.expired.add(whose.user.lower())


async def _limits(on: SimulatedGateway, _: Nothing) -> dict[str, Any]:
    return {
        "limit": on.limit.limit,
        "most": on.limit.most,
        "refused": on.limit.refused,
        "bars": {"most": on.bars_limit.most, "refused": on.bars_limit.refused},
        "logins": on.logins,
    }


OWN_ACTS: dict[str, Act] = {
    "cut": Act(Nothing, _cut),
    "end_tokens": Act(Nothing, _end_tokens),
    "close_hubs": Act(Goodbye, _close_hubs),
    "log_out": Act(Nothing, _log_out),
    "starve": Act(Nothing, _starve),
    "expire": Act(OfUser, _expire),
    "limits": Act(Nothing, _limits),
}
"""Break the sockets; end every token; say goodbye; log everybody out; send no more pings; take a
user's subscription away; say how much of the limits was used."""
