"""Pools and strategies: pools have what the venue says, strategies move as they may."""

from __future__ import annotations

from collections.abc import Iterator

from portcullis.domain import capital
from portcullis.domain.engine import Engine
from portcullis.domain.events import (
    FACT_KINDS,
    ProposalAnswered,
    ProposalReceived,
    RequestReceived,
    StrategyMoved,
)
from portcullis.proof.checkers.record import Record

STRIDE = 100
"""Facts between two looks at the books of a run."""
LEGAL = frozenset(
    (
        ("DRAFT", "PROBATION"), ("DRAFT", "RETIRED"),
        ("PROBATION", "ACTIVE"), ("PROBATION", "PAUSED"), ("PROBATION", "RETIRED"),
        ("ACTIVE", "PROBATION"), ("ACTIVE", "PAUSED"), ("ACTIVE", "RETIRED"),
        ("PAUSED", "PROBATION"), ("PAUSED", "ACTIVE"), ("PAUSED", "RETIRED"),
    )
)  # fmt: skip
FREE = ("PROBATION", "ACTIVE")


def pools_agree_with_accounts(record: Record) -> Iterator[str]:
    """At no moment do a pool's book and its accounts' books come to different amounts."""
    if not record.story.plan.pools:
        return
    engine, facts = Engine(), 0
    for row, event in record.events:
        if row.kind not in FACT_KINDS:
            continue
        engine.apply(row.position, row.at, event)  # type: ignore[arg-type]
        facts += 1
        if facts % STRIDE and row.position != record.rows[-1].position:
            continue
        for fault in capital.faults(engine.world):
            yield (
                f"event {row.position}: {fault.check} of {fault.about}: "
                f"{fault.expected} and {fault.found}"
            )
            return


def pools_have_what_the_venue_says(record: Record) -> Iterator[str]:
    """After the calm a pool has what its accounts' balances are at the venue.

    The void of an ended day's trade is a balance that moved, which two comparisons settle: where
    there was one and comparisons are rare, nothing is said.
    """
    state = record.outcome.state
    if state is None or not record.is_settled:
        return
    balances = {each.account: each.balance for each in record.exchange.accounts()}
    for pool in state.pools.values():
        names = [name for name in pool.members if not _is_open(record, name)]
        if len(names) < len(pool.members):
            continue
        held = sum(balances[name] for name in names)
        if held != capital.total(pool):
            yield f"{pool.name} has {held} at the venue, {capital.total(pool)} in its book"


def _is_open(record: Record, name: str) -> bool:
    """Whether a trade of an ended day was voided, so that its money may still be on its way."""
    state = record.outcome.state
    assert state is not None
    start = state.accounts[name].day.start
    trades = record.exchange.trades(name, 0)
    return any(trade.voided and trade.executed_at < start for trade in trades)


def strategies_move_as_they_may(record: Record) -> Iterator[str]:
    """Every move follows the one before, is legal, and was asked for by who may ask it."""
    states: dict[str, str] = {}
    role = ""
    for row, event in record.events:
        if isinstance(event, RequestReceived):
            role = event.role if event.verb == "strategy" else ""
        elif row.kind in FACT_KINDS:
            role = ""
        if not isinstance(event, StrategyMoved):
            continue
        before = states.get(event.strategy, "")
        if event.before != before:
            yield f"event {row.position} moves {event.strategy} from {event.before}, not {before}"
        if before and (before, event.after) not in LEGAL:
            yield f"event {row.position} moves {event.strategy} from {before} to {event.after}"
        looser = event.after == "ACTIVE" or (event.after == "PROBATION" and before != "ACTIVE")
        if before and (not role or (looser and role != "admin")):
            yield f"event {row.position} moves {event.strategy} by the word of {role or 'nobody'}"
        states[event.strategy] = event.after
    # A worker that was cut off may know a move more than became durable.
    state = record.outcome.state
    is_durable = (
        state is not None and bool(record.rows) and (state.position <= record.rows[-1].position)
    )
    for name, strategy in state.strategies.items() if state and is_durable else ():
        if strategy.state != states.get(name):
            yield f"{name} is {strategy.state}, its moves end in {states.get(name)}"


def strategies_trade_as_they_may(record: Record) -> Iterator[str]:
    """An approved entry of a strategy was on its account, in a state that trades, in its size."""
    planned = {each.strategy: each for each in record.story.plan.strategies}
    states: dict[str, str] = {}
    asked: dict[str, ProposalReceived] = {}
    for row, event in record.events:
        if isinstance(event, StrategyMoved):
            states[event.strategy] = event.after
        elif isinstance(event, ProposalReceived):
            asked[event.proposal_id] = event
        elif isinstance(event, ProposalAnswered) and event.approved and event.lane == "entry":
            proposal = asked.get(event.proposal_id)
            if proposal is None or not proposal.strategy:
                continue
            name = proposal.strategy
            wanted, state = planned.get(name), states.get(name)
            is_small = state == "ACTIVE" or (
                wanted is not None and proposal.order.size <= wanted.probation_contracts
            )
            if wanted is None or state not in FREE or not is_small:
                yield f"event {row.position} approves {proposal.order.size} of {name}, {state}"
            elif event.account not in wanted.accounts:
                yield f"event {row.position} approves {name} on {event.account}"
