"""Carrying a check out, without a server: what is tried again, and how it ends."""

import pytest

from checks.verdicts import Finding, Grade
from portcullis.config.settings import Settings
from portcullis.errors import StoreError
from tasks import evidence

pytestmark = pytest.mark.filterwarnings("ignore")
GOOD = Finding(Grade.PASS, "good", [])
TORN = Finding(Grade.ERROR, "a query could not run", [])
BAD = Finding(Grade.FAIL, "bad", [])


async def carried_out(monkeypatch, answers):
    """The finding of a check that gives one answer after the other, and how many it gave."""
    asked: list[Finding | Exception] = []

    def check(_settings, _now):
        asked.append(answers[len(asked)])
        if isinstance(asked[-1], Exception):
            raise asked[-1]
        return asked[-1]

    monkeypatch.setattr(evidence, "PAUSE_SECONDS", 0)
    return await evidence.carry_out.fn("x", Settings(), check), len(asked)


async def test_what_could_not_be_carried_out_is_tried_again(monkeypatch):
    away = StoreError("away", remedy="none")
    assert await carried_out(monkeypatch, [away, TORN, GOOD]) == (GOOD, 3)


async def test_after_three_times_it_is_an_error(monkeypatch):
    assert await carried_out(monkeypatch, [TORN] * 3) == (TORN, 3)
    found, times = await carried_out(monkeypatch, [OSError("no disk")] * 3)
    assert (found.grade, times) == (Grade.ERROR, 3)
    assert "no disk" in found.summary


async def test_what_failed_is_not_tried_until_it_passes(monkeypatch):
    assert await carried_out(monkeypatch, [BAD]) == (BAD, 1)
