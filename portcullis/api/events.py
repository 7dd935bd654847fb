"""The log: searching it page by page, and exporting any part of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from portcullis.api import searching
from portcullis.api.access import GuardedRoute
from portcullis.api.answers import described, instant
from portcullis.api.exporting import MEDIA, Form, export
from portcullis.api.here import Here, here_of, in_ledger
from portcullis.api.problems import Problem
from portcullis.api.searching import Wanted
from portcullis.api.severity import kinds_of
from portcullis.api.shapes import PRINTED, Events
from portcullis.domain.events import KINDS
from portcullis.store.reading import LedgerReader

router = APIRouter(route_class=GuardedRoute, tags=["events"])
LIMIT, LIMIT_MAX = 100, 1_000
KINDS_MAX = 20
EXPORTS_MAX = 2
TIME = "ISO form, UTC unless a zone is named"
MOMENT: dict[str, JsonValue] = {"format": "date-time"}
_exporting = threading.BoundedSemaphore(EXPORTS_MAX)


class Filters(BaseModel):
    """What is searched for; what is left out does not narrow."""

    model_config = ConfigDict(extra="forbid")

    since: str | None = Field(
        None,
        max_length=40,
        description=f"From then on; {TIME}",
        examples=["2026-03-02T14:30:00Z"],
        json_schema_extra=MOMENT,
    )
    until: str | None = Field(
        None,
        max_length=40,
        description=f"Before then; {TIME}",
        examples=["2026-03-02T15:00:00Z"],
        json_schema_extra=MOMENT,
    )
    account: str | None = Field(
        None, min_length=1, max_length=128, pattern=PRINTED, examples=["DEMO-50K"]
    )
    kind: list[str] = Field(
        [],
        max_length=KINDS_MAX,
        description="Any of these",
        examples=[["breach_found"]],
        json_schema_extra={"items": {"type": "string", "enum": [*sorted(KINDS)]}},
    )
    severity: Literal["CRITICAL", "WARNING", "INFO"] | None = None
    trace: str | None = Field(None, min_length=1, max_length=128, pattern=PRINTED)

    def wanted(self) -> Wanted:
        """Raises Problem 422 for a kind or a time that is none."""
        unknown = [kind for kind in self.kind if kind not in KINDS]
        if unknown:
            raise Problem(
                422,
                f"kind: there are no events of the kind {unknown[0][:64]!r}",
                remedy=f"known are {', '.join(sorted(KINDS))}",
            )
        kinds = tuple(sorted(set(self.kind)))
        if self.severity is not None:
            of = kinds_of(self.severity)
            kinds = tuple(kind for kind in of if not kinds or kind in kinds) or ("none",)
        since, until = instant(self.since, "since"), instant(self.until, "until")
        return Wanted(self.account, kinds, self.trace, since, until, self.severity)


class PageFilters(Filters):
    """A page of them."""

    limit: int = Field(LIMIT, ge=1, le=LIMIT_MAX)
    cursor: str | None = Field(
        None, min_length=1, max_length=4_000, description="`next` of the page before"
    )


class ExportFilters(Filters):
    """All of them, in a form."""

    format: Form = "jsonl"


@router.get("/logs", operation_id="logs", responses=described(Events))
@router.get("/api/v1/events", operation_id="list_events", responses=described(Events))
async def list_events(request: Request, filters: Annotated[PageFilters, Query()]) -> Response:
    """Events, newest first. A page is at most a second's search: one that is not full and has a
    `next` has found nothing more so far.
    """
    here, wanted = here_of(request), filters.wanted()
    before = None if filters.cursor is None else searching.position_in(filters.cursor, wanted)

    def look(reader: LedgerReader) -> bytes:
        found = searching.page(reader, wanted, filters.limit, before, here.monotonic)
        following = None if found.next is None else searching.cursor_of(found.next, wanted)
        body = {
            "events": [searching.shown(row) for row in found.events],
            "next": following,
            "looked_through": found.looked_through,
        }
        return msgspec.json.encode(body)

    return Response(await in_ledger(here, look), media_type="application/json")


@router.get(
    "/api/v1/events/export",
    operation_id="export_events",
    responses={
        **described(None),
        200: {
            "description": "Events, oldest first, as they stood in the ledger at the beginning",
            "content": {media.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}}
                        for media in MEDIA.values()},
        },
    },
)  # fmt: skip
async def export_events(request: Request, filters: Annotated[ExportFilters, Query()]) -> Response:
    """Every event that was asked for, in little memory. Two exports at once, no more."""
    here, wanted = here_of(request), filters.wanted()
    if not _exporting.acquire(blocking=False):
        raise Problem(503, f"{EXPORTS_MAX} exports are under way", headers={"Retry-After": "10"})
    name = f"events.{filters.format}"
    return Export(
        _stream(here, wanted, filters.format),
        media_type=MEDIA[filters.format],
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


class Export(StreamingResponse):
    """A stream that lets go of its place whatever becomes of it, also where it never began."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            _exporting.release()


def _stream(here: Here, wanted: Wanted, form: Form) -> Iterator[bytes]:
    with here.readers.one() as reader:
        yield from export(searching.in_order(reader, wanted), form)
