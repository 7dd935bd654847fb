"""What the dashboard shows, for programs: accounts, rules, locks, evidence."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from portcullis.api.access import GuardedRoute
from portcullis.api.answers import answer, described, rfc3339
from portcullis.api.control import AccountName
from portcullis.api.here import here_of
from portcullis.api.problems import Problem
from portcullis.api.shapes import Accounts, EvidenceList, Locks, OneAccount, Rules
from portcullis.domain.rules import RULES

router = APIRouter(route_class=GuardedRoute, tags=["looking"])


@router.get("/api/v1/accounts", operation_id="list_accounts", responses=described(Accounts))
async def accounts(request: Request) -> Response:
    """Every account: what is left of its limits, its largest allowed orders, positions, locks."""
    body = await here_of(request).seen.rendered("accounts", _accounts)
    return Response(body, media_type="application/json")


def _accounts(seen: dict[str, Any]) -> dict[str, Any]:
    return {
        "live": seen["live"],
        "mode": seen["mode"],
        "gate_open": seen["gate_open"],
        "as_of": rfc3339(seen["as_of"]),
        "accounts": seen["accounts"],
        "pools": seen["pools"],
    }


@router.get(
    "/api/v1/accounts/{account}", operation_id="show_account", responses=described(OneAccount)
)
async def account(request: Request, account: AccountName) -> Response:
    """One account."""
    seen = await here_of(request).seen.status()
    return answer({"live": seen["live"], **_account(seen, account)})


def _account(seen: dict[str, Any], name: str) -> dict[str, Any]:
    for row in seen["accounts"]:
        if row["account"] == name:
            return dict(row)
    raise Problem(404, "there is no such account here", remedy="see /api/v1/accounts")


@router.get("/api/v1/rules", operation_id="list_rules", responses=described(Rules))
async def rules(request: Request) -> Response:
    """Every rule there is, with what is measured, allowed and left on each account that has it."""
    body = await here_of(request).seen.rendered("rules", _rules)
    return Response(body, media_type="application/json")


def _rules(seen: dict[str, Any]) -> dict[str, Any]:
    rows = [
        {"account": row["account"], **distance}
        for row in seen["accounts"]
        for distance in row["distances"]
    ]
    found = [
        {
            "code": rule.CODE,
            "rule": rule.NAME,
            "does": (rule.__doc__ or "").split(": ", 1)[-1].splitlines()[0],
            "on": [row for row in rows if row["rule"] == rule.NAME],
        }
        for rule in RULES
    ]
    return {"live": seen["live"], "rules": found}


@router.get("/api/v1/locks", operation_id="list_locks", responses=described(Locks))
async def locks(request: Request) -> Response:
    """Every lock with its account, its cause, what ends it and when."""
    here = here_of(request)
    seen, now = await here.seen.status(), here.now()
    found = [
        {
            "account": row["account"],
            **lock,
            "until": rfc3339(lock["until"]),
            "seconds_left": None
            if lock["until"] is None
            else max(0, round((lock["until"] - now) / 1_000_000)),
        }
        for row in seen["accounts"]
        for lock in row["locks"]
    ]
    return answer({"live": seen["live"], "locks": found})


@router.get("/api/v1/evidence", operation_id="list_evidence", responses=described(EvidenceList))
async def evidence(request: Request) -> Response:
    """Every verdict that holds the gate or could: what it says, until when, and the run behind."""
    here = here_of(request)
    seen, now = await here.seen.status(), here.now()
    found = [
        {
            **row,
            "checked_at": rfc3339(row.get("checked_at")),
            "expires_at": rfc3339(row.get("expires_at")),
            "seconds_left": max(0, round((row.get("expires_at", 0) - now) / 1_000_000)),
        }
        for row in seen["evidence"]
    ]
    return answer(
        {
            "live": seen["live"],
            "mode": seen["mode"],
            "gate_open": seen["gate_open"],
            "lacking": seen["lacking"],
            "evidence": found,
        }
    )
