"""How answers look to a person: on a narrow terminal too, and without raw numbers."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from portcullis.cli.brief import brief
from portcullis.cli.output import console, messages, table

ROWS = [("RULE-001", "holds 5 contracts, allowed are 4 contracts", "-"), ("RULE-002", "[b]", "")]


def printed(width: int, title: str = "") -> list[str]:
    paper = io.StringIO()
    Console(width=width, file=paper).print(table(title, ("code", "what happened", "took"), ROWS))
    return [line.rstrip() for line in paper.getvalue().splitlines()]


def test_where_there_is_room_a_listing_is_a_table():
    assert printed(60) == [
        "code      what happened                               took",
        "RULE-001  holds 5 contracts, allowed are 4 contracts  -",
        "RULE-002  [b]",
    ]


def test_on_a_narrow_terminal_each_row_is_a_list_of_its_own():
    assert printed(36, "Rules") == [
        "Rules",
        "code           RULE-001",
        "what happened  holds 5 contracts,",
        "               allowed are 4",
        "               contracts",
        "",
        "code           RULE-002",
        "what happened  [b]",
        "",
    ]


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (
            {"kind": "trade_reported", "account": "A", "side": -1, "size": 2, "fees": 1_080_000},
            "side sell, size 2, fees 1.08",
        ),
        ({"balance": 50_000_000_000, "currency": "USD"}, "balance 50,000.00 USD, currency USD"),
        ({"executed_at": 1_772_550_160_000_001}, "executed_at 03-03 15:02:40.000"),
        ({"outcome": "superseded", "sent_at": 0}, "outcome superseded"),
        ({"average": 20_000_285_714}, "average 20000.285714 ticks"),
        ({"limit_price": 20_001, "stop_price": None}, "limit_price 20001 ticks"),
        ({"by": -90_000_000}, "by -1 min 30 s"),
        ({"lock": {"rule": "person", "until": None}, "clean": True}, "lock person, clean yes"),
        ({"reasons": [], "detail": ""}, "reasons none"),
        ({"rule": "max_contracts", "reason": {"message": "holds 5"}}, "max_contracts: holds 5"),
    ],
)  # fmt: skip
def test_an_event_is_said_in_the_words_of_people(payload, said):
    assert brief(payload) == said


def test_a_long_event_is_cut_to_a_line():
    assert len(brief({"detail": "x" * 500})) == 140


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\x1b]0;all is well\x07", "\x9b31m", "\u202e"])
def test_no_text_of_others_drives_the_terminal(hostile, capsys):
    for paper in (console, messages):
        paper.print(table(f"a{hostile}b", ("one",), [[f"c{hostile}d"]]))
        paper.print(f"e{hostile}f", markup=False)
        said = "".join(capsys.readouterr())
        assert hostile not in said
        assert said.count("\ufffd") >= 3


def test_several_values_of_an_event_read_as_a_list():
    assert brief({"rules": ("max_contracts", "symbol_blocks")}) == (
        "rules max_contracts; symbol_blocks"
    )
    assert brief({"evidence": ()}) == "evidence none"
