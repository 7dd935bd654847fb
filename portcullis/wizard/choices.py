"""What a person chose, and the limits that are proposed, with where they come from."""

from __future__ import annotations

import json
from typing import NamedTuple

from portcullis.domain.model import MICRO
from portcullis.domain.money import money
from portcullis.errors import UsageError
from portcullis.venues.projectx.fence import SIZES, Published, published

PROVENANCE = "the firm's published numbers for this size, as of 2026-11"
BY_BALANCE = "the firm's published numbers for the size that the balance tells, as of 2026-11"
FITS = 4
"""A balance fits a size when it is within one part in four of its start."""


class Limits(NamedTuple):
    """Limits of an account in whole units of its currency, and why these."""

    profile: str
    start: int
    maximum_loss: int
    daily_loss: int
    contracts: int
    why: str


class Choice(NamedTuple):
    """An account that is watched."""

    account: str
    limits: Limits


def proposed(account: str, balance: int) -> Limits:
    """Limits for an account: the firm's own for the size that its name or its balance (micro-units)
    tells. Raises UsageError where neither does: a floor from a wrong start would lock the account
    at once, or never.
    """
    named = published(account)
    for size, firm in SIZES.items():
        fits = abs(balance - firm.start) * FITS <= firm.start
        if fits and named in (None, firm):
            why = PROVENANCE if named else BY_BALANCE
            return _limits(f"topstep-{size}k", firm, firm.daily_loss, why)
    told = "its name and its balance tell different sizes" if named else "no published size fits"
    raise UsageError(
        f"account {account!r} with a balance of {money(balance)}: {told}",
        remedy="leave it out with --account, or write it into accounts.yaml by hand: its "
        "trailing_drawdown needs the start and the allowance that the firm told you",
    )


def _limits(profile: str, firm: Published, daily: int, why: str) -> Limits:
    return Limits(
        profile,
        firm.start // MICRO,
        firm.maximum_loss // MICRO,
        daily // MICRO,
        firm.contracts,
        why,
    )


def accounts_file(choices: list[Choice]) -> str:
    """`accounts.yaml` of the choices, with the origin of each number beside it."""
    lines = [
        "# The accounts that are watched, by the names that the platform shows. A profile is a set",
        "# of rules in rules.yaml; `rules` changes single ones. What each does: docs/rules.md.",
        "accounts:",
    ]
    for choice in choices:
        lines += ["", *_account(choice)]
    return "\n".join(lines) + "\n"


def _account(choice: Choice) -> list[str]:
    limits = choice.limits
    drawdown = f"start: {limits.start}, allowance: {limits.maximum_loss}, trail: end_of_day"
    size = f"limit: {limits.contracts}, count: gross, micro_ratio: 10, on_breach: flatten"
    below = f"limit: {limits.daily_loss * 9 // 10}, scope: total, include_realized: true"
    return [
        f"  {json.dumps(choice.account)}:",
        f"    profile: {limits.profile}",
        f"    # Origin: {limits.why}.",
        "    rules:",
        f"      max_contracts: {{{size}}}",
        f"      daily_realized_loss: {{limit: {limits.daily_loss}}}",
        f"      daily_unrealized_loss: {{{below}}}",
        f"      trailing_drawdown: {{{drawdown}, lock_at_start: true}}",
    ]
