"""What the newest part of the ledger tells: drills and their outcomes, agents and their orders."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from portcullis.api.access import GuardedRoute
from portcullis.api.answers import answer, described, rfc3339
from portcullis.api.here import here_of, in_ledger
from portcullis.api.shapes import Agents, Drills
from portcullis.domain.events import (
    ProposalAnswered,
    ProposalReceived,
    VerdictRecorded,
    decode,
)
from portcullis.store.reading import EventFilter, LedgerReader

router = APIRouter(route_class=GuardedRoute, tags=["looking"])
DRILLS = {
    "restore": "the newest backup, restored beside the live store and compared",
    "snapshot": "snapshots, taken and folded again from the events",
    "shipped": "what was shipped, beside the ledger",
    "backup": "the newest backup, made and read back",
    "event_log": "the chain of the event log, verified",
}
"""Verdicts of what is tried out on a schedule, and what is tried."""

DRILLS_MAX = 200
LOOKED_AT = 50_000
AGENTS_MAX = 200


@router.get("/api/v1/drills", operation_id="list_drills", responses=described(Drills))
async def drills(request: Request) -> Response:
    """What restore, replay and the other drills found lately, newest first."""

    def look(reader: LedgerReader) -> list[dict[str, Any]]:
        after = max(0, reader.head().position - LOOKED_AT)
        where = EventFilter("system", ("verdict_recorded",))
        found: list[dict[str, Any]] = []
        for stored in reader.events(where, after=after, newest_first=True):
            event = decode(stored.payload)
            assert isinstance(event, VerdictRecorded)
            verdict = event.verdict
            if verdict.name in DRILLS:
                found.append(
                    {
                        "drill": verdict.name,
                        "tries": DRILLS[verdict.name],
                        "passed": verdict.passed,
                        "summary": verdict.summary,
                        "at": rfc3339(verdict.checked_at),
                        "run_id": verdict.run_id,
                        "link": verdict.link,
                        "position": stored.position,
                    }
                )
            if len(found) == DRILLS_MAX:
                break
        return found

    return answer({"drills": await in_ledger(here_of(request), look)})


@router.get("/api/v1/agents", operation_id="list_agents", responses=described(Agents))
async def agents(request: Request) -> Response:
    """Who proposed orders in the newest 50,000 events, how often, and what became of them."""

    def look(reader: LedgerReader) -> dict[str, Any]:
        after = max(0, reader.head().position - LOOKED_AT)
        kinds = ("proposal_received", "proposal_answered")
        found: dict[str, dict[str, Any]] = {}
        asked: dict[str, str] = {}
        for stored in reader.events(EventFilter(kinds=kinds), after=after):
            event = decode(stored.payload)
            if isinstance(event, ProposalReceived):
                asked[stored.trace] = event.agent
                if event.agent in found or len(found) < AGENTS_MAX:
                    row = found.setdefault(
                        event.agent, {"proposals": 0, "approved": 0, "denied": 0}
                    )
                    row["proposals"] += 1
                    row["last_seen"] = rfc3339(stored.at)
            elif isinstance(event, ProposalAnswered):
                row = found.get(asked.pop(stored.trace, ""), {})
                if row:
                    row["approved" if event.approved else "denied"] += 1
        rows = [{"agent": name, **row} for name, row in found.items()]
        return {"since_position": after + 1, "agents": rows}

    return answer(await in_ledger(here_of(request), look))
