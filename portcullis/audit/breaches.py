"""Breaches: what the rules' text says at a moment against what the ledger announced."""

from __future__ import annotations

from collections.abc import Iterable

from portcullis.audit.account import Account
from portcullis.audit.finding import Finding
from portcullis.audit.moment import Moment
from portcullis.audit.outbox import FAILED, Issued, closes, shrinks
from portcullis.audit.reading import Event

PRICED = ("daily_unrealized_loss", "max_unrealized_profit", "trailing_drawdown")


def compare(a: Account, moment: Moment, findings: Iterable[Finding], judged: Iterable[str]) -> None:
    """Every finding must be announced or stand protected; every announcement must be a finding."""
    found = {finding.key: finding for finding in findings}
    announced = {(e.body["rule"], e.body["instrument"]): e for e in moment.of("breach_found")}
    for finding in found.values():
        event = announced.get(finding.key) or _by_account(finding, announced)
        if event is not None:
            moment.report.breaches += 1
            _confirm(a, moment, finding, event)
        elif finding.must and not _is_excused(a, finding) and not _stands(a, moment, finding):
            _complain(a, moment, finding)
    for key, event in announced.items():
        if key[0] != "lockout" and not _is_found(key, found):
            _unjustified(a, moment, event)
    unknown = {key for key in a.standing if _is_unknown(a, moment, key)}
    _remember(a, found, announced, set(judged), unknown)


def _is_excused(a: Account, finding: Finding) -> bool:
    """A released lock, or rules that were read before the venue was compared: for a while each."""
    return finding.rule in a.pardoned or finding.rule in a.awaited


def _by_account(finding: Finding, announced: dict[tuple[str, str | None], Event]) -> Event | None:
    """The session of an account may be announced for the account as a whole."""
    if finding.rule == "session_block_outside":
        return announced.get((finding.rule, None))
    return None


def _is_found(key: tuple[str, str | None], found: dict[tuple[str, str | None], Finding]) -> bool:
    return key in found or (
        key == ("session_block_outside", None) and any(rule == key[0] for rule, _ in found)
    )


def _confirm(a: Account, moment: Moment, finding: Finding, event: Event) -> None:
    """An announced breach: its figure, its lock and its command."""
    reason, differences = event.body["reason"], len(moment.report.differences)
    if finding.instrument is None and finding.measured:
        worst = (
            -min(finding.measured) if finding.rule == "trailing_drawdown" else finding.measured[0]
        )
        a.last_announced[finding.rule] = worst
    if not finding.agrees(reason):
        moment.differ(a, "differs", *finding.key, finding.told, reason["message"], event)
    wanted = finding.lock
    if wanted is not None and not a.locks.satisfies(finding.rule, wanted):
        rows = ", ".join(
            f"{r.ends} {r.until}" for r in a.locks.of_rule(finding.rule, wanted.instrument)
        )
        moment.differ(
            a, "missing", *finding.key, wanted.told(), f"rows of the rule: {rows or 'none'}", event
        )
    if not (protected(a, finding, a.outbox.waiting.values()) or _will_be_tried(a, moment, finding)):
        moment.differ(
            a,
            "missing",
            *finding.key,
            f"{finding.told}: a command to {finding.act}",
            "no command does that",
            event,
        )
    moment.report.agreed += len(moment.report.differences) == differences


def protected(a: Account, finding: Finding, commands: Iterable[Issued]) -> bool:
    """Whether what the breach asks for at the venue is on its way, or needless."""
    if finding.act == "none" or _nothing_there(a, finding.instrument):
        return True
    if finding.act == "flatten":
        return any(each.kind == "flatten" for each in commands) or _all_closed(a, commands)
    if finding.act == "close":
        return any(closes(each, finding.instrument) for each in commands)
    return any(shrinks(each, finding.instrument) for each in commands)


def _will_be_tried(a: Account, moment: Moment, finding: Finding) -> bool:
    """Whether a failed command holds the answer back: the next try, after 30 s, answers both.

    While the venue forbids the account to trade nothing is tried again. The bound of commands a
    minute, which the configuration sets, lets one out every 3 s.
    """
    if a.book.can_trade is False and a.outbox.failed:
        return True
    if a.outbox.is_paced(moment.at) or a.outbox.given_up():
        return True
    sent = a.outbox.trying(moment.at)
    return any(each.outcome in FAILED and shrinks(each, finding.instrument) for each in sent)


def _nothing_there(a: Account, name: str | None) -> bool:
    held = a.book.positions if name is None else a.book.size(name)
    return not held and not a.book.live(name)


def _all_closed(a: Account, commands: Iterable[Issued]) -> bool:
    each = list(commands)
    names = {*a.book.positions, *(order["instrument"] for order in a.book.live())}
    return all(any(closes(c, name) for c in each) for name in names)


def _stands(a: Account, moment: Moment, finding: Finding) -> bool:
    """Whether a breach that is not announced here was announced and is being answered.

    Its own lock in force answers it; so does its command on its way or just done. A rule without
    either (it only locks) is answered by its lock alone.
    """
    if finding.lock is not None and a.locks.satisfies(finding.rule, finding.lock):
        return True
    if finding.rule == "session_block_outside" and a.locks.of_rule(
        finding.rule, finding.instrument
    ):
        return True  # set by the hours of then; when it ends, those of now are asked
    known = a.standing.get(finding.key) or a.standing.get((finding.rule, None))
    if not known or finding.act == "none":
        return False
    if a.book.can_trade is False or a.outbox.given_up():
        return True
    if a.outbox.is_paced(moment.at):
        return True
    answering = a.outbox.answering(moment.at)
    return protected(a, finding, answering) or _will_be_tried(a, moment, finding)


def _is_unknown(a: Account, moment: Moment, key: tuple[str, str | None]) -> bool:
    """Whether prices that are missing or too old leave open if a breach still stands."""
    rule, name = key
    if rule not in PRICED:
        return False
    if name is None:
        return bool(a.book.positions) and a.open_total(moment.market, moment.at) is None
    held = a.book.positions.get(name)
    if held is None:
        return False
    return moment.market.open_pnl(name, held, moment.at, a.max_age) is None


def _complain(a: Account, moment: Moment, finding: Finding) -> None:
    if finding.key not in a.complained:
        a.complained.add(finding.key)
        how = "stands, and nothing answers it" if finding.key in a.standing else "not announced"
        moment.differ(a, "missing", *finding.key, finding.told, how)


def _unjustified(a: Account, moment: Moment, event: Event) -> None:
    body = event.body
    moment.differ(
        a,
        "unjustified",
        body["rule"],
        body["instrument"],
        "no breach of this rule here",
        body["reason"]["message"],
        event,
    )


def _remember(
    a: Account,
    found: dict[tuple[str, str | None], Finding],
    announced: dict[tuple[str, str | None], Event],
    judged: set[str],
    unknown: set[tuple[str, str | None]],
) -> None:
    ended = [key for key in a.standing if key[0] in judged and not _is_found(key, found)]
    for key in ended:
        if key not in unknown:
            del a.standing[key]
    a.complained -= {key for key in a.complained if key[0] in judged and key not in found}
    for key in announced:
        a.standing[key] = True
