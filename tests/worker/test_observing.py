"""A worker that only observes: it sees and says everything, and can reach no order."""

from __future__ import annotations

import os
import subprocess
import sys

from portcullis.domain.events import AlertRaised, BreachFound, CommandConcluded, CommandSent
from portcullis.domain.model import BUY
from portcullis.domain.rules import max_contracts
from tests.worker.harness import ES, World

PROGRAM = """
import sys
from portcullis import wiring
from portcullis.config.settings import read_settings
from portcullis.worker.service import Worker

venue = wiring.make_venue(read_settings())
acts = ("close_position", "place_order", "cancel_order", "modify_order", "reduce_position")
loaded = [name for name in sys.modules if name.endswith(("projectx.desk", "worker.enforce"))]
print([act for act in acts if hasattr(venue, act)], loaded)
"""


def test_a_breach_is_seen_and_told_and_nothing_is_sent():
    world = World(max_contracts.Params(limit=1))
    world.observes = True
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        before = len(w.exchange.journal)
        w.order(ES, BUY, 2)
        await w.pass_time(90)
        assert w.size(ES) == 2
        assert w.events(BreachFound)
        ended = w.events(CommandConcluded)
        assert {row.outcome for row in ended} == {"refused"}
        assert "only observes" in ended[0].detail
        assert not w.events(CommandSent)
        assert any(row.severity == "critical" for row in w.events(AlertRaised))
        asked = [entry.call for entry in list(w.exchange.journal)[before:]]
        assert set(asked) == {"place_order"}, "the trader's own"
        await w.stop()

    world.play(story)


def test_what_was_under_way_before_is_left_to_a_person():
    world = World(max_contracts.Params(limit=1))
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        w.order(ES, BUY, 2)
        await w.kill()
        w.observes = True
        await w.start()
        await w.pass_time(60)
        assert w.events(CommandConcluded)[-1].outcome == "refused"

    world.play(story)


def test_what_can_reach_an_order_is_not_even_loaded(tmp_path):
    env = {k: v for k, v in os.environ.items() if not k.startswith("PORTCULLIS_")} | {
        "PORTCULLIS_HOME": str(tmp_path / "not there"),
        "PORTCULLIS_VENUE": "projectx",
        "PORTCULLIS_ROLE": "observe",
        "PORTCULLIS_PROJECTX_USER": "me",
        "PORTCULLIS_PROJECTX_KEY": "a key",
    }
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, check=True)
    assert done.stdout.decode().split() == ["[]", "[]"]
