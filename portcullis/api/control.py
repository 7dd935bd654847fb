"""What changes something: each goes through the inbox and is answered with the ledger's outcome."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from portcullis.api import asking
from portcullis.api.access import GuardedRoute, caller_of
from portcullis.api.answers import answer, described
from portcullis.api.here import here_of
from portcullis.api.shapes import (
    HEX32,
    PRINTED,
    ApproveBody,
    FlattenBody,
    LockBody,
    Outcome,
    ReleaseBody,
    Signed,
    WithReason,
)
from portcullis.domain.model import SECOND

router = APIRouter(route_class=GuardedRoute, tags=["control"])
NAME_MAX = 128
AccountName = Annotated[
    str, Path(min_length=1, max_length=NAME_MAX, pattern=PRINTED, examples=["DEMO-50K"])
]
RequestId = Annotated[str, Path(pattern=HEX32, examples=["0" * 32])]
CHANGES: dict[int | str, dict[str, Any]] = {
    **described(Outcome, 409, bodied=True),
    202: {"model": Outcome, "description": "It stands in the inbox; nobody has taken it yet"},
}


def told(outcome: dict[str, Any]) -> Response:
    return answer(outcome, 202 if outcome["outcome"] == "waiting" else 200)


async def _carry_out(request: Request, asked: asking.Request) -> Response:
    return told(await asking.ask(here_of(request), caller_of(request), asked))


async def _carry_out_signed(request: Request, asked: asking.Request) -> Response:
    asking.refuse_unsigned(here_of(request), asked)
    return await _carry_out(request, asked)


@router.post("/api/v1/accounts/{account}/lock", operation_id="lock_account", responses=CHANGES)
async def lock(request: Request, account: AccountName, body: LockBody) -> Response:
    """Let the account open no risk; what is open stays. Tightens."""
    span = None if body.seconds is None else body.seconds * SECOND
    return await _carry_out(
        request,
        asking.make("lock", body.reason, account=account, for_us=span, instrument=body.instrument),
    )


@router.post(
    "/api/v1/accounts/{account}/flatten", operation_id="flatten_account", responses=CHANGES
)
async def flatten(request: Request, account: AccountName, body: FlattenBody) -> Response:
    """Close every position and cancel every order. `ended`: what the venue's records then showed;
    null while it is still under way.
    """
    here = here_of(request)
    asked = asking.make("flatten", body.reason, account=account)
    outcome = await asking.ask(here, caller_of(request), asked)
    ended = await asking.concluded(here, account, outcome, body.wait)
    how = None if ended is None else {"outcome": ended.outcome, "detail": ended.detail}
    return told({**outcome, "ended": how})


@router.post(
    "/api/v1/accounts/{account}/release", operation_id="release_account", responses=CHANGES
)
async def release(request: Request, account: AccountName, body: ReleaseBody) -> Response:
    """End locks. Loosens: signed by the administrator, and refused otherwise."""
    asked = asking.make(
        "release",
        body.reason,
        account=account,
        request_id=body.request_id,
        signature=body.signature,
        lock=body.lock,
    )
    return await _carry_out_signed(request, asked)


@router.post("/api/v1/mode/observe", operation_id="observe", responses=CHANGES)
async def observe(request: Request, body: WithReason) -> Response:
    """Shut the gate; protective enforcement stays armed. Tightens."""
    return await _carry_out(request, asking.make("observe", body.reason))


@router.post("/api/v1/halt", operation_id="halt", responses=CHANGES)
async def halt(request: Request, body: WithReason) -> Response:
    """Shut down trading until a person releases it; protective enforcement stays armed."""
    return await _carry_out(request, asking.make("shutdown", body.reason))


@router.post("/api/v1/mode/release", operation_id="release_mode", responses=CHANGES)
async def open_gate(request: Request, body: Signed) -> Response:
    """Raise the gate. Loosens: signed, and refused while evidence is missing."""
    asked = asking.make("open", body.reason, request_id=body.request_id, signature=body.signature)
    return await _carry_out_signed(request, asked)


@router.post("/config/reload", operation_id="reload_configuration", responses=CHANGES)
async def reload(request: Request, body: Signed) -> Response:
    """Have the worker read the files of the configuration again. Signed by the administrator."""
    asked = asking.make("reload", body.reason, request_id=body.request_id, signature=body.signature)
    return await _carry_out_signed(request, asked)


@router.post("/config/approve", operation_id="approve_loosening", responses=CHANGES)
async def approve(request: Request, body: ApproveBody) -> Response:
    """Agree, as a second person, to the looser limits that wait. Signed by an approver."""
    asked = asking.make(
        "approve",
        body.reason,
        request_id=body.request_id,
        signature=body.signature,
        plan=body.plan,
    )
    asking.refuse_old(here_of(request), asked)
    return await _carry_out(request, asked)


@router.post("/config/withdraw", operation_id="withdraw_loosening", responses=CHANGES)
async def withdraw(request: Request, body: WithReason) -> Response:
    """Let nothing of what waits come into force. Tightens."""
    return await _carry_out(request, asking.make("withdraw", body.reason))


@router.get(
    "/api/v1/requests/{request_id}",
    operation_id="request_outcome",
    responses=described(Outcome, 409),
)
async def outcome(request: Request, request_id: RequestId) -> Response:
    """What became of a request that was `waiting`; 409 where it was refused."""
    return answer(await asking.outcome_of(here_of(request), request_id))
