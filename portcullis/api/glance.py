"""What a person must know at a glance: whether orders may pass, whether limits are enforced, who
shut the gate and why, and what to do next. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from portcullis.api.shut import Shut

Tone = Literal["good", "warn", "bad"]
TONES: tuple[Tone, ...] = ("good", "warn", "bad")
RELEASE = "portcullis mode release --reason …"
MUCH, NEARLY_FULL, FULL = 70, 90, 100
"""Percent of a limit; the bars of the page turn at the first two."""

LOOK_AT_VENUE = "Watch the accounts on the venue's own platform."
NOT_PROTECTED = "NOT PROTECTED"


class Step(NamedTuple):
    """What to do next, and the command for it."""

    says: str
    command: str = ""


class Tile(NamedTuple):
    """One of the few figures that matter, and where on the page the rest of it is."""

    name: str
    value: str
    note: str
    tone: Tone
    link: str


class Protection(NamedTuple):
    """Whether limits are enforced: in a word, with whom it concerns, and in a sentence."""

    value: str
    note: str
    tone: Tone
    says: str


class Glance(NamedTuple):
    """The head of the page."""

    tone: Tone
    title: str
    means: str
    shut: Shut | None
    step: Step | None
    tiles: tuple[Tile, ...]


def glance(
    seen: Mapping[str, Any], shut: Shut | None, alerts: Sequence[Mapping[str, Any]] | None
) -> Glance:
    """The head of the page from what the worker says, what shut the gate and the open alerts;
    `alerts`: every one that is open, or None where they cannot be read.
    """
    is_open = bool(seen["gate_open"])
    failing = [each for each in alerts or () if each["kind"] == "enforcement_failed"]
    protection = _protection(seen, failing)
    if alerts is None and protection.tone == "good":
        protection = _untold(seen)
    title, tone = _title(seen)
    return Glance(
        max(tone, protection.tone, key=TONES.index),
        NOT_PROTECTED if protection.tone == "bad" else title,
        protection.says,
        None if is_open else shut,
        _next(seen, failing),
        (
            Tile("Protection", *protection[:3], "#alerts" if failing else "#banner"),
            _accounts(seen),
            _nearest(seen),
            _alerts(alerts),
            _evidence(seen),
        ),
    )


def _title(seen: Mapping[str, Any]) -> tuple[str, Tone]:
    if seen["gate_open"]:
        return "Gate OPEN", "good"
    return "Gate SHUT", "bad" if seen["mode"] == "SHUTDOWN" else "warn"


def _protection(seen: Mapping[str, Any], failing: Sequence[Mapping[str, Any]]) -> Protection:
    """The worst that is true of it: a shut gate is safe, where nothing is enforced is not."""
    orders = "Orders within the limits pass" if seen["gate_open"] else "Only exits pass"
    if not seen["live"]:
        says = "The worker is away: no limit is enforced, and no order passes."
        return Protection("NOT armed", "no worker answers", "bad", says)
    if failing:
        names = _listed(each["account"] or "an account" for each in failing)
        says = f"What had to be done on {names} was not confirmed by the venue."
        return Protection("FAILED", names, "bad", says)
    if away := _away(seen):
        says = f"{orders}. {away} is not connected: nothing can be enforced there."
        return Protection("cut off", f"{away} is away", "bad", says)
    if not seen["venues"]:
        says = f"{orders}. No venue is connected yet: nothing can be enforced."
        return Protection("waits", "no venue is connected yet", "warn", says)
    if seen.get("worker", {}).get("role") == "observe":
        says = f"{orders}. This worker only observes: what limits ask for is told, and not done."
        return Protection("watches only", "this worker sends nothing", "warn", says)
    if blind := _listed(row["account"] for row in seen["accounts"] if row["cannot_judge"]):
        says = f"{orders}. Limits are enforced, but not every one of {blind}."
        return Protection("in part", f"cannot judge {blind}", "warn", says)
    if enforcing := _listed(row["account"] for row in seen["accounts"] if row["enforcing"]):
        says = f"{orders}. What limits ask for is being done now on {enforcing}."
        return Protection("acts now", enforcing, "warn", says)
    says = f"{orders}, and every limit is enforced."
    return Protection("armed", f"{', '.join(seen['venues'])} connected", "good", says)


def _untold(seen: Mapping[str, Any]) -> Protection:
    """Nothing is known to be wrong, but what would tell of an enforcement that failed is away."""
    orders = "Orders within the limits pass" if seen["gate_open"] else "Only exits pass"
    says = f"{orders}. Alerts cannot be read: whether every enforcement succeeded is not known."
    return Protection("not known", "alerts cannot be read", "warn", says)


def _away(seen: Mapping[str, Any]) -> str:
    return ", ".join(name for name, up in seen["venues"].items() if not up)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _next(seen: Mapping[str, Any], failing: Sequence[Mapping[str, Any]]) -> Step | None:
    lacking = seen["lacking"]
    if not seen["live"]:
        return Step(f"{LOOK_AT_VENUE} Start the worker:", "portcullis up")
    if failing:
        account = failing[0]["account"] or ""
        says = "Flatten it by hand on the venue's own platform now, then look at"
        return Step(says, f"portcullis account show {account}".strip())
    if _away(seen):
        return Step(f"{LOOK_AT_VENUE} The worker goes on trying; see why:", "portcullis doctor")
    if seen["gate_open"]:
        return None
    if seen["mode"] == "STARTING":
        return Step("Wait: checks of the start are still to come, then it is as it was before.")
    if lacking:
        name = lacking[0].partition(":")[0]
        return Step(
            f"Mend what lacks, beginning with {name}; then a person releases the gate.",
            f"portcullis evidence show {name}",
        )
    return Step("Nothing is lacking. When it is to be open again, a person opens it:", RELEASE)


# --- tiles ----------------------------------------------------------------------------------------


def _accounts(seen: Mapping[str, Any]) -> Tile:
    rows = seen["accounts"]
    locked = sum(row["locked"] for row in rows)
    partly = sum(row["partly_locked"] and not row["locked"] for row in rows)
    if not rows:
        return Tile("Accounts", "none", "none is known yet", "warn", "#accounts")
    free = len(rows) - locked - partly
    parts = [f"{partly} partly locked"] if partly else []
    parts += [f"{free} free"] if free else []
    if locked:
        return Tile("Accounts", f"{locked} locked", ", ".join(parts), "bad", "#accounts")
    held = sum(bool(row["positions"]) for row in rows)
    in_market = f"{held} in the market" if held else "all flat"
    if partly:
        return Tile("Accounts", f"{partly} partly locked", in_market, "warn", "#accounts")
    return Tile("Accounts", f"{free} free", in_market, "good", "#accounts")


def _nearest(seen: Mapping[str, Any]) -> Tile:
    """The limit that is used most, of accounts that no lock of that rule holds already."""
    found = [
        (row["used"], each["account"], row)
        for each in seen["accounts"]
        if not each["locked"]
        for row in each["distances"]
    ]
    if not found:
        return Tile("Nearest limit", "none", "no free account has one", "good", "#accounts")
    used, account, row = max(found, key=lambda each: each[0])
    tone: Tone = "bad" if used >= NEARLY_FULL else ("warn" if used >= MUCH else "good")
    note = f"{row['rule'].replace('_', ' ')}, {account}"
    value = "reached" if used >= FULL else f"{used} % used"
    return Tile("Nearest limit", value, note, tone, "#accounts")


def _alerts(alerts: Sequence[Mapping[str, Any]] | None) -> Tile:
    if alerts is None:
        return Tile("Alerts", "not known", "they cannot be read", "bad", "#alerts")
    new = [each for each in alerts if not each["acknowledged"]]
    critical = sum(each["severity"] == "CRITICAL" for each in new)
    seen = len(alerts) - len(new)
    note = f"{seen} acknowledged" if seen else ""
    if critical:
        others = len(new) - critical
        more = ", ".join(part for part in (f"{others} more" if others else "", note) if part)
        return Tile("Alerts", f"{critical} critical", more or "open", "bad", "#alerts")
    if new:
        return Tile("Alerts", f"{len(new)} open", note or "none critical", "warn", "#alerts")
    return Tile(
        "Alerts", "none new" if seen else "none", note or "nothing is open", "good", "#alerts"
    )


def _evidence(seen: Mapping[str, Any]) -> Tile:
    required = [row for row in seen["evidence"] if row["required"]]
    lacking = len(seen["lacking"])
    if lacking:
        first = seen["lacking"][0].partition(":")[0]
        more = f" and {lacking - 1} more" if lacking > 1 else ""
        return Tile("Evidence", f"{lacking} lacking", f"{first}{more}", "bad", "#evidence")
    if not required:
        return Tile("Evidence", "none", "none is known yet", "warn", "#evidence")
    if not seen["live"]:
        return Tile("Evidence", "old", "as it was when the worker ended", "bad", "#evidence")
    return Tile("Evidence", f"all {len(required)} hold", "fresh", "good", "#evidence")
