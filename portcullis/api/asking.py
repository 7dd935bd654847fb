"""Asking the worker through the inbox, and what the ledger says became of it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool

from portcullis import trace_context
from portcullis.alerts.alert_reader import AlertReader, is_begun
from portcullis.api.access import Caller
from portcullis.api.here import Here, in_ledger
from portcullis.api.keys import signing_time
from portcullis.api.problems import Problem
from portcullis.domain import alert_requests
from portcullis.domain.events import CommandConcluded, decode
from portcullis.domain.model import MINUTE
from portcullis.ports import InboxAnswer
from portcullis.store import credential
from portcullis.store.inbox import StoredInbox
from portcullis.store.opening import has_ledger, open_inbox
from portcullis.store.reading import EventFilter, LedgerReader
from portcullis.worker.requests import Asked, signed_text, with_trace

Look = Callable[[StoredInbox], Awaitable[dict[str, Any] | None]]

SIGNED_WITHIN = 15 * MINUTE
CLOCKS_DIFFER = 2 * MINUTE
ANSWER_SECONDS = 10.0
POLL_SECONDS = 0.05
RECORDED_LOOKS = 10
"""The sender reads the ledger: where it has, the worker's answer follows within moments."""


class Request(msgspec.Struct, frozen=True):
    """What is asked of the worker. `request_id` and `signature` come with what loosens."""

    verb: str
    asked: Asked
    request_id: str


def make(
    verb: str,
    reason: str,
    *,
    account: str | None = None,
    request_id: str = "",
    signature: str = "",
    **arguments: Any,
) -> Request:
    """A request; arguments that are None are left out. One that is called as what is named here
    already ends with an underscore: `account_` is the argument, `account` whose stream it is of.
    """
    given = {name.rstrip("_"): value for name, value in arguments.items() if value is not None}
    asked = Asked(reason, account, given, signature)
    return Request(verb, asked, request_id or uuid.uuid4().hex)


def refuse_old(here: Here, request: Request) -> None:
    """Raises Problem 403 for what was signed longer ago than `SIGNED_WITHIN`, so that no copy of it
    serves later.
    """
    signed_at = signing_time(request.request_id)
    if not -CLOCKS_DIFFER < here.now() - signed_at < SIGNED_WITHIN:
        raise Problem(
            403,
            f"this was not signed within the last {SIGNED_WITHIN // MINUTE} minutes",
            remedy="make the body anew with `portcullis key sign`",
        )


def refuse_unsigned(here: Here, request: Request) -> None:
    """Raises Problem 403 for a signature that is old or not the administrator's; the worker looks
    again. This process knows the public half only: whoever takes it over can loosen nothing.
    """
    refuse_old(here, request)
    text = signed_text(request.request_id, request.verb, request.asked)
    if not credential.verify(here.settings.home_path, text, request.asked.signature):
        raise Problem(
            403,
            f"`{request.verb}` loosens, and this is not signed by the administrator",
            remedy="make the body with `portcullis key sign`, where the administrator's key is",
        )


async def ask(here: Here, caller: Caller, request: Request) -> dict[str, Any]:
    """Put it into the inbox and wait for the answer: `done`, or `waiting` while none came.

    Raises Problem 409 where the worker refused it.
    """

    async def look(inbox: StoredInbox) -> dict[str, Any] | None:
        answer = await run_in_threadpool(inbox.answer_to, request.request_id)
        return None if answer is None else told(request.request_id, answer)

    try:
        return await _ask(here, caller, request, look)
    finally:
        here.seen.forget()


async def ask_sender(here: Here, caller: Caller, request: Request) -> dict[str, Any]:
    """As `ask`, about alerts: done when the sender has taken it up, which it also does while no
    worker runs. Raises Problem 422 for what makes no sense.
    """
    fault = alert_requests.wrong(request.verb, request.asked.arguments, here.now())
    if fault:
        raise Problem(422, fault)
    more_looks = iter(range(RECORDED_LOOKS))

    async def look(inbox: StoredInbox) -> dict[str, Any] | None:
        answer = await run_in_threadpool(inbox.answer_to, request.request_id)
        if answer is not None and answer.outcome != "done":
            return told(request.request_id, answer)
        refused = await run_in_threadpool(_refused_by_sender, here, request.request_id)
        if refused is None or (answer is None and next(more_looks, None) is not None):
            return None
        position = answer.position if answer else 0
        outcome = "refused" if refused else "done"
        detail = refused or "the sender has taken it up"
        return told(request.request_id, InboxAnswer(request.request_id, outcome, detail, position))

    return await _ask(here, caller, request, look)


