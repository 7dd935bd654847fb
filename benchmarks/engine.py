"""The engine: events per second with all fourteen rules on; `growth` shows how the cost grows.

Beside it, in the same run: the limits of two rules as straight-line Python on the same facts, which
is the floor of the language.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from benchmarks._field import Field
from portcullis.domain.engine import Engine
from portcullis.domain.events import AnyFact, Quote
from portcullis.domain.rules import RULES
from portcullis.domain.state import freeze, thaw

FACTS = 60_000
TARGET_RATE, TARGET_P99 = 300_000, 8.0


def main() -> None:
    field = Field(100)
    facts = list(field.facts(FACTS))
    rate, p99 = _run(lambda at, fact: _apply(field, at, fact), facts)
    restless = Field(100)
    restless.engine = Engine(thaw(freeze(restless.engine.state)), restless=True)
    asked = _run(lambda at, fact: _apply(restless, at, fact), list(restless.facts(FACTS)))[0]
    floor = _run(_floor(), facts)[0]
    print(
        f"engine, {len(RULES)} rules, 100 accounts   {rate:>10,.0f}/s  p99 {p99:6.1f} us   "
        f"target {TARGET_RATE:,}/s, p99 {TARGET_P99} us"
    )
    print(
        f"asked at every price, same facts    {asked:>10,.0f}/s   ours is {rate / asked:.2f} of it"
    )
    print(
        f"straight-line limits, same facts    {floor:>10,.0f}/s   ours is {rate / floor:.2f} of it"
    )


def _apply(field: Field, at: int, fact: AnyFact) -> None:
    field.position += 1
    field.position += len(field.engine.apply(field.position, at, fact))


def _floor() -> Callable[[int, AnyFact], None]:
    held = {number: [2, 20_000, 0] for number in range(100)}

    def apply(_at: int, fact: AnyFact) -> None:
        if type(fact) is Quote:
            row = held[fact.quoted_at % 100]
            row[2] = ((fact.bid or 0) - row[1]) * row[0] * 12_500_000
            if row[2] <= -300_000_000:
                row[2] = 0

    return apply


def _run(
    apply: Callable[[int, AnyFact], None], facts: list[tuple[int, AnyFact]]
) -> tuple[float, float]:
    gc.collect()
    gc.freeze()
    half = len(facts) // 2
    started = time.perf_counter()
    for at, fact in facts[:half]:
        apply(at, fact)
    rate = half / (time.perf_counter() - started)
    laps = []
    for at, fact in facts[half:]:
        begun = time.perf_counter_ns()
        apply(at, fact)
        laps.append(time.perf_counter_ns() - begun)
    laps.sort()
    return rate, laps[int(len(laps) * 0.99)] / 1000


if __name__ == "__main__":
    main()
