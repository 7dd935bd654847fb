"""What a person chose, and the limits that are proposed, with where they come from."""

from __future__ import annotations

import json
from typing import NamedTuple

from portcullis.domain.model import MICRO
from portcullis.venues.projectx.fence import SIZES, Published, published

PROVENANCE = "the firm's published numbers for this size, as of 2026-11"
OWN = "nobody's published numbers: half a day's loss of the smallest account"


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


def proposed(account: str) -> Limits:
    """Limits for an account: the firm's own where the name tells its size, else small ones."""
    firm = published(account)
    if firm is None:
        smallest = SIZES[50]
        return _limits("topstep-50k", smallest, smallest.daily_loss // 2, OWN)
    size = next(each for each, numbers in SIZES.items() if numbers == firm)
    return _limits(f"topstep-{size}k", firm, firm.daily_loss, PROVENANCE)


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
