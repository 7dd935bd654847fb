"""How cost and memory grow: with accounts at a constant history, with history at constant accounts.

Each row is a process of its own with everything a worker imports. The reference, in the same
process: the limits of two rules as straight-line Python on the same facts, timed the same way.
Memory is that of the engine and its facts; `whole path` goes on through encoding, hash chain and
durable commit. `--long` goes on to 10,000,000 events.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

ACCOUNTS = (10, 100, 1_000, 10_000)
HISTORY = (10_000, 100_000, 1_000_000)
FACTS = 20_000


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["row"]:
        {"accounts": _accounts, "history": _history}[arguments[1]](*map(int, arguments[2:]))
        return
    print(f"{'accounts':>10} {_HEAD}  whole path, durable   memory")
    for accounts in ACCOUNTS:
        _row("accounts", accounts)
    print("target: an event's cost constant; 100 MB at 10 accounts, 300 MB at 1,000\n")
    print(f"{'events':>10} {_HEAD}   snapshot         memory")
    _row("history", HISTORY[-1] * (10 if "--long" in arguments else 1))
    print("target: an event's cost constant")


_HEAD = "a price us   p99  any fact us   p99  straight-line us  ratio"


def _row(kind: str, number: int) -> None:
    subprocess.run(
        [sys.executable, "-m", "benchmarks.growth", "row", kind, str(number)], check=True
    )


def _accounts(accounts: int) -> None:
    import portcullis.wiring  # noqa: F401 - what a worker holds in memory
    from benchmarks._field import Field

    field = Field(accounts)
    text = f"{accounts:>10,} {_measured(field)}"
    memory = psutil.Process().memory_info().rss / 2**20
    print(f"{text}  {_whole_path(field):>13,.0f}/s   {memory:6.0f} MB", flush=True)


def _history(events: int) -> None:
    import portcullis.wiring  # noqa: F401 - what a worker holds in memory
    from benchmarks._field import Field
    from portcullis.domain.state import freeze

    field = Field(100)
    for total in (n for n in (*HISTORY, 10 * HISTORY[-1]) if n <= events):
        for at, fact in field.facts(total - FACTS // 2 - field.position):
            field.position += 1 + len(field.engine.apply(field.position + 1, at, fact))
        text = _measured(field)
        begun = time.perf_counter()
        size = len(freeze(field.engine.state)) / 2**20
        took = (time.perf_counter() - begun) * 1e3
        memory = psutil.Process().memory_info().rss / 2**20
        print(
            f"{field.position:>10,} {text}   {size:5.1f} MB {took:4.0f} ms {memory:6.0f} MB",
            flush=True,
        )


def _measured(field) -> str:
    """Time every fact, a price and any; then the floor on as many. The collector as in a worker."""
    from benchmarks.engine import _floor
    from portcullis.domain.events import Quote
    from portcullis.wiring import GC_THRESHOLD

    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)
    laps, prices = [], []
    floor, plain = _floor(), []
    for at, fact in field.facts(FACTS // 2):
        lap = _timed(lambda at=at, fact=fact: field.engine.apply(field.position + 1, at, fact))
        field.position += 1
        laps.append(lap)
        plain.append(_timed(lambda at=at, fact=fact: floor(at, fact)))
        if isinstance(fact, Quote):
            prices.append(lap)
    mean, least = sum(laps) / len(laps), sum(plain) / len(plain)
    return (
        f"{sum(prices) / len(prices):10.2f} {_p99(prices):5.1f} {mean:12.2f} {_p99(laps):5.1f} "
        f"{least:17.2f} {mean / least:6.1f}"
    )


def _timed(work: Callable[[], object]) -> float:
    """Microseconds of one call, the clock's own share (0.1) included."""
    begun = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - begun) / 1e3


def _p99(laps: list[float]) -> float:
    return sorted(laps)[int(len(laps) * 0.99)]


def _whole_path(field) -> float:
    """Facts decoded, folded, chained and durable in a second, as fast as the writer takes them."""
    from portcullis.domain.events import decode, encode
    from portcullis.store.ledger import SqliteLedger
    from portcullis.store.writer import GroupCommit

    facts = [(at, encode(fact)) for at, fact in field.facts(2 * FACTS)]
    done: list[object] = []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        ledger = SqliteLedger(Path(folder))
        writer = GroupCommit(ledger)
        begun = time.perf_counter()
        for at, payload in facts:
            writer.submit(list(_entries(field, at, decode(payload))), done.append)
        writer.close()
        took = time.perf_counter() - begun
        ledger.close()
    assert len(done) == len(facts)
    assert not any(done)
    return len(facts) / took


def _entries(field, at: int, fact) -> Iterator[object]:
    from portcullis.domain.events import stream_of
    from portcullis.ports import Entry

    field.position += 1
    decisions = field.engine.apply(field.position, at, fact)
    field.position += len(decisions)
    for event in (fact, *decisions):
        yield Entry(stream_of(event), at, "bench", event)


if __name__ == "__main__":
    main(sys.argv[1:])
