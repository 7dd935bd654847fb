"""The suite over the newest quotes."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from pydantic import Field

from checks import market_data
from checks.verdicts import MARKET_DATA
from tasks.evidence import judged
from tasks.punctuality import skipped_when_late

WindowSeconds = Annotated[int, Field(ge=10, le=3_600)]


@flow(
    name="market_data_quality",
    flow_run_name="market data, last {window_seconds} s",
    timeout_seconds=50,
)
@skipped_when_late(timedelta(minutes=1))
async def market_data_quality(window_seconds: WindowSeconds = 300) -> State[Any]:
    """Judge the quotes of the last minutes while a market is open: verdict `market_data`.

    Args:
        window_seconds: How far back quotes are looked at; at most 6,000 quotes in any case.
    """
    return await judged(
        MARKET_DATA, lambda settings, now: market_data.check(settings, now, window_seconds)
    )
