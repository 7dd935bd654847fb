"""What one expectation found, in our words, and what all of them together mean for the gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from checks.verdicts import Finding, Grade

SAMPLES = 5
TEXT_MAX = 200
NAMED_MAX = 8


class Outcome(NamedTuple):
    """One expectation's result. `could_run` is False when it raised: that proves nothing.

    `unexpected` counts rows, or the findings of a query up to its bound; `samples` are some of
    them, each with what names it.
    """

    check: str
    severity: str
    passed: bool
    could_run: bool
    unexpected: int
    says: str
    samples: list[Any]


def outcome(result: Any) -> Outcome:
    """One result in our words; an exception is told apart from a failed expectation."""
    configuration = result.expectation_config
    details = result.result or {}
    problem = raised(result.exception_info or {})
    return Outcome(
        configuration.meta["check_id"],
        getattr(configuration.severity, "value", configuration.severity) or "critical",
        bool(result.success),
        problem is None,
        int(details.get("unexpected_count") or 0),
        configuration.description if problem is None else f"could not run: {problem[:TEXT_MAX]}",
        [_plain(each) for each in (details.get("partial_unexpected_index_list") or [])[:SAMPLES]],
    )


def _plain(value: Any) -> Any:
    """Numbers of numpy, which a table of pandas gives, as Python's: nobody else can write them."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value.item() if hasattr(value, "item") else value


def raised(info: dict[str, Any]) -> str | None:
    """What an expectation raised, its first line. The information comes in two shapes."""
    shapes = [info] if "raised_exception" in info else list(info.values())
    for each in shapes:
        if isinstance(each, dict) and each.get("raised_exception"):
            return str(each.get("exception_message")).strip().partition("\n")[0]
    return None


def graded(
    size: str,
    outcomes: Sequence[Outcome],
    suite: str = "",
    missing: Sequence[str] = (),
    stale: Sequence[str] = (),
) -> Finding:
    """The grade of a validation: the one place where severities become what the gate reads.

    A critical failure fails; so does anything `missing`. What could not run weighs as much, as an
    ERROR; so does what is older than its deadline, as STALE. A warning holds the gate and is told;
    what is only info is in the rows. `suite` is the digest of what was asked.
    """
    rows = [each._asdict() for each in outcomes]
    broken = [each for each in outcomes if not each.could_run]
    failed = [each for each in outcomes if each.could_run and not each.passed]
    critical = [each for each in failed if each.severity == "critical"]
    warned = [each for each in failed if each.severity == "warning"]
    if not outcomes:
        return Finding(Grade.ERROR, "the suite is empty", rows, suite)
    if critical or missing:
        named = [*map(_told, critical), *missing, *stale]
        return Finding(Grade.FAIL, f"{size}: {_listed(named)}", rows, suite)
    if broken:
        named = [f"{each.check}: {each.says}" for each in broken]
        return Finding(Grade.ERROR, _listed(named), rows, suite)
    if stale:
        return Finding(Grade.STALE, f"{size}: {_listed(stale)}", rows, suite)
    if warned:
        return Finding(Grade.WARN, f"{size}: {_listed([_told(w) for w in warned])}", rows, suite)
    return Finding(Grade.PASS, f"{size}, {len(outcomes)} expectations hold", rows, suite)


def joined(plain: Finding, size: str, outcomes: Sequence[Outcome], suite: str) -> Finding:
    """A suite's verdict together with that of checks in words: the worse one counts, with its
    summary, and the rows of both.
    """
    found = graded(size, outcomes, suite)
    worse = plain if _BADNESS.index(plain.grade) >= _BADNESS.index(found.grade) else found
    return Finding(worse.grade, worse.summary, [*found.rows, *plain.rows], suite)


_BADNESS = (
    Grade.EARLY, Grade.PASS, Grade.WARN, Grade.EMPTY, Grade.STALE, Grade.ERROR, Grade.FAIL,
)  # fmt: skip


def _told(each: Outcome) -> str:
    return f"{each.check} ({each.unexpected} row{'s' * (each.unexpected != 1)})"


def _listed(named: Sequence[str]) -> str:
    more = len(named) - NAMED_MAX
    return "; ".join([*named[:NAMED_MAX], *([f"and {more} more"] if more > 0 else [])])
