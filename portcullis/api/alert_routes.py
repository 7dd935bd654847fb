"""Alerts as the sender keeps them, in their published form."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from portcullis.alerts.alert_reader import AlertReader, is_begun
from portcullis.alerts.shown import as_shown
from portcullis.api.access import GuardedRoute
from portcullis.api.answers import answer, described, rfc3339
from portcullis.api.control import AlertName
from portcullis.api.here import here_of
from portcullis.api.problems import Problem
from portcullis.api.shapes import PRINTED, Alert, Alerts

router = APIRouter(route_class=GuardedRoute, tags=["alerts"])


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
            told = [] if found is None else [row._asdict() for row in store.deliveries(found.id)]
        return None if found is None else {**_published(found), "deliveries": told}

    body = await run_in_threadpool(look)
    if body is None:
        raise Problem(404, "there is no such alert", remedy="see /api/v1/alerts")
    return answer(body)
