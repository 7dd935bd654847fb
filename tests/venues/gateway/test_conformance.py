"""The adapter to the ProjectX Gateway conforms, over real sockets, to a gateway of either mind."""

from __future__ import annotations

import pytest

from portcullis.venues.simulated_gateway.terms import GatewayTerms
from tests.conformance import venue as conformance
from tests.venues.gateway.stage import on_stage

DIALECTS = {
    "as_recorded": GatewayTerms(),
    "other": GatewayTerms(
        has_query=False,
        wrapped=False,
        nulls="kept",
        batches=False,
        partial_quotes=False,
        digits=6,
        window="fixed",
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("case", conformance.CASES, ids=conformance.name_of)
async def test_conforms(case, dialect):
    async with on_stage(gateway=DIALECTS[dialect]) as stage:
        await case(stage)
