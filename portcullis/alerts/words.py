"""An alert as a person reads it: what, how sure, what it means for the account, what to do.

Pure. The accounts' ids leave the machine masked. Where a message is too long, what others wrote is
cut first; what does not fit then is cut from the end, and the message says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from portcullis.alerts.alert import Alert, Checkpoint
from portcullis.alerts.book import Telling
from portcullis.alerts.kinds import BY_NAME
from portcullis.domain.model import MICRO

CUT = "\n... cut; the rest: portcullis alert list"
SHORT_ACCOUNT = 6
LISTED_MAX = 30
TEXTS = 6
"""So many parts of a message are free text: each has this part of the room where it is short."""


class Text(NamedTuple):
    """A title of one line, and a body."""

    title: str
    body: str


def text_of(telling: Telling, limit: int, head: str, accounts: Iterable[str] = ()) -> Text:
    """The message of a telling, its body within `limit` characters; `head` names the ledger's."""
    title = _title(telling)
    names = [*accounts, *(alert.account for alert in telling.alerts if alert.account)]
    alone = len(telling.alerts) == 1
    body = _whole(telling.alerts[0], names) if alone else _listed(telling.alerts)
    if alone and len(body) + len(head) >= limit:  # what it is answered by matters more
        body = _whole(telling.alerts[0], names, limit // TEXTS)
    body = f"{body}\n{head}" if head else body
    title, body = masked_in(title, names), masked_in(body, names)
    return Text(title, body if len(body) <= limit else body[: max(0, limit - len(CUT))] + CUT)


def head_of(checkpoint: Checkpoint | None) -> str:
    """The ledger's head as a message names it; empty where none is known."""
    return f"Ledger: {checkpoint.position} {checkpoint.root[:16]}" if checkpoint else ""


def masked(account: str) -> str:
    """An account's id with its middle left out: `50KTC-V2-1234567` is `50...4567`."""
    if len(account) <= SHORT_ACCOUNT:
        return account
    return f"{account[:2]}...{account[-4:]}"


def masked_in(text: str, accounts: Iterable[str]) -> str:
    """A text with every account's id in it masked, longer ids first."""
    for account in sorted(set(accounts), key=len, reverse=True):
        text = text.replace(account, masked(account))
    return text


def _title(telling: Telling) -> str:
    first, more = telling.alerts[0], len(telling.alerts) - 1
    marks = {
        "over": "OVER",
        "digest": f"DIGEST of {more + 1}",
        "reminder": f"STILL {first.severity.upper()}",
        "new": first.severity.upper(),
    }
    mark = marks[telling.why]
    if telling.why == "new" and not first.is_open and BY_NAME[first.kind].ends != "itself":
        mark = f"{first.severity.upper()}, over"
    account = f" {first.account}" if first.account else ""
    others = f" and {more} more" if more and telling.why != "digest" else ""
    return f"[{mark}] {first.title}{account}{others}"


def _whole(alert: Alert, names: Sequence[str], most: int | None = None) -> str:
    """Every row; of what others wrote `most` characters each."""
    rows = [
        ("", alert.message),
        ("Account", alert.account or ""),
        ("Why", alert.cause),
        ("How", alert.formula),
        ("Measured", alert.measured),
        ("Limit", alert.limit),
        ("Flat", alert.flat),
        ("Ends", alert.until if alert.is_open else ""),
        ("Do", alert.action if alert.is_open or BY_NAME[alert.kind].ends == "itself" else ""),
        ("Acknowledged", f"by {alert.acknowledged_by}" if alert.acknowledged_by else ""),
        ("Since", _since(alert)),
        ("Alert", alert.id),
        ("Event", f"{alert.position} {alert.trace}".strip() if alert.position else ""),
        ("Run", alert.link),
        ("Read", BY_NAME[alert.kind].runbook),
    ]
    # What follows in a text of its own lines must not look like a line of ours.
    # Masked before it is cut: part of an account's id would be none to the mask.
    texts = ((name, _short(masked_in(value, names), most)) for name, value in rows if value)
    shown = ((name, value.replace("\n", "\n  ")) for name, value in texts)
    return "\n".join(f"{name}: {value}" if name else value for name, value in shown)


def _short(text: str, most: int | None) -> str:
    return text if most is None or len(text) <= most else f"{text[: most - 1]}…"


def _since(alert: Alert) -> str:
    times = f", {alert.count} times" if alert.count > 1 else ""
    return f"{clock(alert.first_at)}{times}"


def _listed(alerts: Sequence[Alert]) -> str:
    lines = [_line(alert) for alert in alerts[:LISTED_MAX]]
    more = len(alerts) - LISTED_MAX
    if more > 0:
        lines.append(f"and {more} more: portcullis alert list")
    return "\n".join(lines)


def _line(alert: Alert) -> str:
    over = "" if alert.is_open or BY_NAME[alert.kind].ends == "itself" else ", over"
    account = f" {alert.account}" if alert.account else ""
    flat = f"; flat: {alert.flat}" if alert.flat else ""
    until = f"; {alert.until}" if alert.until and alert.is_open else ""
    return (
        f"- {clock(alert.first_at)} {alert.severity.upper()}{over}{account} "
        f"{alert.title}: {' '.join(alert.message.split())}{flat}{until} ({alert.id})"
    )


def clock(at: int) -> str:
    """`2026-11-30 12:00:05 UTC`; what is no time of any calendar is shown as a number."""
    try:
        moment = datetime.fromtimestamp(at // MICRO, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return f"{at} us"
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
