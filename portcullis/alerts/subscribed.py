"""Subscriptions made by request: taking one out again. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from portcullis.alerts.alert import Subscription


def without(
    rows: Sequence[Subscription], channel: str, account: str | None
) -> tuple[list[Subscription], int]:
    """The rows without what a channel is told of an account, or (None) of anything; and how many
    changed. A row that names other accounts as well stays for those.
    """
    left, touched = [], 0
    for each in rows:
        named = each.accounts or ()
        if each.channel != channel or (account is not None and account not in named):
            left.append(each)
            continue
        touched += 1
        others = tuple(name for name in named if name != account)
        if account is not None and others:
            left.append(msgspec.structs.replace(each, accounts=others))
    return left, touched
