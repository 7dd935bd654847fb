"""The units a setting can have, as annotated integers.

A person writes `500` dollars, `30 s` or `15:10`; the configuration loader turns that into the
domain's integers by these marks, and refuses what lies outside their bounds.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

Money = Annotated[int, Meta(gt=0, extra={"unit": "money"})]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3,5}$", extra={"unit": "currency"})]
Span = Annotated[int, Meta(gt=0, le=366 * 86_400_000_000, extra={"unit": "span"})]
SpanOrZero = Annotated[int, Meta(ge=0, le=366 * 86_400_000_000, extra={"unit": "span"})]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
CountOrZero = Annotated[int, Meta(ge=0, le=1_000_000)]
Percent = Annotated[int, Meta(ge=1, le=100)]
Minute = Annotated[int, Meta(ge=0, le=24 * 60, extra={"unit": "wall"})]
Zone = Annotated[str, Meta(extra={"unit": "zone"})]
Ticker = Annotated[str, Meta(extra={"unit": "ticker"})]
TickerPattern = Annotated[str, Meta(min_length=1, extra={"unit": "pattern"})]
Url = Annotated[str, Meta(extra={"unit": "url"})]
Weekday = Annotated[int, Meta(ge=0, le=6, extra={"unit": "weekday"})]
