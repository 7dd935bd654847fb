"""Channels, and what became of every message to them; trying one, and sending again.

The addresses are secrets, and the sender's alone: this process reads what the sender publishes, and
asks it through the inbox to send.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from portcullis.alerts.alert_reader import AlertReader, is_begun
from portcullis.alerts.channel_rows import channel_rows
from portcullis.alerts.outbox import Delivery
from portcullis.api import asking
from portcullis.api.access import GuardedRoute, caller_of
from portcullis.api.alert_shapes import CHANNEL, Attempt, AttemptBody, Channels, Deliveries
from portcullis.api.answers import answer, described, rfc3339
from portcullis.api.control import told
from portcullis.api.here import Here, here_of
from portcullis.api.problems import Problem
from portcullis.api.shapes import PRINTED
from portcullis.domain.model import MICRO

router = APIRouter(route_class=GuardedRoute, tags=["alerts"])
ChannelName = Annotated[str, Path(pattern=CHANNEL, examples=["phone"])]
DeliveryNumber = Annotated[int, Path(ge=1, le=2**53, examples=[17])]
ENDED = ("delivered", "dead", "replaced")
POLL_SECONDS = 0.1
ATTEMPTS: dict[int | str, dict[str, Any]] = {
    **described(Attempt, 409, bodied=True),
    202: {"model": Attempt, "description": "It stands in the inbox; nobody has taken it yet"},
}


class DeliveryFilters(BaseModel):
    """Which messages; what is left out does not narrow."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["waiting", "sending", "delivered", "dead", "replaced"] | None = Field(
        None, description="`dead`: given up, and sent again only when somebody asks"
    )
    channel: str | None = Field(None, pattern=CHANNEL)
    alert: str | None = Field(None, min_length=1, max_length=64, pattern=PRINTED)
    before: int | None = Field(None, ge=1, le=2**53, description="`next` of the page before")
    limit: int = Field(100, ge=1, le=1_000)


@router.get("/api/v1/channels", operation_id="list_channels", responses=described(Channels))
async def channels(request: Request) -> Response:
    """Every channel: what it is, what it is told of, how it does. No address and no secret."""
    here = here_of(request)
    return answer(await run_in_threadpool(_channels, here))


def _channels(here: Here) -> dict[str, Any]:
    home = here.settings.home_path
    if not is_begun(home):
        return {"as_of": None, "channels": []}
    with AlertReader(home) as store:
        kept, figures = store.kept(), store.figures()
    return {
        "as_of": rfc3339(kept.at),
        "channels": [_published(row) for row in channel_rows(kept, figures, here.now())],
    }


def _published(row: dict[str, Any]) -> dict[str, Any]:
    """With times and durations in the form that all have here."""
    times = {
        name: rfc3339(row[name]) for name in ("last_success", "oldest_waiting", "spared_until")
    }
    return {**row, **times, "pace": None if row["pace"] is None else row["pace"] / MICRO}


@router.post("/api/v1/channels/{channel}/test", operation_id="test_channel", responses=ATTEMPTS)
async def try_channel(request: Request, channel: ChannelName, body: AttemptBody) -> Response:
    """Have the sender send a test the way alerts go. `delivery`: what has become of it within
    `wait` seconds; null while it is not planned yet.
    """
    here = here_of(request)
    if not await _look(here, lambda store: channel in store.kept().channels):
        raise Problem(
            404,
            f"no channel {channel} is connected",
            remedy="see /api/v1/channels; `portcullis alert connect` adds one",
        )
    asked = asking.make("alert_test", body.reason, channel=channel)
    outcome = await asking.ask_sender(here, caller_of(request), asked)
    return await _followed(here, outcome, lambda store: _test(store, asked.request_id), body.wait)


def _test(store: AlertReader, request_id: str) -> Delivery | None:
    for alert in store.tests():
        if alert.subject == request_id:
            return next(iter(store.deliveries(alert.id)), None)
    return None


@router.get("/api/v1/deliveries", operation_id="list_deliveries", responses=described(Deliveries))
async def deliveries(request: Request, filters: Annotated[DeliveryFilters, Query()]) -> Response:
    """Messages to channels, newest first, and what became of each; `state=dead`: those given up."""
    wanted = filters.model_dump()
    found = await _look(here_of(request), lambda store: store.found(**wanted)) or []
    more = found[-1].number if len(found) == filters.limit else None
    return answer({"deliveries": [delivery_row(each) for each in found], "next": more})


@router.post(
    "/api/v1/deliveries/{delivery}/redeliver", operation_id="redeliver", responses=ATTEMPTS
)
async def redeliver(request: Request, delivery: DeliveryNumber, body: AttemptBody) -> Response:
    """Have the sender send again what was given up. `delivery`: what has become of it within
    `wait` seconds.
    """
    here = here_of(request)
    known, channels = await _look(
        here, lambda store: (store.delivery(delivery), store.kept().channels)
    ) or (None, {})
    if known is None:
        raise Problem(404, "there is no such delivery", remedy="see /api/v1/deliveries")
    if known.state != "dead":
        raise Problem(409, f"delivery {delivery} was not given up: it is {known.state}")
    if known.channel not in channels:
        raise Problem(
            409,
            f"the channel {known.channel} is no longer connected",
            remedy=f"`portcullis alert connect {known.channel}`, then ask again",
        )
    asked = asking.make("redeliver", body.reason, delivery=delivery)
    outcome = await asking.ask_sender(here, caller_of(request), asked)
    return await _followed(here, outcome, lambda store: store.delivery(delivery), body.wait)


async def _followed(
    here: Here,
    outcome: dict[str, Any],
    find: Callable[[AlertReader], Delivery | None],
    seconds: float,
) -> Response:
    """The outcome of a request, with the message that it led to once that has ended."""
    if outcome["outcome"] != "done":
        return told({**outcome, "delivery": None})
    deadline = here.monotonic() + seconds
    while True:
        found = await _look(here, find)
        is_over = found is not None and found.state in ENDED
        if is_over or here.monotonic() >= deadline or here.stopping.is_set():
            return told({**outcome, "delivery": delivery_row(found) if found else None})
        await asyncio.sleep(POLL_SECONDS)


def delivery_row(found: Delivery) -> dict[str, Any]:
    """A message to a channel as it is published."""
    return {
        "id": found.number,
        "channel": found.channel,
        "why": found.why,
        "severity": found.severity.upper(),
        "alerts": found.alerts,
        "title": found.title,
        "message": found.body,
        "state": found.state,
        "attempts": found.attempts,
        "created": rfc3339(found.created_at),
        "due": rfc3339(found.due_at),
        "ended": rfc3339(found.ended_at),
        "detail": found.detail,
    }


async def _look(here: Here, find: Callable[[AlertReader], Any]) -> Any:
    """What is found among what the sender keeps; None while no sender has begun."""
    home = here.settings.home_path

    def look() -> Any:
        if not is_begun(home):
            return None
        with AlertReader(home) as store:
            return find(store)

    return await run_in_threadpool(look)
