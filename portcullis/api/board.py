"""What the dashboard shows, gathered once a second for everybody who looks."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

from portcullis.alerts.alert_reader import AlertReader, is_begun
from portcullis.alerts.channel_rows import channel_rows
from portcullis.alerts.shown import as_shown
from portcullis.api.drawing import curve, strip
from portcullis.api.glance import glance
from portcullis.api.here import Here
from portcullis.api.monitors import families
from portcullis.api.problems import Problem
from portcullis.config.orchestrator import prefect_address
from portcullis.domain.events import (
    AccountReported,
    CommandConcluded,
    CommandIssued,
    DayRolled,
    Event,
    ProposalAnswered,
    RulesLoaded,
    TradeReported,
    VerdictRecorded,
    decode,
)
from portcullis.domain.model import MICRO
from portcullis.domain.money import duration
from portcullis.domain.plan import Plan, decode_plan
from portcullis.domain.rule_changes import settings_of
from portcullis.errors import PortcullisError
from portcullis.ports import StoredEvent
from portcullis.slo.current import standings
from portcullis.store.reading import EventFilter, LedgerReader

LASTS = 1.0
BEATS = 60
DRILLS = ("restore", "backup", "shipped", "event_log", "ledger_rows", "snapshot")
DRILLS_SHOWN = 12
ENFORCED = 15
LOOKED_AT = 60_000
ALERTS_READ, ALERTS_SHOWN = 1_000, 40
"""Of open alerts: looked at for the head of the page, and listed, the worst first."""
TIMELINE = 60
POINTS = 400
TIMELINE_KINDS = (
    "breach_found", "lock_set", "lock_ended", "command_issued", "command_concluded",
    "proposal_answered", "alert_raised", "trade_reported", "day_rolled",
)  # fmt: skip


class Board:
    """The newest of everything, kept for `LASTS` seconds."""

    def __init__(self, here: Here, draw: Callable[[dict[str, Any]], str]) -> None:
        self._here, self._draw = here, draw
        self._lock = asyncio.Lock()
        self._until = 0.0
        self._page = ("", "")

    async def page(self) -> tuple[str, str]:
        """The drawn board and its stamp."""
        here = self._here
        if here.monotonic() >= self._until:
            async with self._lock:
                if here.monotonic() >= self._until:
                    seen = await here.seen.status()
                    html = await asyncio.to_thread(lambda: self._draw(gather(here, seen)))
                    self._page = (html, hashlib.sha256(html.encode()).hexdigest()[:24])
                    self._until = here.monotonic() + LASTS
        return self._page


def gather(here: Here, seen: dict[str, Any]) -> dict[str, Any]:
    """Everything of the first page. What cannot be read is left out, and named in `missing`."""
    missing: list[str] = []
    body: dict[str, Any] = {
        "seen": seen,
        "accounts": sorted(seen.get("accounts", ()), key=_risk, reverse=True),
        "evidence": sorted(seen.get("evidence", ()), key=_worst_evidence),
        "prefect": prefect_address(here.settings) if here.settings.operations else "",
        "missing": missing,
        **{name: [] for name in ("alerts", "channels", "enforced", "drills", "slos")},
        "more_alerts": 0,
        "has_sender": True,
        "shut": None,
        "beats": "",
        "beat_at": 0,
    }
    looks: tuple[tuple[str, Callable[[], dict[str, Any]]], ...] = (
        ("the ledger", lambda: _of_ledger(here)),
        ("alerts", lambda: _of_alerts(here)),
        ("objectives", lambda: {"slos": standings(families(here))}),
    )
    for name, look in looks:
        try:
            body |= look()
        except (PortcullisError, Problem) as error:
            missing.append(f"{name}: {error}")
            if name == "alerts":
                body["alerts"] = None  # none would be good news
    body["glance"] = glance(seen, body["shut"], body["alerts"])
    body["more_alerts"] = max(0, len(body["alerts"] or ()) - ALERTS_SHOWN)
    body["alerts"] = body["alerts"] and body["alerts"][:ALERTS_SHOWN]
    return body


def _risk(account: dict[str, Any]) -> tuple[int, int]:
    used = max((row["used"] for row in account["distances"]), default=0)
    return (len(account["locks"]) > 0, used)


def _worst_evidence(row: dict[str, Any]) -> tuple[bool, bool, int]:
    return (row["state"] == "passing", not row["required"], row.get("expires_at", 0))


# --- from the ledger ------------------------------------------------------------------------------


def _newest(reader: LedgerReader, where: EventFilter, most: int) -> list[tuple[StoredEvent, Event]]:
    after = max(0, reader.head().position - LOOKED_AT)
    found = []
    for row in reader.events(where, after=after, newest_first=True):
        found.append((row, decode(row.payload)))
        if len(found) == most:
            break
    return found


def _of_ledger(here: Here) -> dict[str, Any]:
    with here.readers.one() as reader:
        shut = here.shutting.look(reader)
        verdicts = [
            event.verdict
            for _, event in _newest(
                reader, EventFilter("system", ("verdict_recorded",)), 20 * BEATS
            )
            if isinstance(event, VerdictRecorded)
        ]
        concluded = _newest(reader, EventFilter(kinds=("command_concluded",)), ENFORCED)
    beats = [each for each in verdicts if each.name == "operations"][:BEATS][::-1]
    drills = []
    for name in DRILLS:
        found = [each for each in verdicts if each.name == name][:DRILLS_SHOWN][::-1]
        if found:
            shown = [("good" if v.passed else "bad", v.summary) for v in found]
            drills.append({"name": name, "strip": strip(shown, f"{name}, newest last"),
                           "last": found[-1]})  # fmt: skip
    shown = [("good" if v.passed else "bad", v.summary) for v in beats]
    return {
        "shut": shut,
        "beats": strip(shown, "heartbeats, newest last"),
        "beat_at": beats[-1].checked_at if beats else 0,
        "drills": drills,
        "enforced": [
            _enforced(row, event) for row, event in concluded if isinstance(event, CommandConcluded)
        ],
    }


def _enforced(row: StoredEvent, event: CommandConcluded) -> dict[str, Any]:
    took = max(0, event.confirmed_at - event.detected_at) if event.confirmed_at else 0
    return {
        "at": row.at,
        "account": event.account,
        "key": event.key,
        "outcome": event.outcome,
        "took": duration(took) if took else "",
        "attempts": event.attempts,
        "detail": event.detail,
        "position": row.position,
        "trace": row.trace,
    }


# --- from the sender ------------------------------------------------------------------------------


def _of_alerts(here: Here) -> dict[str, Any]:
    home = here.settings.home_path
    if not is_begun(home):
        return {"has_sender": False}
    with AlertReader(home) as store:
        alerts, figures = store.alerts(limit=ALERTS_READ), store.figures()
        kept = store.kept()
    rank = {"critical": 0, "warning": 1, "info": 2}
    alerts.sort(key=lambda a: (a.state == "acknowledged", rank[a.severity], -a.first_at))
    return {
        "alerts": [{**as_shown(a), "first_at": a.first_at} for a in alerts],
        "channels": channel_rows(kept, figures, here.now()),
    }


# --- one account ----------------------------------------------------------------------------------


def gather_account(here: Here, seen: dict[str, Any], name: str) -> dict[str, Any] | None:
    """Everything of an account's page; None where there is no such account."""
    row = next((each for each in seen["accounts"] if each["account"] == name), None)
    if row is None:
        return None
    stream = f"account/{name}"
    with here.readers.one() as reader:
        shut = here.shutting.look(reader)
        timeline = _newest(reader, EventFilter(stream, TIMELINE_KINDS), TIMELINE)
        idle = _idle(reader, name, {each["rule"] for each in row["distances"]})
        money = _newest(reader, EventFilter(stream, ("account_reported", "day_rolled")), POINTS)
    points = [
        (row_.at, event.balance)
        for row_, event in reversed(money)
        if isinstance(event, AccountReported | DayRolled)
    ]
    return {
        "seen": seen,
        "shut": None if seen["gate_open"] else shut,
        "account": row,
        "idle": idle,
        "curve": curve(points, f"balance of {name}"),
        "curve_from": points[0] if points else None,
        "curve_to": points[-1] if points else None,
        "timeline": [
            {"at": stored.at, "kind": stored.kind, "position": stored.position,
             "says": line_of(event)}
            for stored, event in timeline
        ],
    }  # fmt: skip


