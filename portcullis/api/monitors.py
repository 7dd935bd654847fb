"""For monitors: what worker and API measure, as exposition and as JSON, and the objectives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from portcullis import gate_client
from portcullis.api.access import GuardedRoute
from portcullis.api.answers import answer, described, rfc3339
from portcullis.api.here import Here, here_of
from portcullis.api.shapes import MetricsShown, Objectives
from portcullis.config.settings import Settings
from portcullis.slo.current import standings
from portcullis.slo.objectives import OBJECTIVES
from portcullis.store.opening import is_own

router = APIRouter(route_class=GuardedRoute, tags=["monitoring"])
ASK_SECONDS = 2.0
OPEN = "application/openmetrics-text; version=1.0.0"
END = b"# EOF\n"
SHARES = (0.5, 0.95, 0.99)

EXPOSED: dict[int | str, dict[str, Any]] = {
    **described(None),
    200: {
        "description": "The exposition",
        "content": {"text/plain": {}, "application/openmetrics-text": {}},
    },
}


class Parts(BaseModel):
    """Whose part is wanted."""

    model_config = ConfigDict(extra="forbid")

    part: Literal["all", "worker", "api"] = "all"


@router.get("/metrics", operation_id="metrics", response_class=Response, responses=EXPOSED)
async def metrics(request: Request, filters: Annotated[Parts, Query()]) -> Response:
    """Everything that is measured, in Prometheus's text or OpenMetrics; the worker's part is left
    out while no worker answers.
    """
    here = here_of(request)
    accept, part = request.headers.get("accept", ""), filters.part
    encode, kind = choose_encoder(accept)
    ours = theirs = b""
    if part != "worker":
        await run_in_threadpool(here.meters.follow)
        ours = await run_in_threadpool(encode, here.meters.registry)
    if part != "api":
        theirs = await run_in_threadpool(_of_worker, here.settings, accept)
    # Two expositions are one with a single end.
    body = theirs.removesuffix(END) + ours if ours else theirs
    return Response(body, headers={"Content-Type": kind})


@router.get("/metrics/json", operation_id="metrics_json", responses=described(MetricsShown))
async def metrics_json(request: Request) -> Response:
    """The same as JSON; of durations also p50, p95 and p99, from their buckets."""
    here = here_of(request)
    found = await run_in_threadpool(families, here)
    return answer({"as_of": rfc3339(here.now()), "metrics": {f.name: _shown(f) for f in found}})


@router.get("/slos", operation_id="slos", responses=described(Objectives))
async def slos(request: Request) -> Response:
    """Each objective with its target, how it stands since the processes started, and what is left
    of its budget. Over thirty days Prometheus counts them.
    """
    here = here_of(request)
    found = {each.name: each for each in standings(await run_in_threadpool(families, here))}
    rows = []
    for objective in OBJECTIVES:
        standing = found.get(objective.name)
        rows.append(
            {
                "objective": objective.name,
                "title": objective.title,
                "target": objective.target,
                "current": standing.current if standing else None,
                "budget_left": standing.budget_left if standing else None,
                "compliant": standing.compliant if standing and standing.counted else None,
                "counted": standing.counted if standing else 0,
                "why": "" if standing and standing.current is not None else "nothing counted yet",
            }
        )
    return answer({"slos": rows})


def families(here: Here) -> list[Metric]:
    """Everything that is measured and can be read."""
    here.meters.follow()
    ours = list(here.meters.registry.collect())
    text = _of_worker(here.settings, OPEN)
    return [*_parsed(text), *ours] if text else ours


def _parsed(text: bytes) -> Iterator[Metric]:
    yield from text_string_to_metric_families(text.decode())  # type: ignore[no-untyped-call]


def _of_worker(settings: Settings, accept: str) -> bytes:
    """What the worker exposes; empty while none answers, or something else at its port."""
    try:
        reply = gate_client.ask(settings, "/metrics", ASK_SECONDS, headers={"Accept": accept})
    except gate_client.NoAnswer:
        return b""
    return reply.body if reply.status == 200 and is_own(settings, reply.ledger) else b""


def _shown(family: Metric) -> dict[str, Any]:
    shown: dict[str, Any] = {"type": family.type, "help": family.documentation}
    samples = [s for s in family.samples if not s.name.endswith("_created")]
    if family.type == "histogram":
        shown |= {f"p{share * 100:.0f}": percentile(samples, share) for share in SHARES}
        samples = [s for s in samples if not s.name.endswith("_bucket")]
    shown["samples"] = [{"name": s.name, "labels": s.labels, "value": s.value} for s in samples]
    return shown


def percentile(samples: Iterable[Any], share: float) -> float | None:
    """The upper bound of the bucket that a share of all observations lies in or below; None where
    nothing was observed, or where it lies above all bounds.
    """
    counts: dict[float, float] = {}
    for sample in samples:
        if sample.name.endswith("_bucket"):
            bound = float(sample.labels["le"])
            counts[bound] = counts.get(bound, 0.0) + sample.value
    bounds = sorted(counts)
    if not bounds or not counts[bounds[-1]]:
        return None
    wanted = share * counts[bounds[-1]]
    found = next(bound for bound in bounds if counts[bound] >= wanted)
    return found if found != float("inf") else None
