"""How answers leave: JSON by msgspec, times in RFC 3339, and what the description says of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from fastapi import Response
from pydantic import BaseModel

from portcullis.api.problems import MEDIA_TYPE, Problem
from portcullis.api.shapes import ProblemDetails

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = 253_402_300_800_000_000  # the year 10000, where a date ends
REFUSALS = {
    400: "The request is no HTTP that is understood here, or no UTF-8",
    401: "A key is missing, or is none",
    403: "The key's role is too small",
    404: "There is no such thing",
    405: "Another method is needed",
    408: "The body did not come in time",
    413: "The body is too long",
    414: "The address is too long",
    415: "The body must be JSON",
    422: "What is asked cannot be understood",
    429: "Too many requests",
    503: "The store cannot be read now",
}
WITH_BODY = (408, 413, 415)


def answer(body: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


def rfc3339(at: int | None) -> str | None:
    """A time of ours (microseconds) for others; None where there is none."""
    if at is None or at <= 0:
        return None
    moment = EPOCH + timedelta(microseconds=at)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(text: str | None, name: str) -> int | None:
    """Microseconds of a time in ISO form, UTC unless it names a zone; raises Problem 422."""
    if text is None:
        return None
    try:
        # A plus sign that nobody escaped has become a space on its way.
        moment = datetime.fromisoformat(text.strip().replace(" 0", "+0"))
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (moment - EPOCH) // timedelta(microseconds=1)
    except (ValueError, OverflowError) as error:
        raise Problem(
            422, f"{name}: this is no time", remedy="give it as 2026-03-02T14:30:00Z"
        ) from error


def described(
    model: type[BaseModel] | None,
    *others: int,
    status: int = 200,
    bodied: bool = False,
    also: int = 0,
) -> dict[int | str, dict[str, Any]]:
    """What a route can answer, for the description: its own shape, under `also` too, and every
    refusal.
    """
    found: dict[int | str, dict[str, Any]] = {}
    if model is not None:
        found[status] = {"model": model, "description": (model.__doc__ or "").split("\n", 1)[0]}
    for code, what in REFUSALS.items():
        if code not in WITH_BODY or bodied:
            found[code] = _refusal(what)
    if also and model is not None:
        found[also] = {**found[also], "model": model}
    for code in others:
        found[code] = _refusal("What is asked conflicts with what is")
    return found


def _refusal(what: str) -> dict[str, Any]:
    return {
        "description": what,
        "model": ProblemDetails,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}},
    }
