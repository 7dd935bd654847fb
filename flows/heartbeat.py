"""The operations side's beat, and its judgement of the worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from checks import failed_flows, worker_health, worker_silence
from checks.verdicts import OPERATIONS, Finding
from portcullis.config.settings import Settings, read_settings
from tasks.evidence import judged, this_run
from tasks.failed_flows import resolve_mended
from tasks.punctuality import skipped_when_late

LastsSeconds = Annotated[int, Field(ge=1, le=3_600)]


@flow(name="heartbeat", flow_run_name="heartbeat of the worker", timeout_seconds=25)
@skipped_when_late(timedelta(seconds=30))
async def heartbeat(lasts_seconds: LastsSeconds | None = None) -> State[Any]:
    """Write the operations side's sign of life and judge the worker's: verdict `operations`.

    A silent worker is an alert too, and the alerts of flows that run again end here.

    Args:
        lasts_seconds: How long the verdict holds the gate; empty: PORTCULLIS_HEARTBEAT_LASTS.
    """
    settings = read_settings()
    lasts = settings.heartbeat_lasts if lasts_seconds is None else lasts_seconds * 1_000_000
    run_id, link = this_run(settings)

    def check(settings: Settings, now: int) -> Finding:
        worker_health.write_beat(settings, now, run_id)
        seen = worker_health.look(settings, now)
        worker_silence.tell(settings, seen, now, link)
        return worker_health.judge(seen, now)

    ended = await judged(OPERATIONS._replace(lasts=lasts), check)
    if failed_flows.open_failures(settings):
        await resolve_mended(settings)
    return ended
