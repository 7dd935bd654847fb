"""What the worker measures of itself, for monitors: durations as they happen, figures when asked.

A registry of its own. Labels are bounded by what is configured: names of evidence, venues, modes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from portcullis.trace_context import TraceContext

MODES = ("STARTING", "ACTIVE", "OBSERVE_ONLY", "SHUTDOWN")
DECISION_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.4, 0.5, 1.0, 5.0)
CYCLE_BUCKETS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.12, 0.15, 0.5, 1.0, 5.0)

Figures = Callable[[], dict[str, Any]]
"""The gate's own account of the worker: `system_overview` with `worker` beside it."""


class Meters:
    """The worker's meters; `figures` is asked once for each exposition."""

    def __init__(self, figures: Figures) -> None:
        self.registry = CollectorRegistry()
        self._decision = Histogram(
            "portcullis_decision_seconds",
            "From a proposal at the gate to its durable answer.",
            ["decision"],
            buckets=DECISION_BUCKETS,
            registry=self.registry,
        )
        self._decisions = {
            name: self._decision.labels(name) for name in ("approved", "denied", "unanswered")
        }
        self._cycle = Histogram(
            "portcullis_cycle_seconds",
            "From a fact that came in to its effects, all of it durable; the oldest of each turn.",
            buckets=CYCLE_BUCKETS,
            registry=self.registry,
        )
        self._refused = Counter(
            "portcullis_proposals_refused_total",
            "Proposals that could not be understood or taken, by HTTP status.",
            ["status"],
            registry=self.registry,
        )
        self.registry.register(_Asked(figures))

    def decided(
        self, decision: str, seconds: float, trace: str, caller: TraceContext | None = None
    ) -> None:
        """A proposal was answered `approved` or `denied`, or went `unanswered`. `trace` is the
        ledger's; `caller` the one that the proposal came with.
        """
        exemplar = {"trace_id": trace[:64]}
        if caller is not None:
            exemplar = {"trace_id": caller.trace_id, "ledger_trace": trace[:64]}
        self._decisions[decision].observe(seconds, exemplar)

    def refused(self, status: int) -> None:
        """A proposal was not taken."""
        self._refused.labels(str(status)).inc()

    def cycled(self, seconds: float) -> None:
        """A turn of the worker's loop is complete."""
        self._cycle.observe(seconds)

    def exposed(self, accept: str) -> tuple[bytes, str]:
        """Everything in the form a monitor asked for, and its content type."""
        encode, kind = choose_encoder(accept)
        body: bytes = encode(self.registry)
        return body, kind


class _Asked(Collector):
    """What is only worth knowing when somebody asks."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def describe(self) -> list[Metric]:
        """Nothing is read while registering."""
        return []

    def collect(self) -> Iterator[Metric]:
        found = self._figures()
        worker = found["worker"]
        yield _one("portcullis_gate_open", "Whether the gate is open.", found["gate_open"])
        yield _many(
            "portcullis_mode",
            "The mode: 1 for the one in force.",
            "mode",
            {mode: found["mode"] == mode for mode in MODES},
        )
        evidence = found["evidence"]
        yield _many(
            "portcullis_evidence_passing",
            "Whether evidence passed when it was last judged and still holds.",
            "evidence",
            {row["name"]: row["state"] == "passing" for row in evidence},
        )
        yield _many(
            "portcullis_evidence_expires_seconds",
            "Time until evidence no longer holds; negative since it does not.",
            "evidence",
            {
                row["name"]: (row["expires_at"] - found["now"]) / 1e6
                for row in evidence
                if "expires_at" in row
            },
        )
        yield _many(
            "portcullis_venue_connected",
            "Whether the venue's stream is connected.",
            "venue",
            found["venues"],
        )
        for name, words, value in (
            ("accounts", "Accounts that are watched.", found["accounts"]),
            ("locks", "Locks in force on all accounts.", found["locks"]),
            ("lost_fills_of_the_day", "Fills of the day that the venue's stream left out.",
             found["lost_fills"]),
            ("waiting_events", "Facts that wait to become durable.", worker["waiting"]),
            ("memory_bytes", "Resident memory of the worker.", worker["memory_mb"] * 2**20),
            ("errors_per_minute", "What went wrong, over five minutes.",
             worker["errors_per_minute"]),
            ("event_write_age_seconds", "Age of the newest durable event.",
             worker["event_write_age_s"]),
            ("market_data_age_seconds", "Age of the newest quote.", worker["market_data_age_s"]),
            ("snapshot_age_seconds", "Age of the newest snapshot of the state.",
             worker["snapshot_age_s"]),
            ("uptime_seconds", "Time since the worker started.", worker["uptime_s"]),
            ("clock_offset_seconds", "How far the machine's clock is from the ledger's.",
             found["clock_offset_s"]),
        ):  # fmt: skip
            if value is not None:
                yield _one(f"portcullis_{name}", words, value)
        events = CounterMetricFamily("portcullis_ledger_events", "Events of the ledger.")
        events.add_metric([], worker["durable"])
        yield events


def _one(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, value=float(value))


def _many(name: str, words: str, label: str, values: dict[str, Any]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, words, labels=[label])
    for key, value in values.items():
        family.add_metric([key], float(value))
    return family
