"""The frame around locks: rows with a cause, each with its own end; nothing opens under them."""

from __future__ import annotations

from portcullis.audit.account import Account
from portcullis.audit.book import could_open
from portcullis.audit.finding import Number
from portcullis.audit.moment import Moment
from portcullis.audit.outbox import cancels, shrinks
from portcullis.audit.reading import Event
from portcullis.audit.rows import LockRow


def take(a: Account, moment: Moment, rolled: bool) -> None:
    """Fold the locks the ledger sets and ends here, and say which of them have no cause."""
    for event in moment.decisions:
        if event.kind == "lock_set":
            _set(a, moment, event)
        elif event.kind == "lock_ended":
            _ended(a, moment, event, rolled)
    _overdue(a, moment, rolled)
    _asked(a, moment)


def _asked(a: Account, moment: Moment) -> None:
    """A person's lock that was answered with done stands as a row."""
    body = moment.fact.body
    if moment.fact.kind != "request_received" or body["verb"] != "lock":
        return
    if body["account"] != a.name:
        return  # another account's; this one is looked at because something of it ended just then
    done = any(e.body["outcome"] == "done" for e in moment.answers)
    if done and not a.locks.of_rule("manual", None):
        moment.differ(a, "missing", "manual", None, "a row for the request", "none")


def _set(a: Account, moment: Moment, event: Event) -> None:
    lock = event.body["lock"]
    row = a.locks.set(event.body)
    moment.report.locks += 1
    breached = any(e.body["rule"] == lock["rule"] for e in moment.of("breach_found"))
    asked = moment.fact.kind == "request_received" and moment.fact.body["verb"] == "lock"
    if row is None:
        moment.differ(
            a,
            "unjustified",
            lock["rule"],
            lock["instrument"],
            "a new row",
            f"row {lock['id']} again",
            event,
        )
    elif not breached and not asked:
        moment.differ(
            a,
            "unjustified",
            lock["rule"],
            lock["instrument"],
            "a breach of the rule, or a person's request, at this moment",
            f"row {lock['id']} is set",
            event,
        )


def _ended(a: Account, moment: Moment, event: Event, rolled: bool) -> None:
    body = event.body
    row = a.locks.end(body["lock_id"])
    if row is None:
        fault = "no such row stands"
    elif row.rule != body["rule"]:
        fault = f"row {row.id} is of {row.rule}"
    else:
        fault = _wrong_end(row, body["how"], moment, rolled)
    if row is not None and body["how"] == "released":
        _forgive(a, moment, row)
    if fault:
        moment.differ(
            a, "unjustified", body["rule"], row.instrument if row else None,
            fault, f"row {body['lock_id']} ends, {body['how']}", event,
        )  # fmt: skip


def _wrong_end(row: LockRow, how: str, moment: Moment, rolled: bool) -> str:
    """Why a row may not end this way here; empty when it may."""
    fact = moment.fact
    if how == "expired":
        right = row.ends == "at" and row.until is not None and row.until <= moment.at
        return "" if right else f"it stands until {row.until} and ends by {row.ends}"
    if how == "session":
        return "" if row.ends == "next_session" and rolled else "no session of it ends here"
    if how == "released":
        asked = fact.kind == "request_received" and fact.body["verb"] == "release"
        wanted = fact.body["arguments"].get("lock") if asked else None
        right = asked and fact.body["role"] == "admin" and wanted in (None, row.id)
        return "" if right else "nobody with the credential released this row"
    if how == "config":
        right = row.ends == "config" and fact.kind == "rules_loaded"
        return "" if right else "the configuration did not change"
    allowed = fact.kind == "account_reported" and fact.body["can_trade"] is True
    return (
        "" if how == "venue" and row.ends == "venue" and allowed else "the venue did not allow it"
    )