def _idle(reader: LedgerReader, name: str, measured: set[str]) -> dict[str, str]:
    for row in reader.events(EventFilter("system", ("rules_loaded",)), newest_first=True):
        event = decode(row.payload)
        assert isinstance(event, RulesLoaded)
        return idle_rules(decode_plan(event.plan), name, measured)
    return {}


def idle_rules(plan: Plan, name: str, measured: set[str]) -> dict[str, str]:
    """The rules in force on an account that measure nothing now, with their settings in words."""
    return {
        rule: ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in settings.items())
        for each in plan.accounts
        if each.account == name
        for rule, settings in settings_of(each).items()
        if rule not in measured
    }


def line_of(event: Event) -> str:
    """One line of a timeline: what the event says of itself."""
    if isinstance(event, TradeReported):
        side = "bought" if event.side > 0 else "sold"
        return f"{side} {event.size} {event.instrument}"
    if isinstance(event, ProposalAnswered) and event.approved:
        return f"approved ({event.lane}); largest order now: {event.largest_allowed}"
    if isinstance(event, CommandIssued):
        return f"{type(event.command).__name__} for {', '.join(event.rules)}"
    reason = getattr(event, "reason", None)
    message = getattr(reason, "message", None) or getattr(event, "message", None)
    if message:
        return f"{getattr(event, 'rule', '') or getattr(event, 'alert', '')}: {message}"
    reasons = getattr(event, "reasons", ())
    if reasons:
        return "; ".join(each.message for each in reasons)
    lock = getattr(event, "lock", None)
    if lock is not None:
        return f"{lock.rule}: {lock.cause}"
    return str(
        getattr(event, "detail", "") or getattr(event, "how", "") or getattr(event, "outcome", "")
    )


def money_of(micros: int) -> str:
    """A balance for an axis."""
    return f"{micros / MICRO:,.2f}"
