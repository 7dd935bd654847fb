"""Keys over the API itself: for administrators. A key's text is shown once, in the answer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from portcullis.api.access import GuardedRoute, caller_of
from portcullis.api.answers import answer, described, rfc3339
from portcullis.api.here import here_of
from portcullis.api.keys import Key, Made
from portcullis.api.shapes import KeyBody, KeyRow, Keys, NewKey, RotateBody
from portcullis.domain.model import DAY, HOUR

router = APIRouter(route_class=GuardedRoute, tags=["keys"])
KeyId = Annotated[str, Path(pattern=r"^[A-Za-z0-9]{8}$", examples=["Ab3dE5gH"])]


def shown(key: Key, now: int) -> dict[str, Any]:
    """A key without what it is recognized by."""
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "state": key.state(now),
        "created": rfc3339(key.created_at),
        "created_by": key.created_by,
        "expires": rfc3339(key.expires_at),
        "revoked": rfc3339(key.revoked_at),
        "replaces": key.replaces,
    }


def _new(made: Made, now: int) -> Response:
    return answer({**shown(made.key, now), "key": made.text}, 201)


@router.post(
    "/auth/token",
    operation_id="create_key",
    status_code=201,
    responses=described(NewKey, status=201, bodied=True),
)
async def create(request: Request, body: KeyBody) -> Response:
    """Make a key. Its text is in this answer and nowhere else."""
    here, by = here_of(request), caller_of(request).by
    now, lasts = here.now(), body.days * DAY
    made = await run_in_threadpool(here.keys.create, body.name, body.role, now, lasts=lasts, by=by)
    return _new(made, now)


@router.get("/auth/keys", operation_id="list_keys", responses=described(Keys))
async def list_keys(request: Request) -> Response:
    """Every key, also those that hold no more."""
    here = here_of(request)
    return answer({"keys": [shown(key, here.now()) for key in here.keys.all()]})


@router.delete("/auth/keys/{key_id}", operation_id="revoke_key", responses=described(KeyRow))
async def revoke(request: Request, key_id: KeyId) -> Response:
    """End a key at once."""
    here = here_of(request)
    ended = await run_in_threadpool(here.keys.revoke, key_id, here.now())
    return answer(shown(ended, here.now()))


@router.post(
    "/auth/keys/{key_id}/rotate",
    operation_id="rotate_key",
    status_code=201,
    responses=described(NewKey, status=201, bodied=True),
)
async def rotate(request: Request, key_id: KeyId, body: RotateBody) -> Response:
    """Make a key in place of another; both hold for the overlap."""
    here, by = here_of(request), caller_of(request).by
    now, overlap = here.now(), body.overlap_hours * HOUR
    made = await run_in_threadpool(here.keys.rotate, key_id, now, overlap=overlap, by=by)
    return _new(made, now)
