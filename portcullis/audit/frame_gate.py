"""The frame around the gate: what may be approved, and what must be."""

from __future__ import annotations

from typing import Any

from portcullis.audit.account import Account
from portcullis.audit.capital import SPENT, Capital
from portcullis.audit.moment import Moment
from portcullis.audit.reading import Event
from portcullis.audit.rules_hours import hours_of
from portcullis.audit.rules_size import allowed_size, blocked, total

PRICED = frozenset(("daily_unrealized_loss", "max_unrealized_profit", "trailing_drawdown"))


def proposal(a: Account, moment: Moment, capital: Capital) -> None:
    """A proposal has one answer, and the text allows it."""
    answers = moment.of("proposal_answered")
    order = moment.fact.body["order"]
    if len(answers) != 1:
        moment.differ(
            a, "missing", "gate", order["instrument"], "one answer", f"{len(answers)} answers"
        )
        return
    event = answers[0]
    moment.report.answers += 1
    if event.body["mode"] != moment.mode:
        moment.differ(
            a, "differs", "gate", order["instrument"],
            f"mode {moment.mode}", f"mode {event.body['mode']}", event,
        )  # fmt: skip
    faults = _faults(a, moment, order, event) if event.body["approved"] else []
    if event.body["approved"] and not is_exit(a, order):
        faults += capital.faults(a, moment.market, moment.fact)
    for reason in event.body["reasons"]:
        if fault := capital.denied(a, moment.market, moment.at, reason):
            found = f"{reason['code']}, {reason['measured']}"
            moment.differ(a, "differs", SPENT, order["instrument"], fault, found, event)
    for fault in faults:
        moment.differ(a, "unjustified", "gate", order["instrument"], fault, "approved", event)
    if not event.body["approved"] and _must_pass(a, moment, order):
        moment.differ(a, "missing", "gate", order["instrument"], "an exit passes", "denied", event)


def is_exit(a: Account, order: dict[str, Any]) -> bool:
    """Whether an order makes the position smaller without changing its sign."""
    held = a.book.size(order["instrument"])
    return bool(held * order["side"] < 0 and order["size"] <= abs(held))


def _must_pass(a: Account, moment: Moment, order: dict[str, Any]) -> bool:
    """An exit beyond doubt: nothing else rests on its side and no bracket hangs on it."""
    name = order["instrument"]
    plain = order.get("stop_loss") is None and order.get("take_profit") is None
    alone = not any(each["side"] == order["side"] for each in a.book.live(name))
    fresh = moment.at - a.approved_at.get((name, order["side"]), 0) > 10_000_000
    known = name in moment.market.instruments and order["type"] == "market"
    return a.is_planned and is_exit(a, order) and plain and alone and fresh and known


def _faults(a: Account, moment: Moment, order: dict[str, Any], event: Event) -> list[str]:
    """Why an approval is wrong; what is not named by the text is not judged."""
    name = order["instrument"]
    a.approved_at[(name, order["side"])] = moment.at
    if is_exit(a, order):
        return []
    found = []
    if event.body["lane"] == "exit":
        found.append(f"no exit: {a.book.size(name):+d} is held")
    if not a.is_planned:
        found.append("the account is not known")
    if moment.mode != "ACTIVE":
        found.append(f"the mode is {moment.mode}")
    if a.locks.over(name):
        found.append(f"locked by {', '.join(sorted({r.rule for r in a.locks.rows.values()}))}")
    if name not in moment.market.instruments:
        found.append("the instrument is not known")
    if "auth_loss_guard" in a.rules and a.book.can_trade is not True:
        found.append("the venue did not say that the account may trade")
    return found + _limits(a, moment, order) + _evidence(a, moment)


def _limits(a: Account, moment: Moment, order: dict[str, Any]) -> list[str]:
    """Limits the order by itself would break when it fills."""
    name, found = order["instrument"], []
    ticker = moment.market.ticker(name)
    after = {n: held.size for n, held in a.book.positions.items()}
    after[name] = after.get(name, 0) + order["side"] * order["size"]
    rule = a.rules.get("max_contracts")
    if rule is not None and total(after, moment.market, rule) > rule["limit"]:
        found.append(f"more than {rule['limit']} contracts in all")
    rule = a.rules.get("max_contracts_per_instrument")
    if rule is not None and abs(after[name]) > allowed_size(rule, ticker):
        found.append(f"more than {allowed_size(rule, ticker)} {ticker}")
    rule = a.rules.get("symbol_blocks")
    if rule is not None and blocked(a, rule, ticker, moment.at):
        found.append(f"{ticker} is blocked")
    hours = hours_of(a, ticker)
    if hours is not None and not hours.is_open(moment.at) and not hours.doubtful(moment.at):
        found.append(f"the session of {ticker} is closed")
    return found


def _evidence(a: Account, moment: Moment) -> list[str]:
    """A rule that cannot judge counts against the account's evidence."""
    if not PRICED & set(a.rules):
        return []
    found = []
    for name in a.book.positions:
        age = moment.market.age(name, moment.at)
        if age is None or age > a.max_age:
            found.append(
                f"no price of {name} younger than {a.max_age // 1_000_000} s: cannot judge"
            )
    return found
