"""Tables that only ever grow, at their bound."""

from __future__ import annotations

from portcullis.domain.bounds import forget_oldest


def test_a_table_keeps_its_newest_entries_and_little_more():
    table: dict[str, int] = {}
    longest = 0
    for number in range(5_000):
        table[str(number)] = number
        forget_oldest(table, 640)
        longest = max(longest, len(table))
        assert list(table.values())[-640:] == list(range(max(0, number - 639), number + 1))
    assert longest == 650
