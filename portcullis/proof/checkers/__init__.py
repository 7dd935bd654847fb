"""The checkers, as an explicit list: each reads a run from outside and says what is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from portcullis.proof.checkers import (
    books,
    capital,
    commands,
    days,
    durable,
    gate,
    limits,
    locks,
    loosening,
    rules,
)
from portcullis.proof.checkers.record import Record
from portcullis.proof.stage import Outcome

CHECKERS: tuple[Callable[[Record], Iterator[str]], ...] = (
    durable.chain_holds,
    durable.nothing_acknowledged_is_lost,
    durable.a_start_finds_what_was_acknowledged,
    durable.requests_follow_durable_commands,
    commands.opening_orders_are_sent_once,
    commands.opening_orders_ask_once,
    commands.commands_end_once,
    commands.confirmed_means_flat,
    locks.locks_end_their_own_way,
    locks.locks_do_not_outlive_their_time,
    locks.the_worker_knows_its_locks,
    locks.a_hard_lock_leaves_nothing_open,
    locks.every_lock_is_answered,
    gate.approvals_are_earned,
    gate.a_proposal_is_approved_once,
    gate.the_gate_falls_by_itself,
    gate.only_a_person_opens,
    gate.the_gate_opens_again,
    days.days_end_once_and_on_time,
    limits.a_day_at_its_limit_is_locked_at_once,
    books.positions_and_orders_agree,
    books.money_agrees,
    books.replay_agrees,
    books.restarts_change_nothing,
    capital.pools_agree_with_accounts,
    capital.pools_have_what_the_venue_says,
    capital.strategies_move_as_they_may,
    capital.strategies_trade_as_they_may,
    loosening.nothing_is_loosened_out_of_turn,
    loosening.what_waits_comes_into_force,
    rules.the_audit_agrees,
)


def violations(outcome: Outcome, *, audited: bool = True) -> list[str]:
    """What is broken, each as `checker: what`, in the order of the checkers.

    Without `audited` the slowest is left out: the rules judged a second time at every price.
    """
    record = Record(outcome)
    found = [f"worker: {broken}" for broken in outcome.notes.broken]
    if not outcome.rows:
        return found or ["ledger: nothing is left of it"]
    for checker in CHECKERS:
        if checker is rules.the_audit_agrees and not audited:
            continue
        found += [f"{checker.__name__}: {what}" for what in checker(record)]
    return found
