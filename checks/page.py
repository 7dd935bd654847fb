"""A verdict as one HTML page: nothing fetched from elsewhere, nothing run, everything escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

import msgspec

from portcullis.domain.model import MICRO

OUTCOME = {"check", "severity", "passed", "could_run", "unexpected", "says", "samples"}

STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5d6778; --paper: #fff; --card: #f4f6f9;
  --line: #d9dee7; --good: #1a7f4b; --warn: #9a6300; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7ebf2; --soft: #a0abbc; --paper: #12161d;
  --card: #1b212b; --line: #313a48; --good: #5fd39a; --warn: #f2b84b; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem; color: var(--ink);
  background: var(--paper); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.4rem; margin: 0 0 .3rem; } h2 { font-size: 1.05rem; margin: 1.6rem 0 .5rem; }
.grade { display: inline-block; padding: .1rem .6rem; border-radius: .4rem; margin-right: .6rem;
  color: var(--paper); background: var(--bad); }
.grade.held { background: var(--good); } .grade.WARN { background: var(--warn); }
.says { margin: .2rem 0 1rem; overflow-wrap: anywhere; }
.next { border-left: .25rem solid var(--bad); background: var(--card); padding: .6rem .9rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th { text-align: left; color: var(--soft); font-weight: 600; }
th, td { padding: .35rem .6rem .35rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
td { overflow-wrap: anywhere; } td.check { white-space: nowrap; }
td.count { text-align: right; font-variant-numeric: tabular-nums; }
code { font: .88em ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; }
.samples code { display: block; line-height: 1.5rem; }
.ok { color: var(--good); } .failed { color: var(--bad); }
.failed, .ok, .warned { font-weight: 600; white-space: nowrap; } .warned { color: var(--warn); }
footer { margin-top: 2rem; color: var(--soft); font-size: .88rem; }
@media (max-width: 40rem) { body { padding: 1rem; } dl { grid-template-columns: 1fr; }
  dd { margin-bottom: .4rem; } tr.names { display: none; }
  tr { display: block; border-bottom: 1px solid var(--line); padding: .4rem 0; }
  td, td.count, td.check { display: block; border: 0; padding: 0; text-align: left;
    white-space: normal; } td.count::before { content: "rows: "; } }
@media print { body { max-width: none; } }
"""


class Report(msgspec.Struct, frozen=True):
    """A verdict in full. Times in microseconds; `rows_left_out` are those beyond the bound.

    `suite` is the SHA-256 of the suite that was run, `link` the page of the run that made it,
    `page` the path of this one.
    """

    name: str
    grade: str
    means: str
    gate: str
    summary: str
    checked_at: int
    expires_at: int
    suite: str
    run_id: str
    link: str
    remedy: str
    rows: list[dict[str, Any]]
    rows_left_out: int
    page: str


def page_of(report: Report) -> str:
    """The whole page; every value of the report is escaped."""
    title = f"{report.grade}: {report.name}"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"{_head(report)}{_next(report)}{_rows(report)}{_facts(report)}"
        "<footer>Portcullis. Made on this machine; nothing on this page was fetched from elsewhere."
        "</footer>\n</body>\n</html>\n"
    )


def _head(report: Report) -> str:
    return (
        f'<h1><span class="grade {escape(report.grade)} {escape(report.gate)}">'
        f"{escape(report.grade)}</span>{escape(report.name)}</h1>\n"
        f'<p class="says">{escape(report.summary)}</p>\n'
    )


def _next(report: Report) -> str:
    if not report.remedy:
        return ""
    return f'<h2>What to do next</h2>\n<p class="next">{_with_code(report.remedy)}</p>\n'


