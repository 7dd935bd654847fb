"""Peer benchmark: freqtrade protections + pair locks, as its live loop uses them.

Two different moments are timed:
  A. "close check"  - ProtectionManager.stop_per_pair() + global_stop(), i.e. what
     freqtrade runs once after every closed trade (handle_protections), against a
     database holding T closed trades inside the look-back window.
  B. "entry gate"   - PairLocks.is_global_lock() + is_pair_locked(), i.e. what it asks
     before each new entry, with L active locks in the table.

Run:  python bench_freqtrade.py [--json out.json] [--db sqlite | file]
Venv: python -m venv v && v/bin/pip install freqtrade   (py 3.11)
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import platform
import tempfile
import time
from datetime import UTC, datetime, timedelta

import freqtrade
from freqtrade.persistence import PairLocks, Trade
from freqtrade.persistence.models import init_db
from freqtrade.plugins.protectionmanager import ProtectionManager

logging.disable(logging.CRITICAL)

PROTECTIONS = [
    {"method": "CooldownPeriod", "stop_duration_candles": 5},
    {
        "method": "MaxDrawdown",
        "lookback_period_candles": 48,
        "trade_limit": 20,
        "stop_duration_candles": 4,
        "max_allowed_drawdown": 0.2,
    },
    {
        "method": "StoplossGuard",
        "lookback_period_candles": 24,
        "trade_limit": 4,
        "stop_duration_candles": 2,
        "only_per_pair": False,
    },
    {
        "method": "LowProfitPairs",
        "lookback_period_candles": 6,
        "trade_limit": 2,
        "stop_duration_candles": 60,
        "required_profit": 0.02,
    },
    {
        "method": "LowProfitPairs",
        "lookback_period_candles": 24,
        "trade_limit": 4,
        "stop_duration_candles": 2,
        "required_profit": 0.01,
    },
]
CONFIG = {"timeframe": "1h", "stake_currency": "USDT"}
PAIRS = [f"C{i}/USDT" for i in range(20)]


def seed(n_trades: int, now: datetime) -> None:
    """n closed, slightly winning trades in the last 20 h: no global lock results; with
    200+ trades the cooldown locks C3/USDT once, on the first warm-up call."""
    for i in range(n_trades):
        closed = now - timedelta(hours=20 * (i + 1) / (n_trades + 1))
        t = Trade(
            pair=PAIRS[i % len(PAIRS)],
            exchange="binance",
            is_open=False,
            open_rate=100.0,
            close_rate=103.0,
            amount=1.0,
            stake_amount=100.0,
            fee_open=0.0,
            fee_close=0.0,
            open_date=closed - timedelta(hours=1),
            close_date=closed,
            close_profit=0.03,
            close_profit_abs=3.0,
            exit_reason="roi",
            strategy="S",
            timeframe=60,
            is_short=False,
        )
        Trade.session.add(t)
    Trade.commit()


def quant(lat):
    lat.sort()
    n = len(lat)
    q = lambda p: lat[min(n - 1, int(n * p))]
    return dict(
        n=n,
        p50_us=q(0.5) / 1e3,
        p95_us=q(0.95) / 1e3,
        p99_us=q(0.99) / 1e3,
        max_us=lat[-1] / 1e3,
        per_s=round(n / (sum(lat) / 1e9)),
    )


def timed(fn, n):
    pc = time.perf_counter_ns
    for _ in range(min(20, n)):
        fn()
    gc.collect()
    gc.disable()
    lat = []
    for _ in range(n):
        t = pc()
        fn()
        lat.append(pc() - t)
    gc.enable()
    return quant(lat)


if __name__ == "__main__":
    ap = argparse.ArgumentParser()
    ap.add_argument("--json")
    ap.add_argument("--db", choices=["sqlite", "file"], default="file")
    a = ap.parse_args()
    print(f"freqtrade {freqtrade.__version__} python {platform.python_version()} db={a.db}")
    rows = []
    for n_trades, reps in ((20, 300), (200, 100), (2000, 15)):
        tmp = tempfile.mkdtemp()
        init_db("sqlite://" if a.db == "sqlite" else f"sqlite:///{tmp}/t.sqlite")
        PairLocks.timeframe = "1h"
        now = datetime.now(UTC)
        seed(n_trades, now)
        pm = ProtectionManager(CONFIG, PROTECTIONS)

        def close_check():
            # same calls as FreqtradeBot.handle_protections; expire so that the
            # identity map does not hide the database read
            Trade.session.expire_all()
            pm.stop_per_pair("C3/USDT", side="long", starting_balance=10_000.0)
            pm.global_stop(side="long", starting_balance=10_000.0)

        r = timed(close_check, reps)
        r.update(case="A close check, 5 protections", closed_trades=n_trades)
        rows.append(r)
        print(json.dumps(r), flush=True)
    for n_locks in (0, 50):
        for i in range(n_locks):
            PairLocks.lock_pair(
                PAIRS[10 + i % 10], datetime.now(UTC) + timedelta(hours=2 + i), f"r{i}"
            )

        def gate():
            PairLocks.is_global_lock(side="*")
            PairLocks.is_pair_locked("C3/USDT", side="long")

        r = timed(gate, 1500)
        r.update(case="B entry gate (locks lookup)", added_locks=n_locks)
        rows.append(r)
        print(json.dumps(r), flush=True)
    if a.json:
        json.dump(
            dict(
                version=freqtrade.__version__, python=platform.python_version(), db=a.db, rows=rows
            ),
            open(a.json, "w"),
            indent=1,
        )
