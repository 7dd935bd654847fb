"""The dashboard: pages drawn on the server, asked for again every two seconds by a small script."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Header, Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse

from portcullis import __version__
from portcullis.alerts.readable import seen
from portcullis.api import wording
from portcullis.api.access import GuardedRoute, caller_of
from portcullis.api.answers import described
from portcullis.api.board import Board, gather_account, money_of
from portcullis.api.control import AccountName
from portcullis.api.here import Here, here_of
from portcullis.api.keys import ROLES
from portcullis.api.problems import Problem
from portcullis.api.sessions import COOKIE, LASTS, Session
from portcullis.domain.model import MICRO

router = APIRouter(route_class=GuardedRoute, include_in_schema=False)
HERE = Path(__file__).parent
KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"}
"""Without a referrer a browser sends forms as if from nowhere, and they would be refused."""
FIELDS_MAX = 8


@cache
def _drawn() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        clock=_clock,
        money=money_of,
        breakable=wording.breakable,
        spaced=wording.spaced,
        standing=wording.standing,
        coded=wording.coded,
        size=wording.size,
        ends=wording.ends,
        sentence=wording.sentence,
        ticker=wording.ticker,
    )
    return made


def _shown(value: Any) -> Any:
    """Texts without what turns others around, which no escaping takes out."""
    return type(value)(seen(value)) if isinstance(value, str) else value


def _clock(at: int) -> str:
    return datetime.fromtimestamp(at // MICRO, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _page(name: str, request: Request, status: int = 200, **body: Any) -> HTMLResponse:
    session = session_of(request)
    html = (
        _drawn()
        .get_template(name)
        .render(session=session, caller=caller_of(request), version=__version__, **body)
    )
    return HTMLResponse(html, status, headers=HEADERS)


def session_of(request: Request) -> Session | None:
    """The session that the request carries, if it and its key hold."""
    if caller_of(request).role is None:
        return None
    headers = {name.lower(): value for name, value in request.headers.items()}
    return here_of(request).sessions.of(headers)


def _board(request: Request, *, may_ack: bool) -> Board:
    """One for those who may acknowledge and one for the others."""
    boards: dict[bool, Board] = request.app.state.boards
    if may_ack not in boards:
        inner = _drawn().get_template("inner.html")
        boards[may_ack] = Board(
            here_of(request), lambda body: inner.render(may_ack=may_ack, **body)
        )
    return boards[may_ack]


def _may_ack(request: Request) -> bool:
    role = caller_of(request).role
    return role is not None and ROLES.index(role) >= ROLES.index("operator")


@router.get("/")
async def first(request: Request) -> Response:
    """The dashboard."""
    html, _ = await _board(request, may_ack=_may_ack(request)).page()
    return _page("board.html", request, inner=Markup(html))  # noqa: S704 - drawn and escaped above


@router.get("/board", responses=described(None))
async def fragment(
    request: Request, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """Its content alone; 304 where nothing changed."""
    html, stamp = await _board(request, may_ack=_may_ack(request)).page()
    headers = {"ETag": f'"{stamp}"', "Content-Security-Policy": POLICY}
    if if_none_match == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return HTMLResponse(html, headers=headers)


@router.get("/accounts/{account}")
async def account(request: Request, account: AccountName) -> Response:
    """One account: how far each rule is, its balance, its locks, what happened lately."""
    here = here_of(request)
    seen = await here.seen.status()
    body = await run_in_threadpool(gather_account, here, seen, account)
    if body is None:
        known = ", ".join(row["account"] for row in seen["accounts"]) or "none yet"
        raise Problem(404, f"there is no account {account} here", remedy=f"known are: {known}")
    return _page("account.html", request, **body)


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """Script, style and picture: the files of one folder and nothing else."""
    known = {path.name: path for path in (HERE / "static").iterdir()}
    if name not in known:
        raise Problem(404, "there is no such file")
    headers = {"Cache-Control": "max-age=60", "Content-Security-Policy": POLICY}
    return Response(known[name].read_bytes(), media_type=KINDS[known[name].suffix], headers=headers)


# --- what cannot be shown -------------------------------------------------------------------------


def problem_page(request: Request, problem: Problem) -> Response:
    """A problem for a person who came by browser: what it is, and the way back."""
    if problem.status == 401 and request.method == "GET":
        return RedirectResponse("/signin", 303, HEADERS)
    page = _page("problem.html", request, problem.status, problem={"remedy": "", **problem.body()})
    page.headers.update(problem.headers)
    return page


# --- signing in -----------------------------------------------------------------------------------


@router.get("/signin")
async def ask_key(request: Request) -> Response:
    """The form."""
    return _page("signin.html", request, wrong="")


@router.post("/signin")
async def sign_in(request: Request) -> Response:
    """A key that holds begins a session; wrong ones count as wrong keys of the address."""
    here = here_of(request)
    try:
        given = parse_qs((await request.body()).decode(), max_num_fields=FIELDS_MAX)
    except ValueError as error:
        raise Problem(400, f"a form of more than {FIELDS_MAX} fields is none of ours") from error
    found = here.keys.named_by(given.get("key", [""])[0].strip())
    if found is None or found.state(here.now()) != "valid":
        request.app.state.gatekeeper.failed(caller_of(request).address)
        return _page(
            "signin.html", request, 401, wrong="This key is not valid: mistyped, ended or revoked."
        )
    reply = RedirectResponse("/", 303)
    _set_cookie(reply, here, here.sessions.begin(found), LASTS // MICRO)
    return reply


@router.post("/signout")
async def sign_out(request: Request) -> Response:
    """The session ends here; a cookie that was copied is worth nothing any more."""
    here = here_of(request)
    here.sessions.end({name.lower(): value for name, value in request.headers.items()})
    reply = RedirectResponse("/", 303)
    _set_cookie(reply, here, "", 0)
    return reply


def _set_cookie(reply: Response, here: Here, token: str, seconds: int) -> None:
    reply.set_cookie(
        COOKIE,
        token,
        max_age=seconds,
        httponly=True,
        samesite="strict",
        secure=bool(here.settings.api_certificate),
        path="/",
    )
