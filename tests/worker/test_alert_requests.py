"""Requests about alerts in a whole worker, and what judges its ledger afterwards."""

from __future__ import annotations

import msgspec

from portcullis.audit.inquiry import audit
from portcullis.domain.alert_requests import RECORDED
from portcullis.domain.events import RequestReceived
from portcullis.domain.model import MICRO
from portcullis.domain.rules import daily_realized_loss, max_contracts
from portcullis.store.export import line_of
from portcullis.worker.replay import replay
from portcullis.worker.requests import Asked
from portcullis.worker.what_if import what_if
from tests.worker.harness import START, World

LIMIT = max_contracts.Params(limit=2)


def test_they_are_taken_once_and_survive_a_kill_and_every_judge_of_the_ledger_accepts_them():
    world = World(LIMIT)
    asked = {
        "acknowledge": {"alert": "01K9ZC"},
        "silence": {"account": "A", "for_us": 3_600 * MICRO},
        "alert": {"kind": "flow_failed", "state": "firing", "subject": "backup"},
    }

    async def story(world: World) -> None:
        await world.start()
        for verb, arguments in asked.items():
            body = msgspec.msgpack.encode(Asked("why", "A", arguments))
            world.inbox.ask(f"r-{verb}", verb, "me", "operator", body, START)
            world.inbox.ask(f"r-{verb}", verb, "me", "operator", body, START)
        await world.pass_time(1)
        await world.kill()
        await world.start()
        await world.pass_time(1)

    world.play(story)
    for verb in asked:
        answer = world.inbox.answer_to(f"r-{verb}")
        assert answer is not None
        assert (answer.outcome, answer.detail) == ("done", RECORDED)
    taken = [e for e in world.events() if isinstance(e, RequestReceived)]
    assert [(e.verb, e.arguments) for e in taken] == list(asked.items())
    replayed = replay(world.ledger)
    assert replayed.agrees, replayed.differences
    report = audit([line_of(row) for row in world.ledger.read()], "ledger")
    assert report.differences == []
    limits = (LIMIT, daily_realized_loss.Params(limit=100 * MICRO))
    other = msgspec.structs.replace(world.plan.accounts[0], rules=limits)
    assert not what_if(world.ledger, (other,)).differs
