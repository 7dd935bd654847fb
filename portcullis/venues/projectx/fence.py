"""The outer fence: what the firm itself holds an account to, and where ours is looser.

The gateway tells whether an account may trade and its balance, and nothing of the firm's limits. So
they are the firm's published numbers, found by the size in the account's name. Sources: articles
8284204 (maximum loss), 8808125387923 (daily loss), 9221977 (contracts) and 9772296 (which accounts
have a daily loss limit) of the firm's help pages, as of 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from portcullis.domain.model import MICRO
from portcullis.domain.money import money
from portcullis.domain.rules import (
    RuleParams,
    daily_realized_loss,
    max_contracts,
    trailing_drawdown,
)


class Published(NamedTuple):
    """A firm's numbers for one size of account: money in micro-units, contracts in minis."""

    start: int
    maximum_loss: int
    daily_loss: int
    contracts: int


SIZES = {
    50: Published(50_000 * MICRO, 2_000 * MICRO, 1_000 * MICRO, 5),
    100: Published(100_000 * MICRO, 3_000 * MICRO, 2_000 * MICRO, 10),
    150: Published(150_000 * MICRO, 4_500 * MICRO, 3_000 * MICRO, 15),
}
_SIZE = re.compile(r"(?<!\d)(50|100|150)K")


def published(account: str) -> Published | None:
    """The numbers of an account, by its name (50KTC-V2-DLL-1-1); None where it tells no size."""
    found = _SIZE.search(account.upper())
    return SIZES[int(found[1])] if found else None


def looser(account: str, rules: Iterable[RuleParams]) -> list[str]:
    """Where our limits come later than the firm's, in words; nothing for an unknown size."""
    firm = published(account)
    if firm is None:
        return []
    found: list[str] = []
    kinds = {type(rule): rule for rule in rules}
    drawdown = kinds.get(trailing_drawdown.Params)
    if not isinstance(drawdown, trailing_drawdown.Params):
        found.append(f"no trailing_drawdown; the firm's maximum loss is {money(firm.maximum_loss)}")
    elif drawdown.allowance > firm.maximum_loss:
        ours = money(drawdown.allowance)
        found.append(f"trailing_drawdown {ours}, the firm's is {money(firm.maximum_loss)}")
    size = kinds.get(max_contracts.Params)
    if not isinstance(size, max_contracts.Params):
        found.append(f"no max_contracts; the firm's is {firm.contracts}")
    elif size.limit > firm.contracts:
        found.append(f"max_contracts {size.limit}, the firm's is {firm.contracts}")
    daily = kinds.get(daily_realized_loss.Params)
    limit = daily.limit if isinstance(daily, daily_realized_loss.Params) else None
    if "DLL" in account.upper() and (limit is None or limit > firm.daily_loss):
        ours = "none" if limit is None else money(limit)
        found.append(f"daily_realized_loss {ours}, the firm's is {money(firm.daily_loss)}")
    return found
