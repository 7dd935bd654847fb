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


async def test_a_proposal_in_a_trace_is_answered_in_it_and_both_are_told_to_monitors(tmp_path):
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    order = {"account": "A", "instrument": "ES", "side": "buy", "size": 1}
    async with running(tmp_path) as (url, _), aiohttp.ClientSession() as session:
        place = url + "/api/v1/proposals"
        parent = {"traceparent": f"00-{trace}-{span}-01"}
        async with session.post(place, json=order, headers=parent) as reply:
            answered, decision = reply.headers["traceparent"], await reply.json()
        async with session.get(url + "/metrics", headers={"Accept": OPEN}) as reply:
            text = await reply.text()
        for more in ({}, {"traceparent": "00-nonsense"}):
            async with session.post(place, json=order, headers=more) as reply:
                assert (reply.status, "traceparent" in reply.headers) == (200, False)
    assert answered.startswith(f"00-{trace}-")
    assert span not in answered
    exemplars = [
        sample.exemplar.labels
        for each in text_string_to_metric_families(text)
        for sample in each.samples
        if sample.exemplar
    ]
    assert {"trace_id": trace, "ledger_trace": decision["trace_id"]} in exemplars
