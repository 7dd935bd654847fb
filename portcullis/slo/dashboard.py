"""Grafana's board, generated: one row a subject, every panel from metrics that are really there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from portcullis.slo.objectives import OBJECTIVES

UID = "portcullis"
WIDTH, HEIGHT = 8, 7
SOURCE = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}


class Panel(NamedTuple):
    """A panel: its expressions with their legends, and the unit of the axis."""

    title: str
    queries: Sequence[tuple[str, str]]
    unit: str = "short"
    kind: str = "timeseries"


def _percentile(metric: str, share: float, by: str = "") -> str:
    labels = f"le,{by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({metric}_bucket[5m])))"


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Is it safe?",
        (
            Panel("Gate open", [("portcullis_gate_open", "open")], "bool", "stat"),
            Panel("Mode", [("portcullis_mode == 1", "{{mode}}")], "none", "stat"),
            Panel("Evidence holds", [("portcullis_evidence_passing", "{{evidence}}")], "bool"),
            Panel("Evidence expires in",
                  [("portcullis_evidence_expires_seconds", "{{evidence}}")], "s"),
            Panel("Venue connected", [("portcullis_venue_connected", "{{venue}}")], "bool"),
            Panel("Accounts and locks",
                  [("portcullis_accounts", "accounts"), ("portcullis_locks", "locks")]),
        ),
    ),
    (
        "How fast?",
        (
            Panel("Proposal to durable answer",
                  [(_percentile("portcullis_decision_seconds", q), f"p{q * 100:.0f}")
                   for q in (0.5, 0.95, 0.99)], "s"),
            Panel("Fact to effects",
                  [(_percentile("portcullis_cycle_seconds", q), f"p{q * 100:.0f}")
                   for q in (0.5, 0.95, 0.99)], "s"),
            Panel("Detected to confirmed",
                  [(_percentile("portcullis_enforcement_seconds", q), f"p{q * 100:.0f}")
                   for q in (0.5, 0.95, 0.99)], "s"),
            Panel("Proposals a second",
                  [("sum by (decision) (rate(portcullis_decision_seconds_count[5m]))",
                    "{{decision}}")]),
            Panel("Events a second", [("rate(portcullis_ledger_events_total[5m])", "events")]),
            Panel("Facts that wait", [("portcullis_waiting_events", "waiting")]),
        ),
    ),
    (
        "What was done?",
        (
            Panel("Breaches", [("sum by (rule) (increase(portcullis_breaches_total[5m]))",
                                "{{rule}}")]),
            Panel("Commands by outcome",
                  [("sum by (outcome) (increase(portcullis_commands_total[5m]))",
                    "{{outcome}}")]),
            Panel("Lost fills of the day", [("portcullis_lost_fills_of_the_day", "fills")]),
        ),
    ),
    (
        "Is anybody told?",
        (
            Panel("Open alerts", [("portcullis_alerts_open", "{{severity}}")]),
            Panel("Oldest message that waits",
                  [("portcullis_alert_oldest_waiting_seconds", "{{severity}}")], "s"),
            Panel("Dead letters", [("portcullis_alert_dead_letters", "{{channel}}")]),
            Panel("Since the last message that arrived",
                  [("time() - portcullis_alert_last_success_timestamp_seconds",
                    "{{channel}}")], "s"),
            Panel("Alert to accepted message",
                  [(_percentile("portcullis_alert_delivery_seconds", q), f"p{q * 100:.0f}")
                   for q in (0.5, 0.95)], "s"),
        ),
    ),
    (
        "Budgets",
        tuple(
            Panel(each.title, [(f"portcullis:{each.name}:budget_left", "left")], "percentunit")
            for each in OBJECTIVES
        ),
    ),
    (
        "The processes",
        (
            Panel("Worker memory", [("portcullis_memory_bytes", "resident")], "bytes"),
            Panel("Errors a minute", [("portcullis_errors_per_minute", "errors")]),
            Panel("Disk free", [("portcullis_disk_free_ratio", "free")], "percentunit"),
            Panel("Requests a second",
                  [("sum by (status) (rate(portcullis_http_requests_total[5m]))",
                    "{{status}}")]),
            Panel("Request time", [(_percentile("portcullis_http_request_seconds", 0.95), "p95")],
                  "s"),
            Panel("Certificate and keys end in",
                  [("portcullis_certificate_expiry_timestamp_seconds - time()", "certificate"),
                   ("portcullis_api_key_expiry_timestamp_seconds - time()", "key {{key}}")], "s"),
            Panel("Clock offset", [("portcullis_clock_offset_seconds", "offset")], "s"),
        ),
    ),
)  # fmt: skip


def board() -> str:
    """The board as JSON, the same bytes for the same source."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"h": 1, "w": 24, "x": 0, "y": y},
            }
        )
        y += 1
        for number, panel in enumerate(row):
            place = {
                "h": HEIGHT,
                "w": WIDTH,
                "x": number % 3 * WIDTH,
                "y": y + number // 3 * HEIGHT,
            }
            panels.append(_panel(len(panels) + 1, panel, place))
        y += -(-len(row) // 3) * HEIGHT
    whole = {
        "uid": UID,
        "title": "Portcullis",
        "tags": ["portcullis"],
        "schemaVersion": 39,
        "version": 1,
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {
                    "name": "DS_PROMETHEUS",
                    "label": "Prometheus",
                    "type": "datasource",
                    "query": "prometheus",
                    "current": {},
                }
            ]
        },
        "panels": panels,
    }
    return json.dumps(whole, indent=1) + "\n"


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {},
        "targets": [
            {"refId": chr(65 + index), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
            for index, (expr, legend) in enumerate(panel.queries)
        ],
    }


def expressions() -> list[str]:
    """Every expression of the board."""
    return [expr for _, row in ROWS for panel in row for expr, _ in panel.queries]
