"""RULE-007: after one losing trade, a pause as long as the loss was bad."""

from __future__ import annotations

import msgspec

from portcullis.domain.breach import UNLIMITED, Breach, Distance, LockSpec, Response
from portcullis.domain.model import MINUTE, Reason
from portcullis.domain.money import duration, money
from portcullis.domain.state import AccountState, State
from portcullis.domain.units import Money, Span

NAME = "cooldown_after_loss"
CODE = "RULE-007"
TRIGGERS = ("trade",)
OF_A_FILL = True  # judged when it comes, by the rules of then; not again when others are loaded
DENIES = False


class Tier(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A net loss of `loss` or more in one trade pauses the account for `cooldown`."""

    loss: Money
    cooldown: Span


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", tag=NAME):
    """Tiers in any order; the worst one reached counts."""

    tiers: tuple[Tier, ...] = (
        Tier(100_000_000, 5 * MINUTE),
        Tier(200_000_000, 15 * MINUTE),
        Tier(300_000_000, 30 * MINUTE),
    )


def evaluate(account: AccountState, params: Params, world: State) -> tuple[Breach, ...]:
    """Judges the trade that the newest fill belongs to: earlier ones were judged at their time."""
    outcome = account.exits.get(account.newest_exit)
    tier = _worst(params, -outcome.net) if outcome is not None and outcome.closing else None
    if outcome is None or tier is None:
        return ()
    return (
        Breach(
            NAME,
            CODE,
            None,
            _reason(-outcome.net, tier, account.currency),
            Response(locks=(LockSpec("at", world.now + tier.cooldown),)),
            measure=tier.loss,
            episode=f"{account.newest_exit}:{tier.loss}",
            level=False,
        ),
    )


def allowance(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> int:
    return UNLIMITED


def explain(
    account: AccountState, params: Params, world: State, instrument: str, side: int
) -> Reason:
    return Reason(NAME, "a pause after a losing trade is a lock")


def distance(account: AccountState, params: Params, world: State) -> tuple[Distance, ...]:
    """Each trade is judged by itself: once its pause is over, all of the limit is left again."""
    first = min(tier.loss for tier in params.tiers)
    pausing = any(lock.rule == NAME for lock in account.locks.values())
    lost = _last_that_counts(account, params) if pausing else 0
    return (
        Distance(
            NAME,
            CODE,
            None,
            money(lost, account.currency),
            money(first, account.currency),
            money(max(0, first - lost), account.currency),
            100 * lost // first,
            f"each closed trade by itself, net; {_of_the_day(account)}",
        ),
    )


def _last_that_counts(account: AccountState, params: Params) -> int:
    """What the newest trade lost that began a pause; 0 where the day has none."""
    losses = (-row.net for row in reversed(account.exits.values()) if row.closing)
    return next((loss for loss in losses if _worst(params, loss) is not None), 0)


def _of_the_day(account: AccountState) -> str:
    worst = max((-row.net for row in account.exits.values() if row.closing), default=0)
    return (
        f"the day's worst lost {money(worst, account.currency)}" if worst > 0 else "none lost today"
    )


def _worst(params: Params, loss: int) -> Tier | None:
    reached = [tier for tier in params.tiers if loss >= tier.loss]
    return max(reached, key=lambda tier: (tier.cooldown, tier.loss), default=None)


def _reason(loss: int, tier: Tier, currency: str) -> Reason:
    return Reason(
        code=NAME,
        message=f"one trade lost {money(loss, currency)}: pause of {duration(tier.cooldown)}",
        measured=money(loss, currency),
        limit=money(tier.loss, currency),
        formula="gross - fees - commission of one order's fills",
    )
