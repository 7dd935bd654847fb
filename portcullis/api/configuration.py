"""The configuration in force, with where each value came from and without any secret."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from portcullis.api.access import GuardedRoute
from portcullis.api.answers import answer, described, rfc3339
from portcullis.api.configuration_shapes import EffectiveConfiguration, Pending
from portcullis.api.here import here_of
from portcullis.config.files import FILES, read_configuration
from portcullis.config.settings import PREFIX, SECRETS, Settings, origins
from portcullis.domain.plan import digest, encode_plan
from portcullis.errors import PortcullisError

router = APIRouter(route_class=GuardedRoute, tags=["configuration"])
HIDDEN = "(set, and not shown)"
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+(?=@)")


@router.get("/config", operation_id="configuration", responses=described(EffectiveConfiguration))
async def configuration(request: Request) -> Response:
    """Every setting of this process with where it came from, the files, and the plan in force."""
    here = here_of(request)
    seen = await here.seen.status()
    found = await run_in_threadpool(_effective, here.settings)
    plan = found.pop("digest")
    waits = (seen["loosening"] or {}).get("plan")
    return answer({**found, "plan_in_force": seen["plan"], "plan_of_files": plan,
                   "reload_needed": plan not in (None, seen["plan"], waits)})  # fmt: skip


@router.get("/config/pending", operation_id="pending_loosening", responses=described(Pending))
async def pending(request: Request) -> Response:
    """Looser limits that were asked for and are not in force yet, and who may agree to them."""
    seen = await here_of(request).seen.status()
    asked = seen["loosening"]
    dated = None if asked is None else {**asked, "asked_at": rfc3339(asked["asked_at"])}
    approvers = [{**row, "enrolled_at": rfc3339(row["enrolled_at"])} for row in seen["approvers"]]
    return answer({"live": seen["live"], "loosening": dated, "approvers": approvers})


def _effective(known: Settings) -> dict[str, Any]:
    found: dict[str, Any] = {
        "settings": redacted(known, origins(os.environ)),
        "folder": str(known.config_path),
        "files": [_file(known.config_path / name) for name in FILES],
        "faults": [],
        "rules": None,
        "digest": None,
    }
    try:
        plan = read_configuration(known.config_path).plan
    except PortcullisError as error:
        return {**found, "faults": str(error).splitlines()}
    return {**found, "rules": msgspec.to_builtins(plan, enc_hook=str),
            "digest": digest(encode_plan(plan))}  # fmt: skip


def redacted(known: Settings, came_from: Mapping[str, str]) -> list[dict[str, Any]]:
    """Each setting with its value; a secret as whether it is set, credentials in addresses out."""
    return [
        {
            "name": f"{PREFIX}{name.upper()}",
            "value": _value(name, getattr(known, name)),
            "from": came_from.get(name, "default"),
        }
        for name in known.__struct_fields__
    ]


def _value(name: str, value: Any) -> Any:
    if name in SECRETS:
        return HIDDEN if value else ""
    return _CREDENTIALS.sub("***", value) if isinstance(value, str) else value


def _file(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        return {"file": path.name, "sha256": None, "fault": error.strerror}
    return {"file": path.name, "sha256": hashlib.sha256(data).hexdigest(), "fault": None}
