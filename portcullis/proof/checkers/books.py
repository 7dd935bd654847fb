"""The books: what the worker believes in the end is what the venue's own records say."""

from __future__ import annotations

from collections.abc import Iterator

from portcullis.domain.engine import Engine
from portcullis.domain.events import FACT_KINDS
from portcullis.domain.state import freeze, thaw
from portcullis.proof.checkers.record import Record
from portcullis.store.memory import MemoryLedger
from portcullis.worker.replay import replay

RESTARTS_MAX = 200
STRIDE_MIN = 7
"""Facts between two of the restarts of a replay, at least."""


def positions_and_orders_agree(record: Record) -> Iterator[str]:
    """After the calm the worker's positions and working orders are the venue's."""
    state = record.outcome.state
    if state is None or not record.is_settled:
        return
    for name in record.accounts:
        account = state.accounts[name]
        held = {p.instrument: p.size for p in record.exchange.positions(name)}
        known = {p.instrument: p.size for p in account.positions.values()}
        if held != known:
            yield f"{name} holds {held} at the venue, {known} in the books"
        working = {order.order_id for order in record.exchange.orders(name)}
        if working != set(account.orders):
            yield f"{name} works {sorted(working)} at the venue, {sorted(account.orders)} here"


def money_agrees(record: Record) -> Iterator[str]:
    """After the calm the day's result is the sum of the venue's trades, each counted once."""
    state = record.outcome.state
    if state is None or not record.is_settled:
        return
    for name in record.accounts:
        account = state.accounts[name]
        trades = [
            trade
            for trade in record.exchange.trades(name, account.day.start)
            if not trade.voided and trade.executed_at < account.day.end
        ]
        net = sum((trade.gross or 0) - trade.fees - trade.commission for trade in trades)
        if net != account.realized:
            yield f"{name} made {net} today at the venue, {account.realized} in the books"


def replay_agrees(record: Record) -> Iterator[str]:
    """Folding the facts from the first one on derives every decision that was recorded."""
    ledger = _Rows(record)
    for difference in replay(ledger).differences[:3]:
        yield (
            f"event {difference.position}: recorded {difference.recorded[:120]}, "
            f"derived {difference.derived[:120]}"
        )


def restarts_change_nothing(record: Record) -> Iterator[str]:
    """The same, by an engine that now and then begins anew from its own snapshot."""
    ledger, engine = _Rows(record), Engine()
    facts = [row.position for row in record.rows if row.kind in FACT_KINDS]
    stride = max(STRIDE_MIN, len(facts) // RESTARTS_MAX)
    ends = [position - 1 for position in facts[stride::stride]] + [record.rows[-1].position]
    after = 0
    for end in ends:
        replayed = replay(ledger, engine=engine, after=after, through=end)
        for difference in replayed.differences[:1]:
            yield (
                f"event {difference.position}, {difference.stream}: {difference.recorded}, but "
                f"{difference.derived} where snapshots are taken every {stride} facts"
            )
            return
        after, engine = end, Engine(thaw(freeze(engine.state)))


class _Rows(MemoryLedger):
    """The rows of a run as something that can be replayed."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._rows = record.rows
        self._head = self._head._replace(position=len(record.rows))
