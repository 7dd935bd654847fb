"""Channels in their published form, from what the sender keeps: no address, no secret. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portcullis.alerts.alert import Subscription
from portcullis.alerts.alert_reader import ChannelFigures
from portcullis.alerts.message import KnownChannel
from portcullis.alerts.outbox import Kept
from portcullis.alerts.quiet_hours import shown
from portcullis.domain.money import duration

NOTHING = ChannelFigures("", 0, 0, 0, None, None, "", None)


def channel_rows(
    kept: Kept, figures: Mapping[str, ChannelFigures], now: int
) -> list[dict[str, Any]]:
    """Every channel that is connected, is to be told or was ever sent to; times and `pace` in
    microseconds.
    """
    told = [*kept.terms.subscriptions, *kept.book.subscriptions]
    names = {*kept.channels, *figures, *(each.channel for each in told)}
    rows = []
    for name in sorted(names):
        known, until = kept.channels.get(name), kept.book.storms.get(name, 0)
        counted = figures.get(name, NOTHING)
        rows.append(
            {
                "channel": name,
                **_described(known),
                "told_of": [told_of(each) for each in told if each.channel == name],
                "delivered": counted.delivered,
                "waiting": counted.waiting,
                "dead": counted.dead,
                "failing": is_failing(known, counted),
                "last_success": counted.last_success,
                "oldest_waiting": counted.oldest_waiting,
                "says": (known.fault if known else "") or counted.last_detail,
                "spared_until": until if until > now else None,
            }
        )
    return rows


def _described(known: KnownChannel | None) -> dict[str, Any]:
    usable = known is not None and not known.fault
    return {
        "connected": known is not None,
        "service": known.service if known and usable else None,
        "address": known.shown if known and usable else None,
        "pace": known.pace if known and usable else None,
        "best_effort": known.best_effort if known else False,
    }


def is_failing(known: KnownChannel | None, figures: ChannelFigures) -> bool:
    """Whether nothing gets through: a faulty address, or no success since the last failure."""
    if known is not None and known.fault:
        return True
    since = (figures.last_failure or 0) > (figures.last_success or 0)
    return figures.failing or (figures.dead > 0 and since)


def told_of(each: Subscription) -> str:
    """A subscription in words."""
    topics = ", ".join(each.topics) or "everything"
    accounts = "all" if each.accounts is None else ", ".join(each.accounts) or "none"
    parts = [f"{each.severity} and worse of {topics}", f"accounts: {accounts}"]
    parts += [f"after {duration(each.after)}"] if each.after else []
    parts += [f"quiet {shown(each.quiet)}"] if each.quiet else []
    return "; ".join(parts)
