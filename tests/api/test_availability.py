"""Good time: what counts as such, and that it is counted."""

from __future__ import annotations

import pytest

from portcullis.api import availability
from portcullis.api.here import make_here
from portcullis.domain.model import SECOND
from tests.api.home import settings_of

NOW = 1_772_550_000 * SECOND
GOOD = {"live": True, "as_of": NOW - SECOND, "evidence": []}


@pytest.mark.parametrize(
    ("changed", "good"),
    [
        ({}, True),
        ({"live": False}, False),
        ({"as_of": NOW - 30 * SECOND}, False),
        ({"evidence": [{"name": "market_data", "state": "passing"}]}, True),
        ({"evidence": [{"name": "market_data", "state": "expired"}]}, False),
        ({"evidence": [{"name": "market_data", "state": "missing"}]}, True),
        ({"evidence": [{"name": "backup", "state": "failed"}]}, True),
    ],
)
def test_what_good_time_is(changed, good):
    assert availability.is_good({**GOOD, **changed}, NOW) is good


async def test_time_without_a_worker_is_counted_as_bad(tmp_path):
    here = make_here(settings_of(tmp_path))
    await availability.look(here, 10.0)
    await availability.look(here, 2.5)
    assert (counted(here, "good"), counted(here, "bad")) == (0, 12.5)


def counted(here, state):
    name = "portcullis_watched_seconds_total"
    return here.meters.registry.get_sample_value(name, {"state": state})
