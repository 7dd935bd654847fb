"""Alerts as the sender keeps them, in their published form; acknowledging and silencing them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from portcullis.alerts.alert_reader import AlertReader, is_begun
from portcullis.alerts.asked import silence_name
from portcullis.alerts.shown import as_shown
from portcullis.api import asking
from portcullis.api.access import GuardedRoute, caller_of
from portcullis.api.alert_shapes import Alert, Alerts, SilenceBody, Silences
from portcullis.api.answers import answer, described, rfc3339
from portcullis.api.channel_routes import delivery_row
from portcullis.api.control import CHANGES, told
from portcullis.api.here import Here, here_of
from portcullis.api.problems import Problem
from portcullis.api.shapes import PRINTED, WithReason
from portcullis.domain.model import SECOND

router = APIRouter(route_class=GuardedRoute, tags=["alerts"])
AlertName = Annotated[str, Path(min_length=1, max_length=64, pattern=PRINTED, examples=["a-17"])]
SilenceName = Annotated[str, Path(pattern=r"^[a-z2-7]{8}$", examples=["wslednra"])]


class AlertFilters(BaseModel):
    """Which alerts; what is left out does not narrow."""

    model_config = ConfigDict(extra="forbid")

    all: bool = Field(False, description="Also those that are over")
    severity: Literal["CRITICAL", "WARNING", "INFO"] | None = None
    account: str | None = Field(None, min_length=1, max_length=128, pattern=PRINTED)
    limit: int = Field(100, ge=1, le=1_000)


def _published(alert: Any) -> dict[str, Any]:
    """With the time in the form that every time here has."""
    return {**as_shown(alert), "timestamp": rfc3339(alert.first_at)}


@router.get("/api/v1/alerts", operation_id="list_alerts", responses=described(Alerts))
async def alerts(request: Request, filters: Annotated[AlertFilters, Query()]) -> Response:
    """Open alerts, newest first; with `all` also those that are over."""
    home = here_of(request).settings.home_path

    def look() -> list[dict[str, Any]]:
        if not is_begun(home):
            return []
        with AlertReader(home) as store:
            found = store.alerts(everything=filters.all, limit=1_000)
        return [_published(alert) for alert in found]

    rows = [
        row
        for row in await run_in_threadpool(look)
        if filters.severity in (None, row["severity"]) and filters.account in (None, row["account"])
    ]
    return answer({"alerts": rows[: filters.limit]})


@router.get("/api/v1/alerts/{alert}", operation_id="show_alert", responses=described(Alert))
async def show(request: Request, alert: AlertName) -> Response:
    """One alert with every message that told of it."""
    home = here_of(request).settings.home_path

    def look() -> dict[str, Any] | None:
        if not is_begun(home):
            return None
        with AlertReader(home) as store:
            found = store.alert(alert)
            told = (
                [] if found is None else [delivery_row(row) for row in store.deliveries(found.id)]
            )
        return None if found is None else {**_published(found), "deliveries": told}

    body = await run_in_threadpool(look)
    if body is None:
        raise Problem(404, "there is no such alert", remedy="see /api/v1/alerts")
    return answer(body)


async def _change(here: Here, request: Request, asked: asking.Request) -> Response:
    return told(await asking.ask_sender(here, caller_of(request), asked))


@router.post("/api/v1/alerts/{alert}/ack", operation_id="acknowledge_alert", responses=CHANGES)
async def acknowledge(request: Request, alert: AlertName, body: WithReason) -> Response:
    """Say that you have seen it: no reminder comes, and no further channel is told."""
    here = here_of(request)
    home = here.settings.home_path

    def is_there() -> bool:
        if not is_begun(home):
            return False
        with AlertReader(home) as store:
            return store.alert(alert) is not None

    if not await run_in_threadpool(is_there):
        raise Problem(404, "there is no such alert", remedy="see /api/v1/alerts")
    return await _change(here, request, asking.make("acknowledge", body.reason, alert=alert))


@router.get("/api/v1/silences", operation_id="list_silences", responses=described(Silences))
async def silences(request: Request) -> Response:
    """Silences that are in force or to come, and what each keeps back."""
    here = here_of(request)
    home, now = here.settings.home_path, here.now()

    def look() -> list[dict[str, Any]]:
        if not is_begun(home):
            return []
        with AlertReader(home) as store:
            found = store.kept().book.silences.values()
        return [
            {**msgspec.to_builtins(each), "start": rfc3339(each.start), "end": rfc3339(each.end)}
            for each in found
            if each.end > now
        ]

    return answer({"silences": await run_in_threadpool(look)})


@router.post("/api/v1/silences", operation_id="silence", responses=CHANGES)
async def silence(request: Request, body: SilenceBody) -> Response:
    """Keep alerts back for a while; they are listed, and told when it ends. `silence` in the answer
    is its id.
    """
    asked = asking.make(
        "silence",
        body.reason,
        for_us=body.seconds * SECOND,
        alert=body.alert,
        kind=body.kind,
        topic=body.topic,
        account_=body.account,
        critical=body.critical or None,
    )
    outcome = await asking.ask_sender(here_of(request), caller_of(request), asked)
    return told({**outcome, "silence": silence_name(asked.request_id)})


@router.delete("/api/v1/silences/{silence}", operation_id="end_silence", responses=CHANGES)
async def end_silence(request: Request, silence: SilenceName) -> Response:
    """End a silence now; what it kept back is told."""
    asked = asking.make("unsilence", "ended over the API", silence=silence)
    return await _change(here_of(request), request, asked)
