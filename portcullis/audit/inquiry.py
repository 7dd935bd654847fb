"""The audit: fold an exported ledger fact by fact and hold every decision against the text.

Judged is at each fact, in the ledger's order, with what was known then: decisions stand directly
behind the fact that caused them. A breach that stands already (its own lock in force, or announced
in the same unbroken episode and being answered) need not be announced again; one that stands
unanswered must. What time alone brings (a grace, a session, a reset, an expiry) is demanded at the
first fact at or after its instant.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from portcullis.audit import (
    breaches,
    frame_commands,
    frame_days,
    frame_gate,
    frame_locks,
    judge,
    rules_stops,
)
from portcullis.audit.account import NEVER, Account
from portcullis.audit.book import Trade
from portcullis.audit.capital import Capital
from portcullis.audit.finding import Finding
from portcullis.audit.market import Market
from portcullis.audit.moment import Moment
from portcullis.audit.reading import Event, Group, events, groups
from portcullis.audit.report import Report
from portcullis.errors import UsageError

UNPLANNED: dict[str, Any] = {
    "rules": [],
    "zone": "America/Chicago",
    "reset_minute": 1020,
    "days": [0, 1, 2, 3, 4],
    "calendar": None,
    "quote_max_age": 10_000_000,
}


def audit(lines: Iterable[bytes], name: str) -> Report:
    """Read an export and answer with every difference; raises UsageError when it is unreadable."""
    inquiry = Inquiry()
    for group in groups(events(lines, name)):
        try:
            inquiry.take(group)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"{name}, event {group.fact.position} or a decision behind it: "
                f"its payload cannot be read: {error!r}",
                remedy="give a file that portcullis event export of this version wrote",
            ) from error
    return inquiry.close()


class Inquiry:
    """Everything that is known so far."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.market = Market()
        self.report = Report()
        self.capital = Capital(self.report)
        self.mode = "STARTING"
        self.started_at = 0
        self._touching: dict[str, set[str]] = {}
        self._last: Event | None = None
        self._due = 0

    def take(self, group: Group) -> None:
        """One fact and its decisions."""
        fact = group.fact
        self._last = group.decisions[-1] if group.decisions else fact
        self.report.facts += 1
        self.report.events += 1 + len(group.decisions)
        mode = self.mode
        for event in group.decisions:
            if event.kind == "mode_changed":
                self.mode = event.body["after"]
        self._learn(fact)
        self.capital.take(group)
        for account in self._concerned(group):
            moment = Moment(fact, self.market, mode, self.report)
            moment.decisions = [e for e in group.decisions if _account_of(e) == account.name]
            moment.answers = [e for e in group.decisions if e.kind == "request_answered"]
            self._judge(account, moment)

    def close(self) -> Report:
        """The end of the ledger."""
        assert self._last is not None
        for account in self.accounts.values():
            moment = Moment(self._last, self.market, self.mode, self.report)
            frame_commands.unfinished(account, moment, self.started_at)
        planned = [a for a in self.accounts.values() if a.is_planned]
        self.report.accounts = len(planned)
        self.report.rules = sum(len(a.rules) for a in planned)
        return self.report

    # --- facts ----------------------------------------------------------------------------

    def _learn(self, fact: Event) -> None:
        if fact.kind == "quote":
            self.market.quote(fact.body, fact.at)
        elif fact.kind == "instrument_listed":
            self.market.listed(fact.body)
        elif fact.kind == "worker_started":
            self.started_at = fact.at
        elif fact.kind == "rules_loaded":
            self._load(fact)

    def _load(self, fact: Event) -> None:
        plan = fact.body["plan"]
        if isinstance(plan, str):
            plan = msgspec.msgpack.decode(bytes.fromhex(plan))
        self.capital.load(plan)
        named = set()
        for each in plan["accounts"]:
            named.add(each["account"])
            if each["account"] not in self.accounts:
                self.accounts[each["account"]] = Account(each["account"], each, fact.at)
            account = self.accounts[each["account"]]
            account.take(each)
            account.outbox.bound = plan.get("commands_per_minute", account.outbox.bound)
            account.is_planned = True
        for name, account in self.accounts.items():
            if name not in named:
                account.is_planned = False
                account.take(UNPLANNED | {"account": name})

    def _concerned(self, group: Group) -> list[Account]:
        """Whom a fact concerns: its account, holders of what it prices, and whoever is due."""
        fact = group.fact
        names = {_account_of(event) for event in group.decisions}
        names.add(_account_of(fact))
        if fact.kind == "quote":
            names |= self._touching.get(fact.body["instrument"], set())
        every = fact.kind in (
            "rules_loaded", "worker_started", "authorization_lost", "venue_linked",
            "instrument_listed",
        )  # fmt: skip
        if every or fact.at >= self._due:
            names |= {name for name, a in self.accounts.items() if every or fact.at >= a.due}
        own = _account_of(fact)
        if own and own not in self.accounts:
            self.accounts[own] = Account(own, UNPLANNED | {"account": own}, fact.at)
        return [
            self.accounts[name] for name in sorted(filter(None, names)) if name in self.accounts
        ]

    # --- one account ----------------------------------------------------------------------

    def _judge(self, a: Account, moment: Moment) -> None:
        fact = moment.fact
        moment.rows_before = set(a.locks.rows)
        if fact.kind == "quote" and not moment.decisions and moment.at < a.due:
            self._quoted(a, moment)
            return
        moment.sizes_before = {name: held.size for name, held in a.book.positions.items()}
        a.best_before = dict(a.best)
        rolled = frame_days.roll(a, moment)
        fill, new_order = self._apply(a, moment)
        self.capital.follow(a, fill)
        judge.follow(a, self.market, fact)
        frame_locks.take(a, moment, rolled)
        frame_commands.take(a, moment)
        if fact.kind == "proposal_received" and _account_of(fact) == a.name:
            frame_gate.proposal(a, moment, self.capital)
        if fact.kind == "command_concluded" and _account_of(fact) == a.name:
            frame_commands.concluded(a, moment, self.started_at)
        findings = list(judge.everything(a, self.market, moment.at, a.is_lost))
        if fill is not None:
            findings += judge.of_fill(a, fill, new_order, moment.at)
        self.report.judgements += len(a.rules)
        breaches.compare(a, moment, findings, a.rules)
        frame_locks.lockouts(a, moment)
        frame_locks.protect(a, moment)
        frame_commands.protect(a, moment)
        self._touch(a)
        a.due = judge.due(a, self.market, moment.at)
        self._due = min((each.due for each in self.accounts.values()), default=0)

    def _quoted(self, a: Account, moment: Moment) -> None:
        """A price that nothing was decided on: only the rules on prices can have changed."""
        moved = judge.follow(a, self.market, moment.fact)
        findings: list[Finding] = judge.priced(a, self.market, moment.at)
        self.report.judgements += 1
        asked = {*judge.PRICED}
        if moved:
            asked.add("no_stop_loss_grace")
            rule = a.rules["no_stop_loss_grace"]
            findings += rules_stops.no_stop_loss_grace(a, rule, moment.at)
            a.due = min(a.due, *rules_stops.due(a, rule), NEVER)
            self._due = min(self._due, a.due)
        if findings or a.standing:
            breaches.compare(a, moment, findings, asked)

    def _apply(self, a: Account, moment: Moment) -> tuple[Trade | None, bool]:
        """Fold a fact of the account; answers a fill that is news, and whether its order is."""
        fact, body = moment.fact, moment.fact.body
        _pardon(a, fact)
        _await(a, fact)
        if fact.kind == "authorization_lost":
            a.is_lost = True
        if fact.kind == "venue_linked" and body["connected"]:
            a.is_lost = False
        if body.get("account") != a.name:
            return None, False
        if fact.kind == "account_reported":
            a.book.report(body, fact.at)
            a.is_lost = a.is_lost and body["can_trade"] is not True
            if a.day_base is None:
                a.day_base = a.book.balance
        elif fact.kind == "reconciled":
            a.is_compared = a.is_compared or body["ok"]
        elif fact.kind == "position_reported":
            a.book.row(body, fact.at)
        elif fact.kind == "order_reported":
            a.book.order(body)
            a.moved[body["instrument"]] = min(body["reported_at"], fact.at)
        elif fact.kind == "order_gone":
            a.book.order_gone(body["order_id"])
        elif fact.kind == "trade_reported":
            known = any(not t.voided for t in a.book.of_order.get(body["order_id"], ()))
            fill = a.book.trade(body, fact.at)
            a.touched()
            return fill, fill is not None and not fill.voided and not known
        return None, False

    def _touch(self, a: Account) -> None:
        """Keep who holds or works in which instrument."""
        touched = {*a.book.positions, *(order["instrument"] for order in a.book.live())}
        for name in touched:
            self._touching.setdefault(name, set()).add(a.name)
        for name, holders in self._touching.items():
            if name not in touched:
                holders.discard(a.name)


