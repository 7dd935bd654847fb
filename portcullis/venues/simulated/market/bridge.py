"""Intraday paths between the prices that are known of a day."""

from __future__ import annotations

import itertools
import math
import random

from portcullis.venues.simulated.market.daily import Bar

FEWEST_STEPS = 4


def day_path(bar: Bar, steps: int, source: random.Random) -> list[int]:
    """`steps` + 1 prices in ticks: a random walk tied to the bar.

    The first is the open, the last the close; the high and the low are both reached and never
    passed. Their times are drawn; days that end higher more often make their low first.
    """
    if steps < FEWEST_STEPS:
        raise ValueError(f"a day takes at least {FEWEST_STEPS} steps, not {steps}")
    first, second = sorted(source.sample(range(1, steps), 2))
    low_first = source.random() < (0.7 if bar.close >= bar.open else 0.3)
    extremes = (bar.low, bar.high) if low_first else (bar.high, bar.low)
    knots = [(0, bar.open), (first, extremes[0]), (second, extremes[1]), (steps, bar.close)]
    path = [bar.open]
    for (start, left), (end, right) in itertools.pairwise(knots):
        path += _walk(left, right, end - start, bar, source)
    return path


def _walk(left: int, right: int, steps: int, bar: Bar, source: random.Random) -> list[int]:
    """The `steps` prices after `left`, the last of them `right`, inside the bar."""
    step = (bar.high - bar.low) / (2 * math.sqrt(steps))
    drift = [0.0]
    for _ in range(steps):
        drift.append(drift[-1] + source.gauss(0.0, step))
    tilt = (right - left - drift[-1]) / steps
    inner = [round(left + drift[i] + tilt * i) for i in range(1, steps)]
    return [_reflect(price, bar.low, bar.high) for price in inner] + [right]


def _reflect(price: int, low: int, high: int) -> int:
    """The price mirrored at the bounds until it lies between them."""
    width = high - low
    if width == 0:
        return low
    offset = (price - low) % (2 * width)
    return low + min(offset, 2 * width - offset)
