"""The gate in process: a proposal judged against all fourteen rules, approved and denied.

The reference is an empty call in the same run; `benchmarks/peers.py` sets two peers beside it.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from itertools import count

from benchmarks._field import LISTED, Field
from portcullis.domain import gate
from portcullis.domain.events import ProposalReceived
from portcullis.domain.model import BUY, OrderRequest
from portcullis.domain.state import Reservation

CALLS = 20_000
numbers = count(1)


def main() -> None:
    field = Field(100)
    engine, account = field.engine, field.engine.state.accounts[field.names[0]]
    reservations: dict[str, Reservation] = account.reservations

    def propose(size: int) -> None:
        order = OrderRequest(account.id, LISTED[0].id, BUY, size, "market")
        proposal = ProposalReceived(f"p{next(numbers)}", "bench", order)
        gate.judge(proposal, engine.state, engine.plan, engine.watches)
        reservations.clear()

    approved = _laps(lambda: propose(1))
    denied = _laps(lambda: propose(1_000))
    empty = _laps(lambda: None)
    print("judged with fourteen rules, us       p50      p99")
    for name, laps in (("approved", approved), ("denied", denied), ("empty call", empty)):
        print(f"  {name:<28} {laps[0]:9.2f} {laps[1]:8.2f}")
    ratio = denied[0] / approved[0]
    print(f"  target: p50 4, p99 15; a denial at most twice an approval (is {ratio:.2f})")


def _laps(call: Callable[[], None]) -> tuple[float, float]:
    gc.collect()
    laps = []
    for _ in range(CALLS):
        begun = time.perf_counter_ns()
        call()
        laps.append(time.perf_counter_ns() - begun)
    laps.sort()
    return laps[CALLS // 2] / 1000, laps[int(CALLS * 0.99)] / 1000


if __name__ == "__main__":
    main()
