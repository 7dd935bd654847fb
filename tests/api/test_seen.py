"""One question to the worker serves everybody, and nobody waits for a busy worker."""

from __future__ import annotations

import asyncio
import threading

from portcullis.api.seen import LIVE_SECONDS, STALE_SECONDS, Seen
from tests.api.home import settings_of


class Worker:
    """Answers when it is let; counts what it was asked."""

    def __init__(self, seen):
        self.asked, self.may = 0, threading.Event()
        self.may.set()
        self.fails = False
        seen._look = self.look

    def look(self):
        self.asked += 1
        number = self.asked
        assert self.may.wait(10)
        if self.fails:
            raise RuntimeError("nobody foresaw this")
        return {"live": True, "number": number}


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def made(tmp_path):
    clock = Clock()
    seen = Seen(settings_of(tmp_path), clock)
    return seen, Worker(seen), clock


async def number(seen):
    return (await seen.status())["number"]


async def test_a_hundred_who_ask_at_once_are_one_question(tmp_path):
    seen, worker, _ = made(tmp_path)
    assert await asyncio.gather(*(number(seen) for _ in range(100))) == [1] * 100
    assert worker.asked == 1


async def test_what_is_a_little_old_is_given_while_a_newer_one_is_on_its_way(tmp_path):
    seen, worker, clock = made(tmp_path)
    await number(seen)
    worker.may.clear()
    clock.now += LIVE_SECONDS
    assert await number(seen) == 1
    assert await number(seen) == 1
    task = seen._asking
    worker.may.set()
    await task
    assert await number(seen) == 2
    assert worker.asked == 2


async def test_what_is_too_old_is_waited_for(tmp_path):
    seen, worker, clock = made(tmp_path)
    await number(seen)
    clock.now += LIVE_SECONDS + STALE_SECONDS
    assert await number(seen) == 2
    assert worker.asked == 2


async def test_after_a_change_nobody_is_told_of_what_was_before(tmp_path):
    seen, worker, clock = made(tmp_path)
    await number(seen)
    worker.may.clear()
    clock.now += LIVE_SECONDS
    assert await number(seen) == 1  # and the second question is on its way
    seen.forget()
    waiting = asyncio.create_task(number(seen))
    await asyncio.sleep(0)
    worker.may.set()
    assert await waiting == 3


async def test_a_failure_is_not_for_ever(tmp_path):
    seen, worker, _ = made(tmp_path)
    worker.fails = True
    for _ in range(2):
        try:
            await number(seen)
        except RuntimeError:
            continue
        raise AssertionError("it must be told")
    worker.fails = False
    assert await number(seen) == 3
