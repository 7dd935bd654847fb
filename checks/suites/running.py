"""Running a suite over SQL: bounded, read-only, one at a time, and nothing left open after it.

Every validation has an ephemeral context of its own: one that stays keeps every result, and shared
ones have judged another thread's rows. Files are opened by the store's own SQLite library, never by
the one the library would pick: two in one process undo each other's locks.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from checks.suites.outcomes import SAMPLES, Outcome, outcome
from portcullis.store.database import DRIVER, connect_reader, explained

_turns = ThreadPoolExecutor(max_workers=1, thread_name_prefix="suites")
T = TypeVar("T")

SQLITE_IN_MEMORY = "sqlite://"  # the address is never used: connections are made by us


class Suite(NamedTuple):
    """A suite as code. `rows` is the query of the batch, `ids` the columns that name a row of it.

    Queries may use the table `bounds`, one row with what a run is bounded by, so that the suite's
    text, and with it the digest, is the same in every run.
    """

    name: str
    rows: str
    ids: tuple[str, ...]
    expectations: Callable[[], list[Any]]


def in_turn(work: Callable[[], T]) -> T:
    """Do work of the library on the one thread that is kept for it.

    Validations side by side gain nothing, and each thread that ever ran one keeps its memory.
    """
    return _turns.submit(work).result()


def load() -> None:
    """Import Great Expectations now, so that the first validation does not wait for it."""
    in_turn(_load)


def _load() -> None:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations  # noqa: F401

    # What a query raised is in its outcome; the library would log it again, in hundreds of lines.
    for name in ("great_expectations", "great_expectations.data_context.types.base"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def expectation_suite(suite: Suite) -> Any:
    """The library's form of a suite; the golden files in tests/checks show every change of it."""
    from great_expectations.core import ExpectationSuite

    return ExpectationSuite(name=suite.name, expectations=suite.expectations())


def plain(made: Any) -> dict[str, Any]:
    """A suite of the library as data, without what differs from run to run."""
    written: dict[str, Any] = made.to_json_dict()
    written.pop("id", None)
    written["meta"].pop("great_expectations_version", None)
    for each in written["expectations"]:
        each.pop("id", None)
    return written


def digest(made: Any, rows: str = "") -> str:
    """SHA-256 of what is asked: the suite and the query of its rows."""
    asked = json.dumps([plain(made), rows], sort_keys=True).encode()
    return hashlib.sha256(asked).hexdigest()


def digest_of(*suites: Suite) -> str:
    """The digest of suites over SQL, of several as one."""
    each = [digest(expectation_suite(suite), suite.rows) for suite in suites]
    return each[0] if len(each) == 1 else hashlib.sha256("".join(each).encode()).hexdigest()


def validate(
    path: Path,
    suite: Suite,
    bounds: Mapping[str, int],
    attached: Mapping[str, Path] | None = None,
) -> list[Outcome]:
    """Judge the rows of a file; `attached` are other files by the name queries have for them.

    Raises StoreError where a file cannot be opened. What cannot be judged is in the outcomes.
    """
    return in_turn(lambda: _validate(path, suite, bounds, attached or {}))


def _validate(
    path: Path, suite: Suite, bounds: Mapping[str, int], attached: Mapping[str, Path]
) -> list[Outcome]:
    with explained(path), _connections(path, bounds, attached) as connect:
        _load()
        made = expectation_suite(suite)
        results = _results(connect, made, suite)
        found = [outcome(each) for each in results]
        queries = {
            each.meta["check_id"]: getattr(each, "unexpected_rows_query", None)
            for each in made.expectations
        }
        connection = connect()
        return [_with_samples(connection, each, queries[each.check], suite) for each in found]


@contextmanager
def _connections(
    path: Path, bounds: Mapping[str, int], attached: Mapping[str, Path]
) -> Iterator[Callable[[], Any]]:
    """A way to connect; whatever was connected is closed at the end, whoever forgot it."""
    names = ", ".join(f"{value:d} AS {name}" for name, value in bounds.items())
    with ExitStack() as opened:

        def connect() -> Any:
            connection = opened.enter_context(closing(connect_reader(path)))
            for name, other in attached.items():
                connection.execute(f"ATTACH DATABASE ? AS {name}", (_read_only(other),))
            connection.execute(f"CREATE TEMP TABLE bounds AS SELECT {names}")
            return connection

        yield connect


def _read_only(path: Path) -> str:
    return f"{path.resolve().as_uri()}?mode=ro"


def _results(connect: Callable[[], Any], made: Any, suite: Suite) -> Sequence[Any]:
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}  # type: ignore[assignment]
    source = context.data_sources.add_sqlite(
        "store",
        connection_string=SQLITE_IN_MEMORY,
        kwargs={"module": DRIVER, "creator": connect, "isolation_level": "AUTOCOMMIT"},
    )
    try:
        whole = source.add_query_asset("rows", query=suite.rows)
        batch = whole.add_batch_definition_whole_table("all").get_batch()
        form = {
            "result_format": "SUMMARY",
            "unexpected_index_column_names": list(suite.ids),
            "partial_unexpected_count": SAMPLES,
        }
        return list(batch.validate(made, result_format=form).results)
    finally:
        source.get_execution_engine().close()
        source.get_engine().dispose()


def _with_samples(connection: Any, found: Outcome, query: str | None, suite: Suite) -> Outcome:
    """A query's findings and their number, which the library gives in no bounded form."""
    if found.passed or not found.could_run or query is None:
        return found
    asked = connection.execute(query.format(batch=f"({suite.rows})"))
    names = [each[0] for each in asked.description]
    rows = [dict(zip(names, row, strict=True)) for row in asked.fetchall()]
    return found._replace(unexpected=len(rows), samples=rows[:SAMPLES])
