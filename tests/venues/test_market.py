"""Recorded markets: the shipped days, the paths inside them, and a person's own files."""

from __future__ import annotations

import importlib
import itertools
import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portcullis.domain.model import SECOND
from portcullis.errors import NotFound, UsageError
from portcullis.venues.simulated import instrument
from portcullis.venues.simulated.chance import chance
from portcullis.venues.simulated.market.bridge import day_path
from portcullis.venues.simulated.market.daily import Bar, shipped
from portcullis.venues.simulated.market.readers import read_market
from portcullis.venues.simulated.market.replay import SESSION, DailyReplay, RecordedReplay

ES = instrument("ES")


@st.composite
def bars(draw) -> Bar:
    low = draw(st.integers(1, 10_000))
    high = low + draw(st.integers(0, 500))
    within = st.integers(low, high)
    return Bar("d", draw(within), high, low, draw(within))


@given(bars(), st.integers(4, 400), st.integers(0, 99))
@settings(max_examples=200, deadline=None)
def test_a_path_honours_open_high_low_and_close(bar, steps, seed):
    path = day_path(bar, steps, chance(seed, "p"))
    assert len(path) == steps + 1
    assert (path[0], max(path), min(path), path[-1]) == (bar.open, bar.high, bar.low, bar.close)


def test_the_shipped_days_are_the_recorded_ones_on_tick():
    sp, nasdaq = shipped("sp500"), shipped("nasdaq")
    assert [bar.day for bar in sp.bars] == [bar.day for bar in nasdaq.bars]
    assert len(sp.bars) == 500
    last = sp.bars[-1]
    assert last.day == "2018-12-31"
    assert last.close == round(Decimal("2506.850098") / Decimal("0.25"))
    assert [i.ticker for i in sp.instruments] == ["ES", "MES"]
    with pytest.raises(NotFound, match="dax"):
        shipped("dax")


def test_the_shipped_days_are_those_of_the_package_they_came_from():
    data = importlib.import_module("arch.data.sp500").load().iloc[-500:]
    tick = Decimal("0.25")
    for bar, (day, row) in zip(shipped("sp500").bars, data.iterrows(), strict=True):
        assert bar.day == day.date().isoformat()
        recorded = [row[name] for name in ("Open", "High", "Low", "Close")]
        assert list(bar[1:]) == [round(Decimal(str(price)) / tick) for price in recorded]


def test_frames_play_each_day_exactly_and_all_instruments_of_a_series_alike():
    replay = DailyReplay(seed=3, speed=2_000, first=480, days=3)
    frames = list(itertools.islice(replay.frames(10 * SECOND), 3 * (replay.steps + 1)))
    assert [f.at for f in frames] == [10 * SECOND + n * replay.interval for n in range(len(frames))]
    lasts: dict[str, list] = {i: [] for i in ("ES", "MES", "NQ", "MNQ")}
    for frame in frames:
        for ticker, quote in zip(lasts, frame.quotes, strict=True):
            assert quote.instrument == instrument(ticker).id
            assert quote.bid is not None
            assert quote.ask == quote.bid + 1
            assert quote.last in (quote.bid, quote.ask)
            assert quote.quoted_at == frame.at
            lasts[ticker].append(quote.last)
    assert lasts["ES"] == lasts["MES"]
    for number, bar in enumerate(shipped("sp500").bars[480:483]):
        day = lasts["ES"][number * (replay.steps + 1) :][: replay.steps + 1]
        assert (day[0], max(day), min(day), day[-1]) == bar[1:]


def test_speed_shortens_the_day_and_rounds_go_on_without_a_jump():
    replay = DailyReplay(speed=SESSION / (10 * SECOND), first=100, days=2)
    assert replay.steps == 40
    frames = itertools.islice(replay.frames(0), 82 * 3 + 1)
    lasts = [frame.quotes[0].last or 0 for frame in frames]
    bar_open = shipped("sp500").bars[100].open
    assert lasts[0] == bar_open
    assert lasts[82] == lasts[81], "the next round opens where the last one closed"
    assert lasts[83] - lasts[82] == lasts[1] - lasts[0], "and plays the same moves"


@pytest.mark.parametrize(
    "arguments", [{"speed": 0}, {"first": 500}, {"first": 1, "days": 500}, {"days": 0}]
)
def test_a_slice_that_does_not_exist_is_refused(arguments):
    with pytest.raises(UsageError, match="cannot play"):
        DailyReplay(**arguments)


TRACE = """
import hashlib, itertools
from portcullis.venues.simulated.market.replay import DailyReplay
frames = itertools.islice(DailyReplay(seed=5, speed=600, first=400, days=2).frames(0), 400)
print(hashlib.sha256(repr(list(frames)).encode()).hexdigest())
"""


def test_frames_repeat_in_another_process_with_another_hash_seed():
    traces = [
        subprocess.run(
            [sys.executable, "-c", TRACE],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
        ).stdout
        for seed in ("1", "2")
    ]
    assert traces[0] == traces[1] != ""


def write(tmp_path, text: str):
    path = tmp_path / "data.csv"
    path.write_text(text, encoding="utf-8")
    return path


