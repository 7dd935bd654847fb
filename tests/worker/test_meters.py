"""What the gate exposes to a monitor, over real HTTP."""

from __future__ import annotations

import aiohttp
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.worker.test_gate_server import post, running

OPEN = "application/openmetrics-text; version=1.0.0"


async def test_decisions_are_counted_with_their_traces_and_figures_are_of_now(tmp_path):
    async with running(tmp_path) as (url, _), aiohttp.ClientSession() as session:
        _, approved = await post(session, url)
        await post(session, url, size=9)
        await post(session, url, side="sideways")
        async with session.get(url + "/metrics", headers={"Accept": OPEN}) as reply:
            assert reply.headers["Content-Type"].startswith("application/openmetrics-text")
            text = await reply.text()
    families = {each.name: each for each in text_string_to_metric_families(text)}
    counts = {
        sample.labels["decision"]: sample.value
        for sample in families["portcullis_decision_seconds"].samples
        if sample.name.endswith("_count")
    }
    assert counts == {"approved": 1, "denied": 1, "unanswered": 0}
    exemplars = [
        sample.exemplar.labels["trace_id"]
        for sample in families["portcullis_decision_seconds"].samples
        if sample.exemplar
    ]
    assert approved["trace_id"] in exemplars
    (refused,) = [s for s in families["portcullis_proposals_refused"].samples
                  if s.name.endswith("_total")]  # fmt: skip
    assert (refused.labels, refused.value) == ({"status": "422"}, 1)
    (accounts,) = families["portcullis_accounts"].samples
    assert accounts.value == 1
    assert families["portcullis_cycle_seconds"].samples[-1].value > 0
