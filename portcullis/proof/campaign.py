"""Many runs: seed after seed, on every core, each judged from outside."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import active_children, get_context

import msgspec

from portcullis.domain.model import SECOND
from portcullis.proof import swarm
from portcullis.proof.checkers import violations
from portcullis.proof.occurrences import occurrences
from portcullis.proof.play import play
from portcullis.proof.stage import Outcome
from portcullis.proof.story import Story

DAY = 24 * 3600 * SECOND


class Ran(msgspec.Struct, frozen=True):
    """One run. `simulated` and `took` in seconds; `head` names the trace: same story, same head."""

    seed: int
    mode: str
    store: str
    accounts: int
    simulated: float
    took: float
    events: int
    head: str
    violations: list[str]
    seen: dict[str, int]

    @property
    def account_days(self) -> float:
        return self.accounts * self.simulated / 86_400


def judge(story: Story, *, audited: bool = True) -> Ran:
    """Play a story and let every checker look at what is left."""
    started = time.perf_counter()
    outcome = play(story)
    found = violations(outcome, audited=audited)
    return Ran(
        story.seed,
        story.mode,
        story.store,
        len(story.plan.accounts),
        (outcome.ended_at - story.start) / SECOND,
        time.perf_counter() - started,
        len(outcome.rows),
        trace_of(outcome),
        found,
        dict(occurrences(outcome)),
    )


def trace_of(outcome: Outcome) -> str:
    """A name of all that happened: the newest hash of every stream binds all before it."""
    newest = {row.stream: row.hash for row in outcome.rows}
    return b"".join(newest[name] for name in sorted(newest)).hex()[-64:]


def _judge_seed(drawn: tuple[int, int, int | None, swarm.VenueName, bool]) -> Ran:
    seed, seconds, accounts, venue, audited = drawn
    return judge(swarm.draw(seed, seconds, accounts, venue), audited=audited)


def run(
    first: int,
    count: int,
    seconds: int,
    accounts: int | None = None,
    jobs: int = 0,
    *,
    venue: swarm.VenueName = "simulated",
    audited: bool = True,
) -> Iterator[Ran]:
    """Judge the seeds from `first` on, `count` of them, in order of seed."""
    wanted = [(seed, seconds, accounts, venue, audited) for seed in range(first, first + count)]
    jobs = min(jobs or os.cpu_count() or 1, count)
    if jobs == 1:
        yield from map(_judge_seed, wanted)
        return
    context = get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_leave_interrupts) as pool:
        judged = [pool.submit(_judge_seed, each) for each in wanted]
        try:
            for each in judged:
                yield each.result()
        except BaseException:
            # Nobody waits for the others, and a seed may take minutes.
            for process in active_children():
                process.terminate()
            raise


def _leave_interrupts() -> None:
    """Ctrl-C reaches every process of the terminal: the one that leads the others ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def seen_in(runs: list[Ran]) -> Counter[str]:
    """What happened in all of them together."""
    total: Counter[str] = Counter()
    for each in runs:
        total.update(each.seen)
    return total
