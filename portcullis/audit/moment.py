"""One fact, the decisions behind it, and where differences are put down."""

from __future__ import annotations

from portcullis.audit.account import Account
from portcullis.audit.market import Market
from portcullis.audit.reading import Event
from portcullis.audit.report import Difference, Kind, Report


class Moment:
    """What a check needs: the fact, one account's decisions, the market, the mode, the report."""

    def __init__(self, fact: Event, market: Market, mode: str, report: Report) -> None:
        self.fact, self.market, self.mode = fact, market, mode
        self.at = fact.at
        self.report = report
        self.decisions: list[Event] = []
        self.answers: list[Event] = []
        self.rows_before: set[int] = set()
        self.sizes_before: dict[str, int] = {}

    def of(self, kind: str) -> list[Event]:
        """The account's decisions of one kind."""
        return [event for event in self.decisions if event.kind == kind]

    def differ(
        self,
        a: Account,
        kind: Kind,
        rule: str,
        instrument: str | None,
        expected: str,
        found: str,
        event: Event | None = None,
    ) -> None:
        """Put a difference down, at an event or at the fact itself."""
        where = event or self.fact
        self.report.differences.append(
            Difference(where.position, self.at, a.name, kind, rule, instrument, expected, found)
        )
