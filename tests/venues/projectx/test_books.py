"""What the adapter remembers: times that tell fills apart, and the gateway's time by our clock."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from portcullis.domain.events import PositionReported, TradeReported
from portcullis.domain.model import MINUTE, SECOND
from portcullis.venues.projectx.books import Books
from portcullis.venues.projectx.payloads import (
    AccountRow,
    ContractRow,
    PositionRow,
    TradeRow,
)
from portcullis.venues.projectx.skew import Skew

NQ = "CON.F.US.ENQ.Z26"
START = datetime(2026, 11, 3, 15, tzinfo=UTC)


def books() -> Books:
    """One account, flat in one contract when its positions were read."""
    made = Books()
    made.list_contract(ContractRow(NQ, "NQZ6", Decimal("0.25"), Decimal(5), symbol_id="F.US.ENQ"))
    made.meet(AccountRow(7, "A", Decimal(50_000)))
    made.flat(7, (), 0)
    return made


def fill(number: int, size: int, *, at: datetime = START) -> TradeRow:
    return TradeRow(number, 7, NQ, at, Decimal("20000.25"), 0, size, 77)


def row(size: int) -> PositionRow:
    return PositionRow(1, 7, NQ, START, 1, size, Decimal("20000.25"))


def size_in(told: PositionReported, fills: list[TradeReported]) -> int:
    """The position as the domain has it: the row, and the fills that are newer."""
    newer = (each.side * each.size for each in fills if each.executed_at > told.as_of)
    return told.size + sum(newer)


@pytest.mark.parametrize("order", list(itertools.permutations((1, 2, 3))))
def test_parts_of_an_order_told_with_one_time_are_told_apart(order):
    kept, fills, seen = books(), [], 0
    sizes = {1: 1, 2: 4, 3: 2}
    for number in order:
        fills.append(kept.trade(fill(number, sizes[number])))
        seen += sizes[number]
        told = kept.position(row(seen))
        assert told is not None
        assert size_in(told, fills) == seen
    told = kept.position(row(7))
    assert told is not None
    late = kept.trade(fill(4, 3))
    assert size_in(told, [*fills, late]) == 10


def test_a_fill_that_is_listed_again_keeps_its_time():
    kept = books()
    first, second = kept.trade(fill(1, 1)), kept.trade(fill(2, 1))
    again = [kept.trade(fill(number, 1)).executed_at for number in (2, 1)]
    assert again == [second.executed_at, first.executed_at]
    assert second.executed_at > first.executed_at
    later = kept.trade(fill(3, 1, at=START + timedelta(seconds=1)))
    assert later.executed_at == first.executed_at + SECOND


def test_the_seconds_of_answers_stand_in_until_a_message_tells_exactly():
    skew = Skew()
    assert skew.there(100) is None
    skew.note_second(50 * SECOND, 7 * SECOND + 900_000)
    assert skew.there(8 * SECOND) == 50 * SECOND + 100_000
    skew.note(51 * SECOND, 8 * SECOND)
    assert skew.there(9 * SECOND) == 52 * SECOND


def test_a_message_from_the_future_is_not_believed():
    skew = Skew()
    skew.note_second(50 * SECOND, 7 * SECOND)
    skew.note(50 * SECOND + MINUTE, 7 * SECOND)
    assert skew.there(8 * SECOND) == 51 * SECOND
    skew.note(50 * SECOND + 400_000, 7 * SECOND + 500_000)
    assert skew.there(8 * SECOND) == 50 * SECOND + 900_000
