"""How the objectives stand now, from what the processes have counted since they started."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from prometheus_client.core import Metric

from portcullis.slo.objectives import OBJECTIVES, Objective


class Standing(NamedTuple):
    """An objective: shares between 0 and 1; `current` and `budget_left` None where nothing was
    counted yet. `budget_left` is the share of the allowed bad that is left, negative when used up.
    `counted` is in observations, or in seconds where an objective is one of time.
    """

    name: str
    title: str
    target: float
    current: float | None
    budget_left: float | None
    compliant: bool
    counted: int


def standings(families: Iterable[Metric]) -> list[Standing]:
    """Each objective, in their order."""
    found = {family.name: family for family in families}
    return [_standing(each, found.get(each.metric)) for each in OBJECTIVES]


def _standing(objective: Objective, family: Metric | None) -> Standing:
    count = _of_time if objective.counted == "slices" else _of_histogram
    good, total = count(objective, family)
    if not total:
        return Standing(objective.name, objective.title, objective.target, None, None, True, 0)
    current = good / total
    left = 1 - (1 - current) / (1 - objective.target)
    return Standing(
        objective.name,
        objective.title,
        objective.target,
        current,
        left,
        current >= objective.target,
        int(total),
    )


def _of_histogram(objective: Objective, family: Metric | None) -> tuple[float, float]:
    good = total = 0.0
    wanted = _labels(objective.selector)
    for sample in family.samples if family else ():
        if any(sample.labels.get(name) != value for name, value in wanted.items()):
            continue
        if sample.name.endswith("_count"):
            total += sample.value
        elif sample.name.endswith("_bucket") and float(sample.labels["le"]) == objective.within:
            good += sample.value
    return good, total


def _of_time(_objective: Objective, family: Metric | None) -> tuple[float, float]:
    """Good seconds, and all that were looked at."""
    seconds = {
        sample.labels["state"]: sample.value
        for sample in (family.samples if family else ())
        if sample.name.endswith("_total")
    }
    return seconds.get("good", 0.0), sum(seconds.values())


def _labels(selector: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in selector.split(",") if part)
    return {name: value.strip('"') for name, _, value in pairs}
