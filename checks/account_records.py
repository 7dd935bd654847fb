"""The daily record of every account: figures as JSON and CSV, the equity so far as a picture."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from checks.verdicts import Finding, Grade
from checks.worker_health import replace_file
from portcullis.config.settings import Settings
from portcullis.domain.engine import Engine
from portcullis.domain.model import MICRO
from portcullis.domain.overview import account_overview
from portcullis.store.reading import LedgerReader
from portcullis.worker.recovery import recover

COLUMNS = (
    "at", "position", "account", "trading_day", "currency", "balance", "realized", "open",
    "equity", "locked", "positions", "orders", "can_trade", "reconciled",
)  # fmt: skip
KEPT_MOST = 1_000  # daily records: some years
CURVE_POINTS = 400
BARS = "▁▂▃▄▅▆▇█"


def record(settings: Settings, now: int) -> Finding:
    """Write the records of now; raises StoreError when the ledger cannot be read."""
    with LedgerReader(settings.home_path) as reader:
        engine = recover(reader).engine
    rows = rows_of(engine, now)
    folder = settings.snapshots_path
    name = datetime.fromtimestamp(now / MICRO, tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    details = [account_overview(engine, each, now) for each in engine.state.accounts.values()]
    body = {"at": now, "position": engine.state.position, "accounts": details}
    replace_file(folder / f"{name}.json", json.dumps(body, indent=1).encode())
    replace_file(folder / f"{name}.csv", as_csv(rows))
    forget_oldest(folder)
    curves = {row["account"]: equity_curve(folder, row["account"]) for row in rows}
    for account, points in curves.items():
        replace_file(folder / f"equity-{account}.svg", picture(account, points).encode())
    return judge(rows, curves, name)


def rows_of(engine: Engine, now: int) -> list[dict[str, Any]]:
    """One row per account; money in whole micro-units, None where it is not known."""
    return [
        {
            "at": now,
            "position": engine.state.position,
            "account": account.id,
            "trading_day": account.day.label,
            "currency": account.currency,
            "balance": account.balance,
            "realized": account.realized,
            "open": account.open_pnl,
            "equity": account.equity(),
            "locked": bool(account.locks),
            "positions": len(account.positions),
            "orders": len(account.orders),
            "can_trade": account.can_trade,
            "reconciled": bool(account.reconciled_at),
        }
        for account in engine.state.accounts.values()
    ]


def judge(rows: list[dict[str, Any]], curves: dict[str, list[int]], name: str) -> Finding:
    """A record without an account, or of an account never compared, is no record."""
    shown = [
        {**row, "curve": sparkline(curves[row["account"]]), "equity": decimal(row["equity"])}
        for row in rows
    ]
    if not rows:
        return Finding(Grade.EMPTY, "no account is known yet", shown)
    unknown = [row["account"] for row in rows if row["equity"] is None or not row["reconciled"]]
    if unknown:
        return Finding(Grade.FAIL, f"equity not known: {', '.join(unknown)}", shown)
    return Finding(Grade.PASS, f"{len(rows)} accounts recorded as {name}", shown)


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


def equity_curve(folder: Path, account: str) -> list[int]:
    """The account's equity in the records, oldest first, in micro-units."""
    points = []
    for path in sorted(folder.glob("*Z.csv"))[-CURVE_POINTS:]:
        with path.open(encoding="utf-8", newline="") as file:
            points += [
                int(row["equity"])
                for row in csv.DictReader(file)
                if row["account"] == account and row["equity"]
            ]
    return points


def decimal(micros: int | None) -> str:
    return "not known" if micros is None else f"{micros / MICRO:,.2f}"


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
        f"<title>Equity of {account}: {decimal(low)} to {decimal(high)}</title>"
        f'<polyline fill="none" stroke="#1b6ac9" stroke-width="2" points="{line}"/></svg>\n'
    )
