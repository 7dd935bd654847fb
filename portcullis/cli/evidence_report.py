"""The newest report of one verdict, as the scheduled side left it in the home."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import Group, RenderableType
from rich.text import Text

from portcullis.cli.output import table
from portcullis.clock import SystemClock
from portcullis.config.settings import Settings
from portcullis.domain.model import MICRO
from portcullis.errors import NotFound, StoreError

STYLES = {"PASS": "bold green", "WARN": "bold yellow"}


def read(settings: Settings, name: str) -> dict[str, Any]:
    """The report with `stale`: whether its time is over.

    Raises NotFound naming those there are, StoreError where the file is no report.
    """
    folder = settings.reports_path
    known = sorted(path.stem for path in folder.glob("*.json"))
    if name not in known:
        there = f"there are: {', '.join(known)}" if known else "the flows leave them: see `up`"
        remedy = f"{there}; what the worker and the shipper find is in `portcullis evidence list`"
        raise NotFound(f"no report of {name!r} is kept in {folder}", remedy=remedy)
    path = folder / f"{name}.json"
    try:
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        return {**found, "stale": SystemClock().now() >= found["expires_at"]}
    except (OSError, KeyError, msgspec.MsgspecError) as error:
        raise StoreError(
            f"{path} is no report: {error}", remedy="the next run of its flow writes it anew"
        ) from error


def draw(found: dict[str, Any]) -> RenderableType:
    """The report for a terminal: what does not hold first, then how many checks do."""
    grade = str(found["grade"])
    line = Text(grade, style=STYLES.get(grade, "bold red"))
    line.append(f"   {found['name']}   checked {_moment(found['checked_at'])}")
    if found["stale"]:
        line.append("   STALE: its time is over", style="bold red")
    parts: list[RenderableType] = [line, Text(found["summary"]), *_rows(found["rows"])]
    if found["remedy"]:
        parts.append(Text(f"next: {found['remedy']}"))
    facts = [("suite", found["suite"]), ("run", found["link"]), ("page", found["page"])]
    parts += [Text(f"{name}: {says}", style="dim") for name, says in facts if says]
    return Group(*parts)


def _rows(rows: list[dict[str, Any]]) -> list[RenderableType]:
    outcomes = [row for row in rows if "check" in row]
    others = [row for row in rows if "check" not in row]
    bad = [row for row in outcomes if not row["passed"]]
    parts: list[RenderableType] = []
    if bad:
        columns = ["check", "severity", "rows", "must hold", "some of them"]
        parts.append(table("", columns, map(_outcome, bad)))
    if outcomes:
        parts.append(Text(f"{len(outcomes) - len(bad)} of {len(outcomes)} checks hold"))
    if others:
        columns = list(dict.fromkeys(name for row in others for name in row))
        parts.append(table("", columns, ([row.get(name) for name in columns] for row in others)))
    return parts


def _outcome(row: dict[str, Any]) -> list[Any]:
    samples = "; ".join(map(_told, row["samples"]))
    return [row["check"], row["severity"], row["unexpected"], row["says"], samples]


def _told(sample: Any) -> str:
    if isinstance(sample, dict):
        return ", ".join(f"{name} {value}" for name, value in sample.items())
    return str(sample)


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / MICRO, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
