"""The suite over quotes: what must hold (critical) and what a person should hear of (warning).

The only module that imports Great Expectations, inside its functions: the import takes seconds
and 150 MB, so it happens once, in a process that stays. Every validation has an ephemeral context
and a data source of its own, because shared ones have judged another thread's table.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from checks.quotes import QuoteRow

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuite

SUITE = "market.quotes"
AHEAD_MAX_US = 2_000_000
CROSSED_RUN_MAX = 3
ROLLING_Z_MAX = 10.0
SAMPLES = 5

_one_at_a_time = Lock()


class Outcome(NamedTuple):
    """One expectation's result. `could_run` is False when it raised: that proves nothing."""

    check: str
    severity: str
    passed: bool
    could_run: bool
    unexpected: int
    says: str
    samples: list[Any]


def load() -> None:
    """Import Great Expectations now, so that the first validation does not wait for it."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import logging

    import great_expectations  # noqa: F401

    logging.getLogger("great_expectations").setLevel(logging.WARNING)


def suite() -> ExpectationSuite:
    """The expectations; `tests/checks/market_suite.json` shows every change of them."""
    import great_expectations.expectations as gxe
    from great_expectations.core import ExpectationSuite
    from great_expectations.expectations.metadata_types import FailureSeverity

    def named(check: str, says: str) -> dict[str, Any]:
        return {"meta": {"check_id": f"{SUITE}.{check}"}, "description": says}

    return ExpectationSuite(
        name=SUITE,
        expectations=[
            gxe.ExpectTableRowCountToBeBetween(
                min_value=1, **named("rows.present", "there are quotes at all")
            ),
            gxe.ExpectColumnValuesToNotBeNull(
                column="instrument", **named("instrument.present", "every quote names one")
            ),
            gxe.ExpectColumnValuesToNotBeNull(
                column="quoted_at", **named("quoted_at.present", "every quote has a time")
            ),
            gxe.ExpectColumnValuesToNotBeNull(
                column="mid", **named("price.present", "every quote has a price")
            ),
            gxe.ExpectColumnValuesToNotBeNull(
                column="bid",
                mostly=0.9,
                severity=FailureSeverity.WARNING,
                **named("bid.mostly_present", "few quotes lack a bid"),
            ),
            gxe.ExpectColumnValuesToNotBeNull(
                column="ask",
                mostly=0.9,
                severity=FailureSeverity.WARNING,
                **named("ask.mostly_present", "few quotes lack an ask"),
            ),
            *(
                gxe.ExpectColumnValuesToBeBetween(
                    column=side, min_value=1, **named(f"{side}.positive", "prices are positive")
                )
                for side in ("bid", "ask", "last")
            ),
            gxe.ExpectColumnValuesToBeBetween(
                column="crossed_run",
                max_value=0,
                severity=FailureSeverity.WARNING,
                **named("crossed.none", "no bid is above its ask"),
            ),
            gxe.ExpectColumnValuesToBeBetween(
                column="crossed_run",
                max_value=CROSSED_RUN_MAX,
                **named("crossed.not_lasting", "no instrument stays crossed"),
            ),
            gxe.ExpectColumnValuesToBeBetween(
                column="step_us", min_value=0, **named("time.in_order", "time never goes back")
            ),
            gxe.ExpectColumnValuesToBeUnique(
                column="position", **named("position.unique", "no row is there twice")
            ),
            gxe.ExpectCompoundColumnsToBeUnique(
                column_list=["instrument", "quoted_at", "bid", "ask", "last"],
                severity=FailureSeverity.WARNING,
                **named("quote.unique", "no quote came twice"),
            ),
            gxe.ExpectColumnValuesToBeBetween(
                column="ahead_us",
                max_value=AHEAD_MAX_US,
                **named("time.not_ahead", "no quote is from the future"),
            ),
            gxe.ExpectColumnValuesToBeBetween(
                column="age", max_value=1.0, **named("fresh", "every instrument still moves")
            ),
            gxe.ExpectColumnValuesToBeBetween(
                column="z",
                min_value=-ROLLING_Z_MAX,
                max_value=ROLLING_Z_MAX,
                severity=FailureSeverity.WARNING,
                **named("step.usual", "no step is far from those before it"),
            ),
        ],
    )


def validate(rows: Sequence[QuoteRow]) -> list[Outcome]:
    """Judge rows that `quotes.batch` made; one validation at a time in a process."""
    with _one_at_a_time:
        load()
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


def outcome(result: Any) -> Outcome:
    """One result in our words; an exception is told apart from a failed expectation."""
    configuration = result.expectation_config
    details = result.result or {}
    raised = _raised(result.exception_info or {})
    return Outcome(
        configuration.meta["check_id"],
        getattr(configuration.severity, "value", configuration.severity) or "critical",
        bool(result.success),
        raised is None,
        int(details.get("unexpected_count") or 0),
        configuration.description if raised is None else f"could not run: {raised}",
        list(details.get("partial_unexpected_index_list") or [])[:SAMPLES],
    )


def _raised(info: dict[str, Any]) -> str | None:
    """What an expectation raised. The information comes in two shapes."""
    shapes = [info] if "raised_exception" in info else list(info.values())
    for each in shapes:
        if isinstance(each, dict) and each.get("raised_exception"):
            return str(each.get("exception_message"))
    return None
