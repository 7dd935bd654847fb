"""RULE-008 no_stop_loss_grace: a position longer without a covering stop than the grace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from portcullis.audit.account import Account, Uncovered
from portcullis.audit.finding import Finding

STOPS = frozenset(("stop", "stop_limit", "trailing"))


def is_working_stop(a: Account, order: dict[str, Any], size: int) -> bool:
    """Whether an order protects a position: a stop, opposite, working (a child with its parent)."""
    if order["type"] not in STOPS or order["side"] * size >= 0:
        return False
    if order["status"] == "working":
        return True
    if order["status"] != "suspended" or order.get("parent") is None:
        return False
    parent = a.book.orders.get(order["parent"])
    return bool(parent is not None and parent["status"] == "working")


def covered(a: Account, name: str, size: int, cover: str) -> bool:
    """Whether working stops cover a position, fully or at all."""
    stops = sum(
        order["remaining"] for order in a.book.live(name) if is_working_stop(a, order, size)
    )
    return bool(stops >= abs(size) if cover == "full" else stops > 0)


def follow(a: Account, p: dict[str, Any], at: int) -> None:
    """Keep since when each position has been uncovered, after every fact of the account."""
    for name in [name for name in a.uncovered if name not in a.book.positions]:
        del a.uncovered[name]
    for name, held in a.book.positions.items():
        known = a.uncovered.get(name)
        is_covered = covered(a, name, held.size, p["cover"])
        if known is None or known.size * held.size < 0 or held.opened_at > known.opened_at:
            # The time before the position was first seen counts; when exactly, the venue says.
            known = Uncovered(
                held.size, is_covered, min(held.opened_at, at), held.opened_at, held.opened_at
            )
        elif known.covered and not is_covered:
            known.earliest, known.latest = held.opened_at, at
            known.earliest = max(held.opened_at, a.moved.get(name, at))
        elif not known.covered and not is_covered and held.opened_at > known.latest:
            known.latest = held.opened_at
        elif not known.covered and held.opened_at < known.earliest and known.latest < at:
            known.earliest = held.opened_at
        known.size, known.covered = held.size, is_covered
        a.uncovered[name] = known


def due(a: Account, p: dict[str, Any]) -> list[int]:
    """When the grace of each uncovered position ends."""
    return [u.latest + p["grace"] + 1 for u in a.uncovered.values() if not u.covered]


def no_stop_loss_grace(a: Account, p: dict[str, Any], at: int) -> Iterator[Finding]:
    """Longer than the grace without a stop. Judged by the time the position is open and uncovered.

    When a stop was lost, the venue's time of that and the time of learning it may differ: demanded
    from the later on, accepted from the earlier.
    """
    for name, since in a.uncovered.items():
        if not since.covered and at - since.earliest >= p["grace"]:
            yield Finding(
                "no_stop_loss_grace",
                name,
                at - since.latest > p["grace"],
                (),
                False,
                f"{since.size:+d} without a covering stop since {since.latest}",
                "close",
            )
