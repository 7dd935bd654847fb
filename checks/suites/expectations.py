"""The expectations that suites are made of, each with an id, a sentence and a severity.

Great Expectations is imported inside the functions: the import takes seconds and 150 MB, so it
happens once, in a process that stays.
"""

from __future__ import annotations

from typing import Any, Literal

Severity = Literal["critical", "warning", "info"]

FINDINGS_MAX = 51
"""A query for findings ends here: the library runs it twice and may fetch all it gives."""


def named(check: str, says: str, severity: Severity) -> dict[str, Any]:
    """What every expectation carries besides its own arguments."""
    from great_expectations.expectations.metadata_types import FailureSeverity

    return {
        "meta": {"check_id": check},
        "description": says,
        "severity": FailureSeverity(severity),
    }


def findings(check: str, says: str, query: str, severity: Severity = "critical") -> Any:
    """A query that must find nothing; `b` is the bounded rows, and one row is one finding."""
    import great_expectations.expectations as gxe

    bounded = f"WITH b AS (SELECT * FROM {{batch}}) {' '.join(query.split())} LIMIT {FINDINGS_MAX}"
    return gxe.UnexpectedRowsExpectation(
        unexpected_rows_query=bounded, **named(check, says, severity)
    )


def present(check: str, says: str, column: str, severity: Severity = "critical") -> Any:
    """No null in a column."""
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToNotBeNull(column=column, **named(check, says, severity))


def between(
    check: str,
    says: str,
    column: str,
    least: float | None = None,
    most: float | None = None,
    severity: Severity = "critical",
) -> Any:
    """Every value of a column within bounds, both included; nulls pass."""
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToBeBetween(
        column=column, min_value=least, max_value=most, **named(check, says, severity)
    )


def one_of(check: str, says: str, column: str, known: frozenset[str]) -> Any:
    """Every value of a column is a known one."""
    import great_expectations.expectations as gxe

    return gxe.ExpectColumnValuesToBeInSet(
        column=column, value_set=sorted(known), **named(check, says, "critical")
    )


def unique(check: str, says: str, *columns: str) -> Any:
    """No value, or combination of values, occurs twice among the rows."""
    import great_expectations.expectations as gxe

    common = named(check, says, "critical")
    if len(columns) == 1:
        return gxe.ExpectColumnValuesToBeUnique(column=columns[0], **common)
    return gxe.ExpectCompoundColumnsToBeUnique(column_list=list(columns), **common)