def _pardon(a: Account, fact: Event) -> None:
    """A person's release stands until the venue next speaks of what the rule is about.

    What still breaches then is demanded then: the text does not say when a released lock whose
    cause stands must be set again. At prices nothing is pardoned for longer than that.
    """
    if fact.kind == "request_received" and fact.body["verb"] == "release":
        a.pardoned = set(a.rules)
    elif fact.kind == "account_reported":
        a.pardoned -= {"auth_loss_guard", "trailing_drawdown"}
    elif fact.kind in ("position_reported", "trade_reported"):
        a.pardoned &= {"auth_loss_guard"}
    elif fact.kind == "order_reported":
        a.pardoned -= {"session_block_outside", "symbol_blocks", "no_stop_loss_grace"}


def _await(a: Account, fact: Event) -> None:
    """Rules that a start brings are asked after the venue was: the books may be old till then."""
    if fact.kind == "worker_started":
        a.is_current = False
    elif fact.kind == "rules_loaded" and not a.is_current:
        a.awaited = set(a.rules)
    elif fact.kind == "reconciled" and fact.body["ok"] and fact.body["account"] == a.name:
        a.is_current, a.awaited = True, set()


def _account_of(event: Event) -> str | None:
    if event.kind == "proposal_received":
        return str(event.body["order"]["account"])
    return event.body.get("account")
