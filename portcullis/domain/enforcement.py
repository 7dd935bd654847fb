"""From breaches to commands: merged, each once, and never more than the bound allows.

Flatten wins over close, close over reduce; every lock stands beside the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from portcullis.domain.breach import Breach
from portcullis.domain.commands import (
    CancelOrder,
    CancelOrders,
    Close,
    Command,
    Flatten,
    MoveStop,
    PlaceStop,
    Reduce,
)
from portcullis.domain.events import CommandIssued
from portcullis.domain.model import MINUTE, SECOND
from portcullis.domain.state import AccountState, Pending, State

AUTOMATION = ("trade_management",)
GATE = ("gate",)
WHOLE = ""
PACE = 3 * SECOND
Wanted = list[tuple[Command, tuple[str, ...]]]


def merge(account: AccountState, breaches: Sequence[Breach]) -> Wanted:
    """The fewest commands that answer all breaches, with the rules each answers."""
    flatten = tuple(b.rule for b in breaches if b.response.flatten)
    if flatten:
        return [(Flatten(account.id), tuple(dict.fromkeys(flatten)))]
    wanted: Wanted = []
    closes = _closes(account, breaches)
    wanted += closes.values()
    wanted += _reductions(account, breaches, closes)
    wanted += _cancels(account, breaches, closes)
    for breach in breaches:
        if breach.response.cancel_order is not None:
            name, order_id = breach.response.cancel_order
            wanted.append((CancelOrder(account.id, name, order_id), (breach.rule,)))
    return wanted + _stops(account, breaches, closes)


def _stops(
    account: AccountState,
    breaches: Sequence[Breach],
    closes: dict[str, tuple[Command, tuple[str, ...]]],
) -> Wanted:
    wanted: Wanted = []
    for breach in breaches:
        stop = breach.response.stop
        if stop is None or stop.instrument in closes:
            continue
        rules = (breach.rule,)
        if stop.order_id is None:
            command: Command = PlaceStop(
                account.id, stop.instrument, stop.side, stop.size, stop.stop_price
            )
        else:
            command = MoveStop(
                account.id, stop.instrument, stop.order_id, stop.stop_price, stop.size
            )
        wanted.append((command, rules))
    return wanted


def _closes(
    account: AccountState, breaches: Sequence[Breach]
) -> dict[str, tuple[Command, tuple[str, ...]]]:
    closes: dict[str, tuple[Command, tuple[str, ...]]] = {}
    for breach in breaches:
        name = breach.response.close
        if name is None:
            continue
        earlier = closes.get(name)
        conditional = breach.response.unless_covered
        rules: tuple[str, ...] = (breach.rule,)
        if earlier is not None:
            command, rules = earlier[0], (*earlier[1], breach.rule)
            conditional = conditional and isinstance(command, Close) and command.unless_covered
        closes[name] = (Close(account.id, name, conditional), rules)
    return closes


def _reductions(
    account: AccountState,
    breaches: Sequence[Breach],
    closes: dict[str, tuple[Command, tuple[str, ...]]],
) -> Wanted:
    targets: dict[str, tuple[int, tuple[str, ...]]] = {}
    for breach in breaches:
        for name, to in breach.response.reduce:
            if name in closes:
                continue
            lowest, rules = targets.get(name, (to, ()))
            targets[name] = (min(lowest, to), (*rules, breach.rule))
    return [(Reduce(account.id, name, to), rules) for name, (to, rules) in targets.items()]


def _cancels(
    account: AccountState,
    breaches: Sequence[Breach],
    closes: dict[str, tuple[Command, tuple[str, ...]]],
) -> Wanted:
    whole = tuple(b.rule for b in breaches if b.response.cancel)
    if whole:
        return [(CancelOrders(account.id, None), whole)]
    wanted: Wanted = []
    for breach in breaches:
        name = breach.response.cancel_in
        if name is not None and name not in closes:
            wanted.append((CancelOrders(account.id, name), (breach.rule,)))
    return wanted


def covers(pending: Command, wanted: Command) -> bool:
    """Whether a command under way already brings about what another asks for."""
    if pending == wanted or isinstance(pending, Flatten):
        return True
    if isinstance(wanted, Close) and isinstance(pending, Close):
        return pending.instrument == wanted.instrument and not pending.unless_covered
    if isinstance(wanted, Flatten | Close):
        return False
    if isinstance(pending, Close):
        return pending.instrument == getattr(wanted, "instrument", None)
    if isinstance(pending, CancelOrders) and isinstance(wanted, CancelOrders):
        return pending.instrument in (None, wanted.instrument)
    if isinstance(pending, PlaceStop | MoveStop) and isinstance(wanted, PlaceStop | MoveStop):
        return pending.instrument == wanted.instrument
    return False


def is_held(account: AccountState, command: Command) -> bool:
    """Whether the venue has just refused the same: asking again waits for the retry.

    A refusal in one instrument holds back nothing in another, and never a cancel.
    """
    if not account.refused or isinstance(command, CancelOrders):
        return False
    return WHOLE in account.refused or refusal_of(command) in account.refused


def refusal_of(command: Command) -> str:
    """Where a refusal of this command counts: its instrument, or the whole account."""
    return getattr(command, "instrument", None) or WHOLE


def issue(
    account: AccountState, command: Command, rules: tuple[str, ...], world: State
) -> CommandIssued:
    """Give the command its key and note it as pending. The key stays the same on every retry."""
    key = f"{world.system.ledger}-{account.id}-{account.next_command}"
    account.next_command += 1
    account.pending[key] = Pending(key, command, rules, world.now)
    if rules == AUTOMATION:
        account.recent_automation.append(world.now)
    elif rules != GATE:
        account.recent_commands.append(world.now)
    return CommandIssued(account.id, key, command, rules, world.now)


def is_bound_reached(account: AccountState, rules: tuple[str, ...], bound: int, now: int) -> bool:
    """Whether a minute has had its commands; automation has a bound of its own, so that what a
    rule does for a trader never holds back what protects the account.
    """
    account.recent_commands = [at for at in account.recent_commands if at > now - MINUTE]
    account.recent_automation = [at for at in account.recent_automation if at > now - MINUTE]
    counted = account.recent_automation if rules == AUTOMATION else account.recent_commands
    return len(counted) >= bound and counted[-1] > now - PACE
