"""The objectives: what share of what must be good, and how that is counted.

Sources: the published shapes of the product and Google's SRE workbook for the burn rates. What must
never happen has no budget: see `alerting.INVARIANTS`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

WINDOW_DAYS = 30


class Objective(msgspec.Struct, frozen=True):
    """`target`: the share that must be good over `WINDOW_DAYS`. How it is counted:

    - histogram: observations of `metric` in buckets up to `within` seconds, of all;
    - slices: the mean of `good`, an expression that is 1 or 0; without a Prometheus, the seconds of
      `metric` whose state is good.
    """

    name: str
    title: str
    target: float
    counted: Literal["histogram", "slices"]
    metric: str = ""
    within: float = 0.0
    good: str = ""
    selector: str = ""

    def bad(self, window: str) -> str:
        """PromQL: the share that was bad over a window."""
        if self.counted == "slices":
            return f"1 - avg_over_time({self.recorded_good}[{window}])"
        chosen = f"{self.selector}," if self.selector else ""
        good = f'sum(rate({self.metric}_bucket{{{chosen}le="{self.within:g}"}}[{window}]))'
        every = f"sum(rate({self.metric}_count{{{self.selector}}}[{window}]))"
        return f"1 - ({good} / ({every} > 0))"

    @property
    def recorded_good(self) -> str:
        return f"portcullis:{self.name}:good"

    def recorded(self, window: str) -> str:
        """The name of the recorded bad share over a window."""
        return f"portcullis:{self.name}:bad_{window}"


OBJECTIVES: tuple[Objective, ...] = (
    Objective(
        "availability",
        "Good minutes: the worker turns, and its data are fresh",
        0.995,
        "slices",
        "portcullis_watched_seconds",
        good=(
            "(portcullis_event_write_age_seconds < bool 30)"
            ' * on() (portcullis_evidence_passing{evidence="market_data"} or on() vector(1))'
        ),
    ),
    Objective(
        "decision",
        "Proposals answered within 400 ms",
        0.95,
        "histogram",
        "portcullis_decision_seconds",
        0.4,
    ),
    Objective(
        "evaluation",
        "Facts that took effect within 120 ms",
        0.95,
        "histogram",
        "portcullis_cycle_seconds",
        0.12,
    ),
    Objective(
        "flat",
        "Commands confirmed within 2 s of detection",
        0.95,
        "histogram",
        "portcullis_enforcement_seconds",
        2.0,
    ),
    Objective(
        "delivery",
        "Critical alerts accepted by a channel within 10 s",
        0.95,
        "histogram",
        "portcullis_alert_delivery_seconds",
        10.0,
        selector='severity="critical"',
    ),
)
