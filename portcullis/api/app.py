"""The application: every router, the errors, and the guard in front."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from portcullis import __version__
from portcullis.api import (
    alert_routes,
    availability,
    channel_routes,
    configuration,
    control,
    events,
    health,
    key_routes,
    lately,
    monitors,
    pages,
    problems,
    views,
)
from portcullis.api.access import MATRIX, GuardedRoute
from portcullis.api.answers import answer, described
from portcullis.api.gatekeeper import Gatekeeper
from portcullis.api.guard import Asked, Guard, GuardTerms
from portcullis.api.here import Here
from portcullis.api.wrong_keys import WrongKeys
from portcullis.trace_context import PARENT, STATE, Record

ROUTERS = (
    health.router,
    events.router,
    views.router,
    lately.router,
    monitors.router,
    alert_routes.router,
    channel_routes.router,
    control.router,
    configuration.router,
    key_routes.router,
    pages.router,
)
TRACE = (PARENT, STATE)
LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
DESCRIPTION = (
    "Looking at Portcullis, and asking it for something. What changes anything needs a reason, "
    "goes through the worker's inbox and is answered with what the ledger says became of it."
)

own = APIRouter(route_class=GuardedRoute, tags=["description"])


@own.get("/openapi.json", operation_id="openapi", responses=described(None))
async def openapi(request: Request) -> Response:
    """What you are reading, as OpenAPI."""
    return answer(request.app.openapi())


def routes() -> FastAPI:
    """The routes with their errors, without anything behind them."""
    app = FastAPI(
        title="Portcullis",
        version=__version__,
        description=DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        lifespan=_life,
    )
    app.router.redirect_slashes = False
    problems.install(app, pages.problem_page)
    for router in (*ROUTERS, own):
        app.include_router(router)
    made = app.openapi

    def described_with_keys() -> dict[str, Any]:
        return made() if app.openapi_schema else _with_keys(made())

    app.openapi = described_with_keys  # type: ignore[method-assign]
    return app


def build(here: Here, log: Callable[[Asked], None], record: Record | None = None) -> ASGIApp:
    """The whole application for one process. `record` hears of the steps of traces."""
    app = routes()
    app.state.here = here
    known = here.settings
    names = frozenset(
        name.lower() for name in (*LOCAL_NAMES, known.host, known.api_host, *known.api_name_list)
    )
    gatekeeper = Gatekeeper(
        here.keys,
        per_key=known.api_rate,
        per_address=known.api_rate,
        now=here.now,
        monotonic=time.monotonic,
        told=WrongKeys(here).tell,
    )
    if known.api_origin_list:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=known.api_origin_list,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-API-Key", *TRACE],
            expose_headers=["X-Request-Id", "Retry-After", PARENT],
        )
    terms = GuardTerms(names, frozenset(known.api_origin_list), known.api_body_max)
    app.state.gatekeeper, app.state.boards = gatekeeper, {}
    return Guard(app, terms, gatekeeper, here.sessions, log, time.monotonic, here.now, record)


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    watching = asyncio.create_task(availability.watch(app.state.here), name="availability")
    yield
    watching.cancel()
    await asyncio.to_thread(app.state.here.readers.close)


def _with_keys(schema: dict[str, Any]) -> dict[str, Any]:
    """Say how a key is sent, and which role each route asks for."""
    schema.setdefault("components", {})["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "`portcullis key create`"}
    }
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            _only_problems(operation["responses"])
            _only_texts(operation.get("parameters", ()))
            level = MATRIX[method.upper(), path]
            operation["x-role"] = level
            if level not in ("anyone", "local"):
                operation["security"] = [{"key": []}]
    return schema


def _only_texts(parameters: Iterable[dict[str, Any]]) -> None:
    """What may be left out of an address has no null for that: `since=null` is a text."""
    for parameter in parameters:
        schema = parameter["schema"]
        forms = [form for form in schema.get("anyOf", ()) if form != {"type": "null"}]
        if len(forms) == 1:
            del schema["anyOf"]
            schema.update(forms[0])


def _only_problems(responses: dict[str, Any]) -> None:
    """A refusal comes in no other form; the framework adds that of the route beside it."""
    for code, response in responses.items():
        content = response.get("content", {})
        for kind in [kind for kind in content if code >= "400" and kind != problems.MEDIA_TYPE]:
            if "ProblemDetails" in str(content[kind]) or kind != "application/json":
                del content[kind]
