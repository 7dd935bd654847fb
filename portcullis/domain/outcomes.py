"""How commands ended, and what is tried again."""

from __future__ import annotations

from portcullis.domain import enforcement
from portcullis.domain.commands import CancelOrders, Close, Command, Flatten, Reduce
from portcullis.domain.events import CommandConcluded
from portcullis.domain.judge import LOCKOUT, RETRY_AFTER, Judge
from portcullis.domain.model import MINUTE
from portcullis.domain.state import AccountState, OpenBreach

SOON_MAX = 10
"""So many failures in a row are tried again after `RETRY_AFTER`; after that, `RETRY_LATER`."""

RETRY_LATER = 5 * MINUTE
PROTECTIVE = (Flatten, Close, Reduce, CancelOrders)


def conclude(judge: Judge, account: AccountState, fact: CommandConcluded) -> None:
    """Take note of a command's outcome."""
    pending = account.pending.pop(fact.key, None)
    if pending is None:
        return
    if fact.outcome in ("confirmed", "superseded"):
        _settled(account, fact.key)
        if pending.rules == enforcement.AUTOMATION:
            account.stop_failures = 0
        if isinstance(pending.command, PROTECTIVE):
            rarely = account.retry_at is None or account.failures > SOON_MAX
            account.failures = 0
            if account.refused and rarely:
                retry(account)  # the venue acts again: what it refused may work now
    elif pending.rules != ("gate",):
        _not_done(judge, account, fact, pending.command)


def _settled(account: AccountState, key: str) -> None:
    """What was done may be needed again later: forget breaches that no lock keeps."""
    for name in [n for n, b in account.breaches.items() if key in b.commands]:
        breach = account.breaches[name]
        if not breach.lock_ids and breach.level:
            del account.breaches[name]


def _not_done(
    judge: Judge, account: AccountState, fact: CommandConcluded, command: Command
) -> None:
    """A person must know at once; we try again, ten times soon and then now and then. Where the
    venue forbids trading a refusal is its last word, but silence is none.
    """
    protective = isinstance(command, PROTECTIVE)
    judge.alert(
        "enforcement_failed",
        "critical" if protective else "warning",
        account.id,
        f"command {fact.key} ended {fact.outcome}: {fact.detail}",
        "flatten the account by hand at the venue, then look at `account show`",
    )
    if protective:
        account.failures += 1
        _refused(account, fact, command)
    else:
        account.stop_failures += 1
    in_row = account.failures if protective else account.stop_failures
    if account.can_trade is not False or fact.outcome == "unconfirmed":
        # The first failure says when: one in another instrument must not put it off.
        due = judge.state.now + (RETRY_AFTER if in_row <= SOON_MAX else RETRY_LATER)
        account.retry_at = due if account.retry_at is None else min(account.retry_at, due)


def _refused(account: AccountState, fact: CommandConcluded, command: Command) -> None:
    where = enforcement.refusal_of(command)
    if fact.outcome == "refused" and where not in account.refused:
        account.refused.append(where)


def retry(account: AccountState) -> None:
    """Take up again what is still not as it must be; what is found again was breached before."""
    account.retry_at, account.refused = None, []
    account.taken_up = {}
    for key, breach in list(account.breaches.items()):
        again = not breach.lock_ids and breach.level and _is_unanswered(account, breach)
        if again or breach.rule == LOCKOUT:
            del account.breaches[key]
            account.taken_up[key] = breach.since


def _is_unanswered(account: AccountState, breach: OpenBreach) -> bool:
    return not any(key in account.pending for key in breach.commands)
