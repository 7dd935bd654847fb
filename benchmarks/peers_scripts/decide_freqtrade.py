"""freqtrade's entry gate on the list of orders. Prints JSON: a verdict and a time a case.

python decide_freqtrade.py CASES.json CALLS

Its own code decides: FreqtradeBot.enter_positions and create_trade with the pair locks, the
protections, the strategy's check of the candle's age, the wallet and the stake's validation. Only
the exchange is a stand-in that answers with a price, and placing the order is a counter. Exits
pass no gate there; what cannot be asked of it at all has the verdict "-".
"""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime, timedelta
from threading import Lock

import freqtrade
from freqtrade.enums import RunMode, State, TradingMode
from freqtrade.exceptions import TemporaryError
from freqtrade.freqtradebot import FreqtradeBot
from freqtrade.persistence import PairLocks, Trade
from freqtrade.persistence.models import init_db
from freqtrade.plugins.pairlistmanager import PairListManager
from freqtrade.plugins.protectionmanager import ProtectionManager
from freqtrade.strategy import IStrategy
from freqtrade.wallets import Wallets
from pandas import DataFrame

logging.disable(logging.CRITICAL)
PAIR, POINT, PRICE = "ES/USD", 50, 5000.0
MEANS = {
    "position",
    "loss",
    "cooldown",
    "locked",
    "shut",
    "quote",
    "blocked",
    "unknown_instrument",
    "balance",
    "disconnected",
}
CANNOT_BE_ASKED = ("unknown_account", "repeated")


class Strategy(IStrategy):
    """Wants to enter whenever it is asked."""

    INTERFACE_VERSION = 3
    timeframe = "5m"
    minimal_roi = {"0": 10}
    stoploss = -0.5

    def populate_indicators(self, dataframe, metadata):
        return dataframe

    def populate_entry_trend(self, dataframe, metadata):
        return dataframe

    def populate_exit_trend(self, dataframe, metadata):
        return dataframe


class Exchange:
    """Markets, a price, and no limits of its own."""

    name = "stand-in"

    def __init__(self, given):
        known = "NQ/USD" if given.get("unknown_instrument") else PAIR
        self.markets = {known: {"active": True, "quote": "USD"}}
        self.disconnected = given.get("disconnected", False)

    def get_proxy_coin(self):
        return "USD"

    def get_pair_base_currency(self, pair):
        return pair.split("/")[0]

    def get_pair_quote_currency(self, pair):
        return pair.split("/")[1]

    def market_is_tradable(self, market):
        return True

    def get_markets(self, **_):
        return self.markets

    def exchange_has(self, _):
        return True

    def get_option(self, *_):
        return None

    def get_rate(self, *_, **__):
        if self.disconnected:
            raise TemporaryError("not connected")
        return PRICE

    def get_min_pair_stake_amount(self, *_):
        return None

    def get_max_pair_stake_amount(self, *_):
        return float("inf")


class Frames:
    """The newest analyzed candles of the pair."""

    runmode = RunMode.DRY_RUN

    def __init__(self, given):
        now = datetime.now(UTC)
        ages = {"none": [], "stale": [70, 65, 60]}.get(given.get("quote", ""), [10, 5, 0])
        self.frame = DataFrame(
            [
                {
                    "date": now - timedelta(minutes=age),
                    "open": PRICE,
                    "close": PRICE,
                    "high": PRICE,
                    "low": PRICE,
                    "volume": 1,
                    "enter_long": 1,
                    "exit_long": 0,
                    "enter_tag": "",
                }
                for age in ages
            ]
        )
        if ages:
            self.frame["date"] = self.frame["date"].astype("datetime64[ns, UTC]")

    def get_analyzed_dataframe(self, *_):
        return self.frame, datetime.now(UTC)