async def _ask(here: Here, caller: Caller, request: Request, look: Look) -> dict[str, Any]:
    """Leave a request and look for its answer, for `ANSWER_SECONDS` at most."""
    if not await run_in_threadpool(has_ledger, here.settings):
        raise Problem(
            503, "there is no ledger yet", remedy="start the worker", headers={"Retry-After": "5"}
        )
    inbox = await run_in_threadpool(open_inbox, here.settings)
    try:
        trace_context.note("asked", request.request_id)
        with trace_context.asking(
            f"inbox {request.verb}", **{"portcullis.request_id": request.request_id}
        ):
            return await _asked_and_answered(here, caller, request, look, inbox)
    finally:
        await run_in_threadpool(inbox.close)


async def _asked_and_answered(
    here: Here, caller: Caller, request: Request, look: Look, inbox: StoredInbox
) -> dict[str, Any]:
    role, trace = caller.role or "readonly", trace_context.current()
    body = with_trace(request.asked, trace.trace_id if trace else "")
    await run_in_threadpool(
        inbox.ask, request.request_id, request.verb, caller.by, role, body, here.now()
    )
    deadline = here.monotonic() + ANSWER_SECONDS
    while here.monotonic() < deadline and not here.stopping.is_set():
        found = await look(inbox)
        if found is not None:
            return found
        await asyncio.sleep(POLL_SECONDS)
    return told(request.request_id, None)


def told(request_id: str, answer: InboxAnswer | None) -> dict[str, Any]:
    """The outcome as it is published. Raises Problem 409 for a refusal."""
    if answer is None:
        detail = "nobody has taken it yet; it is carried out as soon as somebody does"
        return {"outcome": "waiting", "detail": detail, "request_id": request_id, "position": None}
    if answer.outcome != "done":
        raise Problem(
            409,
            f"refused: {answer.detail}",
            remedy="see /api/v1/accounts, /api/v1/evidence and /config/pending",
            outcome="refused",
            request_id=request_id,
            position=answer.position or None,
        )
    return {**answer._asdict(), "position": answer.position or None}


async def concluded(
    here: Here, account: str, outcome: dict[str, Any], seconds: float
) -> CommandConcluded | None:
    """How the command that a request led to ended, or the one under way; None: not yet."""
    if outcome["outcome"] != "done":
        return None
    words = outcome["detail"].split()
    key = words[1] if words[:1] == ["command"] else None
    where = EventFilter(f"account/{account}", ("command_concluded",))

    def look(reader: LedgerReader) -> CommandConcluded | None:
        for stored in reader.events(where, after=outcome["position"]):
            ended = decode(stored.payload)
            if isinstance(ended, CommandConcluded) and key in (None, ended.key):
                return ended
        return None

    deadline = here.monotonic() + seconds
    while True:
        found: CommandConcluded | None = await in_ledger(here, look)
        if found is not None or here.monotonic() >= deadline or here.stopping.is_set():
            return found
        await asyncio.sleep(2 * POLL_SECONDS)


async def outcome_of(here: Here, request_id: str) -> dict[str, Any]:
    """What became of an earlier request; `waiting` also where none of that id was asked."""

    def look() -> InboxAnswer | None:
        inbox = open_inbox(here.settings)
        try:
            return inbox.answer_to(request_id)
        finally:
            inbox.close()

    if not here.settings.store_url and not here.settings.inbox_path.exists():
        return told(request_id, None)
    return told(request_id, await run_in_threadpool(look))


def _refused_by_sender(here: Here, request_id: str) -> str | None:
    """Why the sender refused a request; empty when it did not, None while it has not seen it."""
    home = here.settings.home_path
    if not is_begun(home):
        return None
    with AlertReader(home) as store:
        return store.kept().applied.get(request_id)