KINDS = [
    ("Timestamp,BID,Ask\n2026-01-05T10:00:00Z,100.25,100.50\n", "quotes", [(401, 402)]),
    ("ts,price\n1767607200,100\n1767607200123,100.25\n", "ticks", [(400, 401), (401, 402)]),
    (
        "date,Open,High,Low,Close,Volume\n2026-01-05T10:00:00+00:00,100,102,99,101,5\n",
        "bars",
        [(400, 401), (396, 397), (408, 409), (404, 405)],
    ),
    ("t,b,a\n2026-01-05T10:00:00Z,,100.5\n", "quotes", [(None, 402)]),
]


@pytest.mark.parametrize(("text", "kind", "sides"), KINDS)
def test_columns_are_found_by_name(tmp_path, text, kind, sides):
    found = read_market(write(tmp_path, text), ES)
    assert found.kind == kind
    assert [(q.bid, q.ask) for q in found.quotes] == sides
    assert found.faults == []
    assert found.quotes[0].quoted_at // (86_400 * SECOND) == 20_458


BAD_ROWS = [
    ("2026-01-05T10:00:00Z,100.3", "'price'", "multiple of the tick 0.25"),
    ("2026-01-05T10:00:00Z,-1", "'price'", "above 0"),
    ("2026-01-05T10:00:00Z,nan", "'price'", "above 0"),
    ("2026-01-05T10:00:00Z,cheap", "'price'", "decimal number"),
    ("2026-01-05T10:00:00Z,", "'price'", "decimal number"),
    ("2026-01-04T10:00:00Z,100", "'time'", "not before the row above"),
    ("2026-01-05T10:00:00,100", "'time'", "offset, or a zone"),
    ("yesterday,100", "'time'", "ISO-8601"),
]


@pytest.mark.parametrize(("row", "column", "allowed"), BAD_ROWS)
def test_a_bad_row_is_a_fault_or_refuses_the_file(tmp_path, row, column, allowed):
    path = write(tmp_path, f"time,price\n2026-01-05T09:00:00Z,100\n{row}\n")
    found = read_market(path, ES)
    assert len(found.quotes) == 1
    (fault,) = found.faults
    for part in (f"{path}:3:", column, allowed):
        assert part in fault.detail
    with pytest.raises(UsageError) as caught:
        read_market(path, ES, on_bad="refuse")
    assert fault.detail in str(caught.value)


def test_a_zone_makes_local_times_good(tmp_path):
    path = write(tmp_path, "time,price\n2026-01-05T09:00:00,100\n")
    (quote,) = read_market(path, ES, zone="America/Chicago").quotes
    (utc,) = read_market(path, ES, zone="UTC").quotes
    assert quote.quoted_at - utc.quoted_at == 6 * 3600 * SECOND


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("when,how much\n1,2\n", "neither bars, quotes nor ticks"), ("time,price\n", "no rows")],
)
def test_a_file_without_market_data_is_refused(tmp_path, text, complaint):
    with pytest.raises(UsageError, match=complaint):
        read_market(write(tmp_path, text), ES)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_market(tmp_path / "none.csv", ES)
    (tmp_path / "bad.parquet").write_bytes(b"not parquet")
    with pytest.raises(UsageError, match="cannot be read"):
        read_market(tmp_path / "bad.parquet", ES)


def test_parquet_reads_like_csv(tmp_path):
    pa = pytest.importorskip("pyarrow")
    parquet = importlib.import_module("pyarrow.parquet")
    text = "time,bid,ask\n2026-01-05T10:00:00Z,100.25,100.5\n2026-01-05T10:00:01Z,100.3,100.5\n"
    path = write(tmp_path, text)
    table = pa.table(
        {
            "Time": pa.array([1767607200_000, 1767607201_000], pa.timestamp("ms", "UTC")),
            "bid": [100.25, 100.3],
            "ask": [100.5, 100.5],
        }
    )
    parquet.write_table(table, tmp_path / "data.parquet")
    csv, other = read_market(path, ES), read_market(tmp_path / "data.parquet", ES)
    assert csv.quotes == other.quotes
    assert len(csv.faults) == len(other.faults) == 1


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    real = importlib.import_module

    def without(name, *rest):
        if name.startswith("pyarrow"):
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    (tmp_path / "x.parquet").touch()
    with pytest.raises(UsageError, match="pyarrow is not installed"):
        read_market(tmp_path / "x.parquet", ES)


def test_own_quotes_play_at_their_own_pace_for_ever(tmp_path):
    text = "time,price\n2026-01-05T10:00:00Z,100\n2026-01-05T10:00:08Z,101\n"
    quotes = read_market(write(tmp_path, text), ES).quotes
    frames = list(itertools.islice(RecordedReplay(quotes, speed=4).frames(50), 4))
    assert [f.at for f in frames[:2]] == [50, 50 + 2 * SECOND]
    assert frames[2].at > frames[1].at
    assert [f.quotes[0].last for f in frames] == [400, 404, 400, 404]
    with pytest.raises(UsageError):
        RecordedReplay([])
