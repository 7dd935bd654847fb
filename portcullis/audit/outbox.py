"""Commands as the ledger issues and concludes them: is protection on its way?"""

from __future__ import annotations

from typing import Any

import msgspec

RETRY_AFTER = 35_000_000
"""Microseconds in which a concluded command still counts as protection: the venue's rows may come
late, and a command that failed is tried again after 30 s."""

MOST_TRIES = 10
MINUTE = 60_000_000
PACED = 7_000_000
"""Microseconds a command may wait once the bound of a minute is reached: one goes out every 3 s,
and it may have been held back just before that."""

PROTECTIVE = ("flatten", "close", "reduce", "cancel_orders")
AUTOMATION = ("trade_management",)
FAILED = ("refused", "unconfirmed")


class Issued(msgspec.Struct):
    """One command on its way, or done."""

    key: str
    kind: str
    instrument: str | None
    rules: tuple[str, ...]
    issued_at: int
    position: int
    concluded_at: int | None = None
    outcome: str = ""


class Outbox:
    """The commands of one account."""

    def __init__(self) -> None:
        self.waiting: dict[str, Issued] = {}
        self.recent: list[Issued] = []
        self.keys: set[str] = set()
        self.failed: set[tuple[str, str | None]] = set()
        """Rules whose last command failed, each with its instrument (None: the account)."""
        self.failed_in_row = 0
        self.failed_stops = 0
        self.bound = 20
        self.issued_at: list[int] = []

    def issue(self, body: dict[str, Any], at: int, position: int) -> Issued | None:
        """A command is issued; None when its key was used before."""
        command = body["command"]
        issued = Issued(
            body["key"],
            command["type"],
            command.get("instrument"),
            tuple(body["rules"]),
            at,
            position,
        )
        if issued.key in self.keys:
            return None
        self.keys.add(issued.key)
        self.waiting[issued.key] = issued
        self.issued_at = [t for t in self.issued_at if t > at - MINUTE - PACED] + [at]
        return issued

    def conclude(self, body: dict[str, Any], at: int) -> Issued | None:
        """A command ends; None when none of this key is on its way."""
        issued = self.waiting.pop(body["key"], None)
        if issued is not None:
            issued.concluded_at, issued.outcome = at, body["outcome"]
            self.recent = [c for c in self.recent if _counts(c, at)] + [issued]
            failed = body["outcome"] in FAILED
            self._note(issued, failed=failed)
            if issued.kind in PROTECTIVE:
                self.failed_in_row = self.failed_in_row + 1 if failed else 0
            elif issued.rules == AUTOMATION:
                self.failed_stops = self.failed_stops + 1 if failed else 0
        return issued

    def _note(self, issued: Issued, *, failed: bool) -> None:
        """What succeeded in an instrument says nothing of another; on the account, of all."""
        for rule in issued.rules:
            if failed:
                self.failed.add((rule, issued.instrument))
            else:
                self.failed = {
                    (name, where)
                    for name, where in self.failed
                    if name != rule or issued.instrument not in (None, where)
                }

    def given_up(self) -> bool:
        """Whether the account's commands failed as often in a row as they are tried."""
        return self.failed_in_row >= MOST_TRIES

    def gave_up_stops(self) -> bool:
        """The same of what the automation places, moves and withdraws."""
        return self.failed_stops >= MOST_TRIES

    def is_bounded(self, at: int) -> bool:
        """Whether the account's bound of commands a minute is, or just was, reached."""
        return sum(each > at - MINUTE - PACED for each in self.issued_at) >= self.bound

    def is_paced(self, at: int) -> bool:
        """Whether the bound holds a command back at a moment: one went out shortly before."""
        return self.is_bounded(at) and self.issued_at[-1] > at - PACED

    def trying(self, at: int) -> list[Issued]:
        """Commands on their way, and those that failed and are tried again after 30 s."""
        failed = [c for c in self.recent if c.outcome in FAILED and _counts(c, at)]
        return [*self.waiting.values(), *failed]

    def answering(self, at: int) -> list[Issued]:
        """Commands that count as protection at a moment."""
        return [*self.waiting.values(), *(c for c in self.recent if _counts(c, at))]


def _counts(issued: Issued, at: int) -> bool:
    return issued.concluded_at is not None and at - issued.concluded_at <= RETRY_AFTER


def closes(issued: Issued, name: str | None) -> bool:
    """Whether a command leaves nothing in an instrument (None: on the account)."""
    return issued.kind == "flatten" or (issued.kind == "close" and issued.instrument == name)


def shrinks(issued: Issued, name: str | None) -> bool:
    """Whether a command makes a position in the instrument (None: any) smaller."""
    if issued.kind in ("close", "reduce"):
        return name in (None, issued.instrument)
    return issued.kind == "flatten"


def cancels(issued: Issued, order: dict[str, Any]) -> bool:
    """Whether a command withdraws an order."""
    if issued.kind in ("flatten", "close"):
        return closes(issued, order["instrument"])
    return issued.kind in ("cancel_orders", "cancel_order") and issued.instrument in (
        None,
        order["instrument"],
    )