def _with_code(text: str) -> str:
    """A sentence with its commands between backticks set as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{p}</code>" if n % 2 else p for n, p in enumerate(parts))


def _facts(report: Report) -> str:
    facts = [
        ("means", f"{report.means}; the gate: {report.gate}"),
        ("checked", moment(report.checked_at)),
        ("holds until", f"{moment(report.expires_at)}, then it counts as failed"),
        ("run", report.run_id),
        ("its page", _link(report.link)),
        ("suite", f"SHA-256 {report.suite}" if report.suite else ""),
        ("in a terminal", f"portcullis evidence show {report.name}"),
    ]
    shown = [
        f"<dt>{name}</dt><dd>{value if name == 'its page' else escape(value)}</dd>"
        for name, value in facts
        if value
    ]
    return f"<h2>Where this comes from</h2>\n<dl>{''.join(shown)}</dl>\n"


def _link(address: str) -> str:
    """A link where the address is one of the web, else as text: a page never runs what it names."""
    shown = escape(address)
    if address.startswith(("http://", "https://")):
        return f'<a href="{shown}" rel="noreferrer">{shown}</a>'
    return shown


def moment(at: int) -> str:
    """A time in UTC as people read it."""
    return datetime.fromtimestamp(at / MICRO, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _rows(report: Report) -> str:
    outcomes = [row for row in report.rows if row.keys() >= OUTCOME]
    others = [row for row in report.rows if not row.keys() >= OUTCOME]
    return _outcomes(outcomes) + _others(others, report.rows_left_out)


def _others(rows: Sequence[dict[str, Any]], left_out: int) -> str:
    if not rows:
        return ""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    body = [[_cell(row.get(name)) for name in columns] for row in rows]
    more = f"<p>{left_out} rows are left out.</p>\n" if left_out else ""
    return f"<h2>What was found</h2>\n{_table([escape(name) for name in columns], body)}{more}"


def _outcomes(rows: Sequence[dict[str, Any]]) -> str:
    """The checks of a suite, what did not hold first."""
    bad = [row for row in rows if not row["passed"]]
    bad.sort(key=lambda row: row["severity"] != "critical")
    good = [row for row in rows if row["passed"]]
    columns = ("result", "severity", "check", "what must hold", "rows", "some of them")
    parts = []
    if bad:
        body = [_outcome(row) for row in bad]
        parts.append(f"<h2>What does not hold ({len(bad)})</h2>\n{_table(columns, body)}")
    if good:
        body = [_outcome(row)[:4] for row in good]
        parts.append(f"<h2>What holds ({len(good)})</h2>\n{_table(columns[:4], body)}")
    return "".join(parts)


def _outcome(row: dict[str, Any]) -> list[str]:
    samples = "".join(f"<code>{escape(told(each))}</code>" for each in row["samples"])
    return [
        f"<td>{_result(row)}</td>",
        f"<td>{escape(str(row['severity']))}</td>",
        f'<td class="check"><code>{escape(str(row["check"]))}</code></td>',
        f"<td>{escape(str(row['says']))}</td>",
        f'<td class="count">{escape(str(row["unexpected"]))}</td>',
        f'<td class="samples">{samples}</td>',
    ]


def _result(row: dict[str, Any]) -> str:
    if row["passed"]:
        return '<span class="ok">holds</span>'
    if not row["could_run"]:
        return '<span class="failed">could not run</span>'
    if row["severity"] == "critical":
        return '<span class="failed">fails</span>'
    return '<span class="warned">warns</span>'


def told(sample: Any) -> str:
    """A row that was found, as a line: `position 100, kind x`."""
    if isinstance(sample, dict):
        return ", ".join(f"{key} {value}" for key, value in sample.items())
    return str(sample)


def _table(columns: Iterable[str], body: Iterable[Iterable[str]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in columns)
    rows = "\n".join(f"<tr>{''.join(cells)}</tr>" for cells in body)
    return f'<div class="wide"><table>\n<tr class="names">{head}</tr>\n{rows}\n</table></div>\n'


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return f"<td>{'yes' if value else 'no'}</td>"
    if isinstance(value, int | float):
        return f"<td>{value:,}</td>"
    return f"<td>{'' if value is None else escape(told(value))}</td>"
