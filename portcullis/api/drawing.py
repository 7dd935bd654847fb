"""Small pictures as SVG: a curve, a strip of beats. Pure; every number is rounded."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

CURVE = (640, 120)
BEAT = (8, 28)


def curve(points: Sequence[tuple[int, int]], label: str) -> Markup:
    """A line through (time, value) points, scaled to what there is; empty with fewer than two."""
    if len(points) < 2:
        return Markup("")
    width, height = CURVE
    times, values = [at for at, _ in points], [value for _, value in points]
    begin, span = times[0], max(1, times[-1] - times[0])
    low, room = min(values), max(1, max(values) - min(values))
    path = " ".join(
        f"{(at - begin) / span * width:.1f},{height - 6 - (value - low) / room * (height - 12):.1f}"
        for at, value in points
    )
    return Markup(
        '<svg class="curve" viewBox="0 0 {w} {h}" preserveAspectRatio="none" role="img" '
        'aria-label="{label}"><polyline points="{path}"/></svg>'
    ).format(w=width, h=height, label=label, path=path)


def strip(beats: Sequence[tuple[str, str]], label: str) -> Markup:
    """One bar for each (state, words), the oldest first; states are `good`, `bad`, `late`."""
    width, height = BEAT
    bar = Markup(
        '<rect class="{state}" x="{x}" width="{w}" height="{h}"><title>{words}</title></rect>'
    )
    bars = Markup("").join(
        bar.format(state=state, x=index * width, w=width - 2, h=height, words=words)
        for index, (state, words) in enumerate(beats)
    )
    return Markup(
        '<svg class="strip" viewBox="0 0 {w} {h}" role="img" aria-label="{label}">{bars}</svg>'
    ).format(w=max(1, len(beats)) * width, h=height, label=label, bars=bars)