class Bot(FreqtradeBot):
    """The bot without its start: only what its entry gate asks, and a counter as the way out."""

    def __init__(self, case):
        given = case["given"]
        stake = case["size"] * PRICE * POINT
        balance = given.get("balance", 10_000_000)
        self.config = {
            "stake_currency": "USD",
            "stake_amount": stake,
            "max_open_trades": 5,
            "dry_run": True,
            "dry_run_wallet": balance,
            "tradable_balance_ratio": 1.0,
            "amend_last_stake_amount": False,
            "last_stake_amount_min_ratio": 0.5,
            "available_capital": balance,
            "trading_mode": TradingMode.SPOT,
            "margin_mode": "",
            "timeframe": "5m",
            "runmode": RunMode.DRY_RUN,
            "candle_type_def": "spot",
            "exchange": {
                "name": "stand-in",
                "pair_whitelist": [PAIR],
                "pair_blacklist": [PAIR] if given.get("blocked") else [],
            },
            "pairlists": [{"method": "StaticPairList"}],
            "entry_pricing": {},
            "exit_pricing": {},
        }
        init_db("sqlite://")
        PairLocks.timeframe = "5m"
        PairLocks.use_db = True
        self.trading_mode, self.sent = TradingMode.SPOT, 0
        self._exit_lock = Lock()
        self.exchange = Exchange(given)
        self.strategy = Strategy(self.config)
        self.dataprovider = Frames(given)
        self.state = State.PAUSED if given.get("shut") else State.RUNNING
        self._history(given)
        self.wallets = Wallets(self.config, self.exchange)
        pairs = PairListManager(self.exchange, self.config)
        pairs.refresh_pairlist()
        self.active_pair_whitelist = pairs.whitelist

    def log_once(self, message, logmethod, *_, **__):
        logmethod(message)

    def _history(self, given):
        now = datetime.now(UTC)
        if given.get("position"):
            self._trade(float(given["position"]), now, None)
        methods = []
        for name, method in (
            (
                "loss",
                {
                    "method": "MaxDrawdown",
                    "lookback_period": 1440,
                    "trade_limit": 1,
                    "stop_duration": 600,
                    "max_allowed_drawdown": 0.00005,
                    "calculation_mode": "equity",
                },
            ),
            ("cooldown", {"method": "CooldownPeriod", "stop_duration": 5}),
        ):
            if name in given:
                self._trade(1.0, now - timedelta(seconds=30), -float(given[name]))
                methods.append(method)
        if methods:
            guard = ProtectionManager(self.config, methods)
            start = float(self.config["dry_run_wallet"])
            guard.stop_per_pair(PAIR, side="long", starting_balance=start)
            guard.global_stop(side="long", starting_balance=start)
        if given.get("locked"):
            PairLocks.lock_pair("*", now + timedelta(hours=8), "locked")

    def _trade(self, amount, when, profit):
        closed = profit is not None
        trade = Trade(
            pair=PAIR,
            exchange="stand-in",
            is_open=not closed,
            open_rate=PRICE,
            amount=amount,
            stake_amount=amount * PRICE * POINT,
            fee_open=0.0,
            fee_close=0.0,
            open_date=when - timedelta(minutes=1),
            strategy="Strategy",
            timeframe=5,
            is_short=False,
        )
        if closed:
            trade.close_rate, trade.close_date, trade.exit_reason = PRICE, when, "stop_loss"
            trade.close_profit_abs = profit
            trade.close_profit = profit / trade.stake_amount
        Trade.session.add(trade)
        Trade.commit()

    def execute_entry(self, pair, stake_amount, price=None, **_):
        """As the bot's own up to the order: validate price and stake, then count."""
        _, stake, _ = self.get_valid_enter_price_and_stake(
            pair, price, stake_amount, "long", None, None, "initial", None
        )
        self.sent += bool(stake)
        return bool(stake)

    def ask(self):
        """Whether an entry would be sent: the condition of the bot's loop, then its own gate."""
        before = self.sent
        try:
            if self.state == State.RUNNING and self.get_free_open_trades():
                self.enter_positions(self.get_free_open_trades())
        except TemporaryError as error:
            return False, str(error)
        return self.sent > before, ""


def decide(case, calls):
    given = case["given"]
    missing = sorted(set(given) - MEANS)
    if case["side"] == "sell":
        # An exit sells what the trade holds and passes no gate; more than that cannot be asked.
        is_exit = case["size"] <= given.get("position", 0)
        verdict = "approve" if is_exit else "-"
        return {"verdict": verdict, "us": None, "why": "exits pass no gate", "missing": missing}
    if any(name in given for name in CANNOT_BE_ASKED):
        return {"verdict": "-", "us": None, "why": "cannot be asked", "missing": missing}
    if case["price"] and float(case["price"]) * 4 % 1:
        why = "rounds every price to the tick itself"
        return {"verdict": "-", "us": None, "why": why, "missing": missing}
    bot, laps = Bot(case), []
    approved, why = False, ""
    for _ in range(calls):
        Trade.session.expire_all()
        begun = time.perf_counter_ns()
        approved, why = bot.ask()
        laps.append(time.perf_counter_ns() - begun)
    laps.sort()
    verdict = "approve" if approved else "deny"
    return {"verdict": verdict, "us": laps[calls // 2] / 1000, "why": why, "missing": missing}


if __name__ == "__main__":
    cases = json.loads(open(sys.argv[1]).read())
    rows = [decide(case, int(sys.argv[2])) for case in cases]
    print(json.dumps({"version": freqtrade.__version__, "rows": rows}))
