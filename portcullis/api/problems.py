"""Errors as RFC 9457 problem details, whoever raises them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from portcullis.errors import NotFound, PortcullisError, StoreError, UsageError

MEDIA_TYPE = "application/problem+json"
FAULTS_MAX = 20
SHOWN_MAX = 200
SIGNING = "this loosens: `portcullis key sign` prints the whole body, where the signing key is"


class Problem(Exception):
    """An answer that is an error. `remedy`: what the caller can do about it."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        remedy: str = "",
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.remedy = status, detail, remedy
        self.headers, self.more = dict(headers or {}), more

    def body(self) -> dict[str, Any]:
        return {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **({"remedy": self.remedy} if self.remedy else {}),
            **self.more,
        }

    def response(self) -> Response:
        return Response(
            msgspec.json.encode(self.body()), self.status, self.headers, media_type=MEDIA_TYPE
        )


def unauthorized(detail: str) -> Problem:
    """Nobody is named, or a key that is none."""
    return Problem(
        401,
        detail,
        remedy="send `Authorization: Bearer KEY`; `portcullis key create` makes one",
        headers={"WWW-Authenticate": 'Bearer realm="portcullis"'},
    )


def too_many(detail: str, seconds: float) -> Problem:
    return Problem(
        429,
        detail,
        remedy="ask more slowly",
        headers={"Retry-After": str(max(1, round(seconds + 0.5)))},
    )


def of_ours(error: PortcullisError) -> Problem:
    """What an error of this program means to whoever asked."""
    status = 500
    if isinstance(error, NotFound):
        status = 404
    elif isinstance(error, UsageError):
        status = 422
    elif isinstance(error, StoreError):
        status = 503
    headers = {"Retry-After": "5"} if status == 503 else {}
    return Problem(status, str(error), remedy=error.remedy, headers=headers)


def of_validation(error: RequestValidationError) -> Problem:
    """Every fault with its place; what was given is not repeated."""
    faults = [
        {"where": ".".join(map(str, fault["loc"])), "what": str(fault["msg"])[:SHOWN_MAX]}
        for fault in error.errors()[:FAULTS_MAX]
    ]
    what = "; ".join(f"{fault['where']}: {fault['what']}" for fault in faults)
    unsigned = any(fault["where"] == "body.signature" for fault in faults)
    return Problem(
        422,
        f"the request cannot be understood: {what}"[: 4 * SHOWN_MAX],
        remedy=SIGNING if unsigned else "",
        faults=faults,
    )


def wants_page(request: Request) -> bool:
    """Whether it is a browser that goes to a page: a program asks for anything, or for JSON."""
    accepted = request.headers.get("accept", "")
    return request.method == "GET" and "text/html" in accepted


def install(app: FastAPI, page: Callable[[Request, Problem], Response]) -> None:
    """Have every error of the application leave as a problem; to a browser as a `page`."""

    def leave(request: Request, problem: Problem) -> Response:
        return page(request, problem) if wants_page(request) else problem.response()

    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return leave(request, error)

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, PortcullisError)
        return leave(request, of_ours(error))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return leave(request, of_validation(error))

    async def of_http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        detail = str(error.detail)[:SHOWN_MAX]
        return leave(request, Problem(error.status_code, detail, headers=error.headers))

    async def unforeseen(_: Request, _error: Exception) -> Response:
        remedy = "look into the log of the API; the request's id is in its log of requests"
        return Problem(500, "this failed in a way nobody foresaw", remedy=remedy).response()

    app.add_exception_handler(Exception, unforeseen)
    app.add_exception_handler(Problem, known)
    app.add_exception_handler(PortcullisError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, of_http)
