"""The suite over quotes: what must hold (critical) and what a person should hear of (warning).

Great Expectations is imported inside the functions, as `checks.suites.running` says. Every
validation has an ephemeral context and a data source of its own, because shared ones have judged
another thread's table.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from checks.quotes import QuoteRow
from checks.suites import running
from checks.suites.outcomes import SAMPLES, Outcome, outcome
from checks.suites.running import in_turn, load

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuite

SUITE = "market.quotes"
AHEAD_MAX_US = 2_000_000
CROSSED_RUN_MAX = 3
ROLLING_Z_MAX = 10.0


def suite() -> ExpectationSuite:
    """The expectations; `tests/checks/market_suite.json` shows every change of them."""
    from great_expectations.core import ExpectationSuite

    return ExpectationSuite(name=SUITE, expectations=[*_critical(), *_warnings()])


@lru_cache(maxsize=1)
def digest() -> str:
    """SHA-256 of the suite."""
    return running.digest(suite())


def _named(check: str, says: str) -> dict[str, Any]:
    return {"meta": {"check_id": f"{SUITE}.{check}"}, "description": says}


def _critical() -> list[Any]:
    """What must hold: a failure closes the gate."""
    import great_expectations.expectations as gxe

    between, present = gxe.ExpectColumnValuesToBeBetween, gxe.ExpectColumnValuesToNotBeNull
    positive = [
        between(column=side, min_value=1, **_named(f"{side}.positive", "prices are positive"))
        for side in ("bid", "ask", "last")
    ]
    return [
        gxe.ExpectTableRowCountToBeBetween(
            min_value=1, **_named("rows.present", "there are quotes at all")
        ),
        present(column="instrument", **_named("instrument.present", "every quote names one")),
        present(column="quoted_at", **_named("quoted_at.present", "every quote has a time")),
        present(column="mid", **_named("price.present", "every quote has a price")),
        *positive,
        between(
            column="crossed_run",
            max_value=CROSSED_RUN_MAX,
            **_named("crossed.not_lasting", "no instrument stays crossed"),
        ),
        between(column="step_us", min_value=0, **_named("time.in_order", "time never goes back")),
        gxe.ExpectColumnValuesToBeUnique(
            column="position", **_named("position.unique", "no row is there twice")
        ),
        between(
            column="ahead_us",
            max_value=AHEAD_MAX_US,
            **_named("time.not_ahead", "no quote is from the future"),
        ),
        between(column="age", max_value=1.0, **_named("fresh", "every instrument still moves")),
    ]


def _warnings() -> list[Any]:
    """What real markets do now and then: a person should hear of it."""
    import great_expectations.expectations as gxe
    from great_expectations.expectations.metadata_types import FailureSeverity

    between, present = gxe.ExpectColumnValuesToBeBetween, gxe.ExpectColumnValuesToNotBeNull
    warning: dict[str, Any] = {"severity": FailureSeverity.WARNING}
    mostly = {"mostly": 0.9, **warning}
    return [
        present(column="bid", **mostly, **_named("bid.mostly_present", "few quotes lack a bid")),
        present(column="ask", **mostly, **_named("ask.mostly_present", "few quotes lack an ask")),
        between(
            column="crossed_run",
            max_value=0,
            **warning,
            **_named("crossed.none", "no bid is above its ask"),
        ),
        gxe.ExpectCompoundColumnsToBeUnique(
            column_list=["instrument", "quoted_at", "bid", "ask", "last"],
            **warning,
            **_named("quote.unique", "no quote came twice"),
        ),
        between(
            column="gap",
            max_value=1.0,
            **warning,
            **_named("gap.none", "no instrument is silent while its market is open"),
        ),
        between(
            column="z",
            min_value=-ROLLING_Z_MAX,
            max_value=ROLLING_Z_MAX,
            **warning,
            **_named("step.usual", "no step is far from those before it"),
        ),
    ]


def validate(rows: Sequence[QuoteRow]) -> list[Outcome]:
    """Judge rows that `quotes.batch` made; one validation at a time in a process."""
    load()
    return in_turn(lambda: _validate(rows))


def _validate(rows: Sequence[QuoteRow]) -> list[Outcome]:
    import great_expectations as gx
    import pandas as pd

    columns = QuoteRow.__struct_fields__
    frame = pd.DataFrame([msgspec.structs.astuple(row) for row in rows], columns=list(columns))
    frame["mid"] = [row.mid for row in rows]
    numbers = [name for name in frame.columns if name != "instrument"]
    frame[numbers] = frame[numbers].astype("float64")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    source = context.data_sources.add_pandas("quotes")
    whole = source.add_dataframe_asset("window").add_batch_definition_whole_dataframe("all")
    checked = whole.get_batch({"dataframe": frame}).validate(suite(), result_format=_FORMAT)
    return [outcome(each) for each in checked.results]


_FORMAT: dict[str, Any] = {
    "result_format": "SUMMARY",
    "unexpected_index_column_names": ["position"],
    "partial_unexpected_count": SAMPLES,
}
