"""Rows of the gateway, as they were seen live, and the facts they become."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from portcullis.domain.model import BUY, MICRO, SELL
from portcullis.venues.projectx import facts
from portcullis.venues.projectx.payloads import (
    AccountRow,
    ContractRow,
    OrderRow,
    PositionRow,
    QuoteRow,
    TradeRow,
    rows,
)

AT = 1_787_320_800_123_457


def contract(name: str = "NQZ6", root: str = "ENQ", size: str = "0.25", value: str = "5") -> bytes:
    return (
        f'{{"id":"CON.F.US.{root}.Z26","name":"{name}","description":"d","tickSize":{size},'
        f'"tickValue":{value},"activeContract":true,"symbolId":"F.US.{root}"}}'
    ).encode()


NQ = facts.instrument(rows(ContractRow, contract())[0])


@pytest.mark.parametrize(
    ("name", "root", "size", "value", "ticker", "money", "is_micro"),
    [
        ("NQZ6", "ENQ", "0.25", "5", "NQ", 5_000_000, False),
        ("ESH27", "EP", "0.25", "12.50", "ES", 12_500_000, False),
        ("MESU6", "MES", "0.25", "1.25", "MES", 1_250_000, True),
        ("6JZ6", "JY6", "0.0000005", "6.25", "6J", 6_250_000, False),
        ("M6BZ6", "M6B", "0.0001", "0.625", "M6B", 625_000, True),
        ("ZNZ6", "TYA", "0.015625", "15.625", "ZN", 15_625_000, False),
        ("METX6", "GMET", "0.5", "0.05", "MET", 50_000, True),
    ],
)
def test_a_contract_is_known_by_the_name_people_use(
    name, root, size, value, ticker, money, is_micro
):
    found = facts.instrument(rows(ContractRow, contract(name, root, size, value))[0])
    assert (found.ticker, found.root, found.tick_value) == (ticker, root, money)
    assert Decimal(found.tick_size) == Decimal(size)
    assert "E" not in found.tick_size
    assert found.is_micro is is_micro


ORDER = (
    b'{"id":3425270858,"accountId":26282486,"contractId":"CON.F.US.ENQ.Z26","symbolId":"F.US.ENQ",'
    b'"creationTimestamp":"2026-08-21T14:00:00.123456+00:00",'
    b'"updateTimestamp":"2026-08-21T14:00:00.1234567+00:00","status":1,"type":4,"side":1,"size":3,'
    b'"stopPrice":30196.75,"fillVolume":1,"customTag":"T-SL","parentOrderId":3425270857,'
    b'"trailDistance":-12}'
)


@pytest.mark.parametrize(
    "raw",
    [
        ORDER,
        b'{"action":1,"data":' + ORDER + b"}",
        b"[" + ORDER + b"]",
        b'[{"action":1,"data":' + ORDER + b"}]",
        b'{"action":1,"data":[' + ORDER + b"]}",
    ],
    ids=["bare", "wrapped", "batch", "batch of wrapped", "wrapped batch"],
)
def test_every_dialect_says_the_same(raw):
    (row,) = rows(OrderRow, raw)
    found = facts.order(row, NQ, "A")
    assert (found.account, found.order_id, found.key) == ("A", "3425270858", "T-SL")
    assert (found.side, found.type, found.status) == (SELL, "stop", "working")
    assert (found.size, found.remaining, found.stop_price) == (3, 2, 120_787)
    assert (found.limit_price, found.trail, found.parent) == (None, 12, "3425270857")
    assert found.reported_at == AT


@pytest.mark.parametrize("raw", [b"", b"null", b"7", b'"x"', b'{"action":1}', b'{"data":7}'])
def test_what_is_no_row_is_said(raw):
    with pytest.raises(msgspec.MsgspecError):
        rows(OrderRow, raw)


@pytest.mark.parametrize(
    ("status", "said", "remaining"),
    [
        (0, "pending", 2),
        (1, "working", 2),
        (2, "filled", 0),
        (3, "cancelled", 0),
        (4, "expired", 0),
        (5, "rejected", 0),
        (6, "pending", 2),
        (7, "working", 2),
        (8, "suspended", 2),
        (9, "pending", 2),
    ],
)
def test_statuses_and_what_may_still_fill(status, said, remaining):
    (row,) = rows(OrderRow, ORDER)
    found = facts.order(msgspec.structs.replace(row, status=status), NQ, "A")
    assert (found.status, found.remaining) == (said, remaining)


def test_a_later_status_of_the_same_moment_is_a_newer_version():
    (row,) = rows(OrderRow, ORDER)
    versions = [
        facts.order(msgspec.structs.replace(row, status=status), NQ, "A").version
        for status in (6, 8, 1, 2)
    ]
    assert versions == sorted(set(versions))


def test_a_closed_position_is_one_of_size_zero():
    raw = (
        b'{"action":2,"data":{"id":825245547,"accountId":7,"contractId":"CON.F.US.ENQ.Z26",'
        b'"creationTimestamp":"2026-08-21T14:00:00Z","type":0,"size":0,"averagePrice":30000.1}}'
    )
    (row,) = rows(PositionRow, raw)
    assert facts.position(row, NQ, "A", AT).size == 0
    short = facts.position(msgspec.structs.replace(row, type=2, size=3), NQ, "A", AT)
    assert (short.size, short.average, short.as_of) == (-3, 120_000_400_000, AT)


def test_money_of_a_trade_is_gross_and_its_costs_stand_beside_it():
    raw = (
        b'{"action":0,"data":{"id":9,"accountId":7,"contractId":"CON.F.US.ENQ.Z26",'
        b'"creationTimestamp":"2026-08-21T14:00:00.1234567+00:00","price":30196.5,'
        b'"profitAndLoss":-52.5,"fees":0.36,"commissions":0.25,"side":1,"size":1,"voided":false,'
        b'"orderId":3425270858}}'
    )
    (row,) = rows(TradeRow, raw)
    found = facts.trade(row, NQ, "A", "mine")
    assert (found.gross, found.fees, found.commission) == (-52_500_000, 360_000, 250_000)
    assert (found.side, found.price, found.key) == (SELL, 120_786, "mine")
    opening = msgspec.structs.replace(row, profit_and_loss=None, commissions=None, side=0)
    assert facts.trade(opening, NQ, "A").gross is None
    assert facts.trade(opening, NQ, "A").side == BUY


def test_parts_of_a_quote_are_put_together():
    whole = (
        b'{"symbol":"F.US.ENQ","lastPrice":30000.25,"bestBid":30000,"bestAsk":30000.5,'
        b'"timestamp":"2026-08-21T14:00:00Z"}'
    )
    part = b'{"symbol":"F.US.ENQ","bestBid":30000.25,"timestamp":"2026-08-21T14:00:01Z"}'
    known = None
    for each in (whole, part):
        known = rows(QuoteRow, each)[0].over(known)
    assert known is not None
    found = facts.quote(known, NQ, AT)
    assert (found.bid, found.ask, found.last) == (120_001, 120_002, 120_001)
    assert found.quoted_at == AT // MICRO * MICRO + MICRO


def test_an_account_that_does_not_say_whether_it_may_trade_is_not_told_to():
    raw = b'{"id":7,"name":"PRAC-V2-1-2","balance":50000.12,"simulated":true}'
    found = facts.account(rows(AccountRow, raw)[0], "A", AT)
    assert (found.account, found.can_trade, found.balance) == ("A", None, 50_000_120_000)


def test_a_price_off_its_tick_is_refused_not_rounded():
    (row,) = rows(OrderRow, ORDER)
    with pytest.raises(ValueError, match="off its tick"):
        facts.order(msgspec.structs.replace(row, stop_price=Decimal("30196.80")), NQ, "A")
