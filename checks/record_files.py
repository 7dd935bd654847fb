"""The daily records as files for people: JSON, CSV, and each account's equity as a picture."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import msgspec

from checks.record_store import COLUMNS, AccountRecord, equity_curve
from checks.worker_health import replace_file
from portcullis.domain.engine import Engine
from portcullis.domain.model import MICRO
from portcullis.domain.overview import account_overview

KEPT_MOST = 1_000  # files of records: some years
BARS = "▁▂▃▄▅▆▇█"


def write_files(
    folder: Path, store: Path, engine: Engine, records: Sequence[AccountRecord], now: int
) -> None:
    """What was recorded as JSON and CSV, and each account's equity so far as a picture."""
    name = datetime.fromtimestamp(now / MICRO, tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    rows = [msgspec.to_builtins(each) for each in records]
    details = [
        account_overview(engine, engine.state.accounts[each.account], now)
        for each in records
        if not each.made_up
    ]
    body = {"at": now, "position": engine.state.position, "records": rows, "accounts": details}
    replace_file(folder / f"{name}.json", json.dumps(body, indent=1).encode())
    replace_file(folder / f"{name}.csv", as_csv(rows))
    forget_oldest(folder)
    for account in dict.fromkeys(each.account for each in records):
        points = equity_curve(store, account)
        replace_file(folder / f"equity-{account}.svg", picture(account, points).encode())


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def forget_oldest(folder: Path) -> None:
    """Keep `KEPT_MOST` records."""
    for path in sorted(folder.glob("*Z.json"))[:-KEPT_MOST]:
        path.unlink(missing_ok=True)
        path.with_suffix(".csv").unlink(missing_ok=True)


def decimal(micros: int) -> str:
    return f"{micros / MICRO:,.2f}"


def sparkline(points: list[int]) -> str:
    """The curve as a line of blocks: the lowest point is the lowest block."""
    if not points:
        return ""
    low, span = min(points), max(points) - min(points) or 1
    return "".join(BARS[(each - low) * (len(BARS) - 1) // span] for each in points[-40:])


def picture(account: str, points: list[int], width: int = 640, height: int = 160) -> str:
    """The curve as an SVG without anything fetched from elsewhere."""
    low, high = min(points, default=0), max(points, default=0)
    step = width / max(1, len(points) - 1)
    span = high - low or 1
    line = " ".join(
        f"{n * step:.1f},{height - 10 - (each - low) * (height - 20) / span:.1f}"
        for n, each in enumerate(points)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
        f"<title>Equity of {escape(account)}: {decimal(low)} to {decimal(high)}</title>"
        f'<polyline fill="none" stroke="#1b6ac9" stroke-width="2" points="{line}"/></svg>\n'
    )