def _forgive(a: Account, moment: Moment, row: LockRow) -> None:
    """After a release the same figure does not breach again, a worse one does.

    The figure is that of the release or that of the breach, whichever is worse.
    """
    figure: Number | None = None
    if row.rule == "daily_realized_loss":
        figure = -a.realized
    elif row.rule == "daily_realized_profit":
        figure = a.realized
    elif row.rule == "trailing_drawdown":
        figure = max((-each for each in a.equities(moment.market, moment.at)), default=None)
    elif row.rule == "daily_unrealized_loss":
        pnl = a.open_total(moment.market, moment.at)
        counted = a.realized if a.rules.get(row.rule, {}).get("include_realized") else 0
        figure = None if pnl is None else -pnl - counted
    known = [each for each in (figure, a.last_announced.get(row.rule)) if each is not None]
    if known:
        a.forgiven[row.rule] = max(known)


def _overdue(a: Account, moment: Moment, rolled: bool) -> None:
    """Rows whose end has come must be gone."""
    for row in list(a.locks.rows.values()):
        expired = row.ends == "at" and row.until is not None and row.until <= moment.at
        if expired or (row.ends == "next_session" and rolled and row.id in moment.rows_before):
            a.locks.end(row.id)
            moment.differ(
                a, "missing", row.rule, row.instrument,
                f"row {row.id} ends ({row.ends} {row.until})", "it still stands",
            )  # fmt: skip


def protect(a: Account, moment: Moment) -> None:
    """Under a lock nothing opens: orders that could are cancelled, what grows is closed."""
    if not a.locks.rows:
        return
    _orders(a, moment)
    names = {*a.book.positions, *moment.sizes_before}
    for name in sorted(names):
        size, before = a.book.size(name), moment.sizes_before.get(name, 0)
        grew = abs(size) > abs(before) or size * before < 0 or (size and name in a.owed)
        a.owed.discard(name)
        if grew and _locked_throughout(a, moment, name):
            sent = a.outbox.trying(moment.at)
            if any(shrinks(each, name) for each in sent) or a.book.can_trade is False:
                continue
            if a.outbox.is_paced(moment.at):
                a.owed.add(name)
            else:
                moment.differ(
                    a, "missing", "lockout", name,
                    f"{size:+d} while locked, {before:+d} before: a command to close it", "none",
                )  # fmt: skip


def _locked_throughout(a: Account, moment: Moment, name: str) -> bool:
    return any(
        row.instrument in (None, name) and row.id in moment.rows_before
        for row in a.locks.rows.values()
    )


def _orders(a: Account, moment: Moment) -> None:
    for order in a.book.live():
        name = order["instrument"]
        if order["status"] != "working" or not a.locks.over(name):
            continue
        if not could_open(order, a.book.size(name)) or order["order_id"] in a.withdrawn:
            continue
        if any(cancels(each, order) for each in a.outbox.answering(moment.at)):
            continue
        if a.outbox.is_paced(moment.at):
            continue
        a.withdrawn.add(order["order_id"])
        moment.differ(
            a, "missing", "lockout", name,
            f"order {order['order_id']} could open while locked: a command to cancel it", "none",
        )  # fmt: skip


def lockouts(a: Account, moment: Moment) -> None:
    """What is announced as done under a lock needs a lock and something to do.

    What was announced so may be answered again and again until it is gone, and later than at once
    where the bound of commands holds the answer back.
    """
    a.locked_out &= {*a.book.positions, *(order["instrument"] for order in a.book.live())}
    for event in moment.of("breach_found"):
        if event.body["rule"] != "lockout":
            continue
        name = event.body["instrument"]
        there = (
            a.book.size(name) or a.book.live(name) if name else a.book.positions or a.book.live()
        )
        moment.report.breaches += 1
        if a.locks.over(name) and there:
            moment.report.agreed += 1
            if name:
                a.locked_out.add(name)
        else:
            moment.differ(
                a, "unjustified", "lockout", name,
                "a lock, and a position or an order under it",
                event.body["reason"]["message"], event,
            )  # fmt: skip
