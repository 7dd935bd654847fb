"""Five accounts whose traders break all fourteen rules in turn, on recorded prices.

The traders know the recording: for each trade a moment and a direction are looked up at which
the recorded market makes the loss or the profit the rule needs. The market itself is played
unchanged. Everything is over within `LENGTH`; a day of the market lasts `DAY`.

`EXPECTED` names, per account and in order of the breaches, each rule and the limits that make
it trip. Locks that last come last in their account, so that no rule hides another:

- DEMO-SIZE: too many of one instrument (reduced), too many in all (flattened), a blocked symbol;
- DEMO-LOSS: a losing trade (cool-down), an open loss (closed), the day's loss (locked);
- DEMO-HABIT: no stop-loss (closed), too many trades (cool-down), outside the session;
- DEMO-PROFIT: a managed trade (automatic stop, break-even, trailing), the profit target of a
  position (closed), the day's profit (locked);
- DEMO-END: the venue forbids trading and allows it again, the trailing drawdown (locked).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from portcullis.domain.model import BUY, MICRO, MINUTE, SECOND, SELL
from portcullis.errors import UsageError
from portcullis.venues.simulated.exchange import Exchange
from portcullis.venues.simulated.market.replay import SESSION, DailyReplay
from portcullis.venues.simulated.traders import Allow, Close, Place, Step, Trader, When

BALANCE = 50_000 * MICRO
DAY = 2 * MINUTE
DAYS = 2
LENGTH = DAYS * DAY
SPEED = SESSION / DAY
FIRST_DAYS = (484, 492, 488)
"""Slices that are tried in turn: late 2018, when markets moved."""

_MARGIN = 6 * SECOND
"""Time between the end of one part and the beginning of the next."""

_COOLDOWN = 15 * SECOND

_HOLD = 6
"""Frames (1.5 s) the market gives whoever enforces."""

_EVERY_DAY = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

Rule = tuple[str, dict[str, Any]]

EXPECTED: dict[str, list[Rule]] = {
    "DEMO-SIZE": [
        (
            "max_contracts_per_instrument",
            {"limits": {"MES": 2, "MNQ": 5, "NQ": 1}, "unknown": "deny", "on_breach": "reduce"},
        ),
        (
            "max_contracts",
            {"limit": 4, "count": "net", "micro_ratio": "none", "on_breach": "flatten"},
        ),
        ("symbol_blocks", {"blocked": ["NQ"]}),
    ],
    "DEMO-LOSS": [
        ("cooldown_after_loss", {"tiers": [{"loss": 50, "cooldown": "15 s"}]}),
        ("daily_unrealized_loss", {"limit": 150, "scope": "position"}),
        ("daily_realized_loss", {"limit": 350}),
    ],
    "DEMO-HABIT": [
        ("no_stop_loss_grace", {"grace": "10 s", "cover": "full"}),
        (
            "trade_frequency_limit",
            {"per_minute": 4, "per_hour": 30, "per_session": 50, "minute_cooldown": "15 s"},
        ),
        (
            "session_block_outside",
            {
                "sessions": [{"start": "00:00", "end": "24:00", "days": list(_EVERY_DAY)}],
                "instruments": {
                    "MNQ": [
                        {
                            "start": "03:00",
                            "end": "03:01",
                            "zone": "America/Chicago",
                            "days": ["sun"],
                        }
                    ]
                },
            },
        ),
    ],
    "DEMO-PROFIT": [
        (
            "trade_management",
            {
                "auto_stop": 60,
                "break_even": {"trigger": 30, "offset": 2},
                "trailing": {"activate": 60, "distance": 30},
            },
        ),
        ("max_unrealized_profit", {"target": 150, "scope": "position", "mode": "take_profit"}),
        ("daily_realized_profit", {"target": 320}),
    ],
    "DEMO-END": [
        ("auth_loss_guard", {"check_every": "5 s", "auto_unlock": True}),
        (
            "trailing_drawdown",
            {"start": 50_000, "allowance": 200, "trail": "intraday", "lock_at_start": True},
        ),
    ],
}
"""Account -> (rule, parameters), in the order in which the breaches come and in the words of the
configuration: money in units of the currency, distances in ticks. The session of MNQ is one minute
a week, so it is always over."""


class Demonstration(NamedTuple):
    """A market to play and what each account's trader does on it."""

    replay: DailyReplay
    scripts: dict[str, tuple[Step, ...]]

    def traders(self, exchange: Exchange) -> list[Trader]:
        """Open the accounts on the exchange and seat a trader at each."""
        for account in self.scripts:
            exchange.open_account(account, balance=BALANCE)
        return [Trader(exchange, account, script) for account, script in self.scripts.items()]


def demonstration(seed: int = 0) -> Demonstration:
    """The demonstration for a seed: the first slice on which every trade can be placed."""
    for first in FIRST_DAYS:
        replay = DailyReplay(seed=seed, speed=SPEED, first=first, days=DAYS)
        path = [
            price for day in range(replay.first, replay.last) for price in replay.path("sp500", day)
        ]
        try:
            scripts = {
                "DEMO-SIZE": _size(),
                "DEMO-LOSS": _loss(_Oracle(path, replay.interval)),
                "DEMO-HABIT": _habit(),
                "DEMO-PROFIT": _profit(_Oracle(path, replay.interval)),
                "DEMO-END": _end(_Oracle(path, replay.interval)),
            }
        except LookupError:
            continue
        return Demonstration(replay, scripts)
    raise UsageError(f"no slice suits the demonstration with seed {seed}", remedy="another seed")


Judge = Callable[[Iterator[int]], int | None]
"""Takes how far the market moved in the trade's favour, frame by frame from the entry; answers
after how many frames the trade has done what it should, or None when it does not."""


class _Oracle:
    """Looks up trades in the recording, each after the one before."""

    def __init__(self, path: list[int], interval: int) -> None:
        self._path = path
        self._interval = interval
        self.free_at = 5 * SECOND

    def trade(self, judge: Judge, *, pause: int = _MARGIN) -> tuple[int, int]:
        """When to enter (microseconds) and on which side; LookupError when there is no such."""
        for entry in range(-(-self.free_at // self._interval), len(self._path)):
            for side in (BUY, SELL):
                paid = self._path[entry]
                length = judge(side * (price - paid) for price in islice(self._path, entry, None))
                if length is not None:
                    self.free_at = (entry + length) * self._interval + pause
                    return entry * self._interval, side
        raise LookupError("no such trade in this slice")


def gains(target: int, adverse: int, most: int = 1_000) -> Judge:
    """A trade that gains `target` ticks before it loses `adverse`.

    It jumps the last two ticks, which the spread may cost, and stays beyond for `_HOLD` frames:
    whoever acts on the target within that time still gets it, and no more than `most`.
    """

    def judge(moves: Iterator[int]) -> int | None:
        for frame, move in enumerate(moves):
            if move <= -adverse:
                return None
            if move >= target - 2:
                stays = [move, *islice(moves, _HOLD)]
                good = len(stays) > _HOLD and target <= min(stays) <= max(stays) <= most
                return frame + _HOLD if good else None
        return None

    return judge


def loses(target: int, adverse: int, most: int = 1_000) -> Judge:
    """A trade that loses `target` ticks before it gains `adverse`; as `gains`, mirrored."""
    mirrored = gains(target, adverse, most)
    return lambda moves: mirrored(-move for move in moves)


def trails(adverse: int, trigger: int, activate: int, distance: int, most: int) -> Judge:
    """A trade a trailing stop ends: up by `activate`, then back by `distance`.

    It never loses `adverse`, never comes back to the entry after `trigger`, never gains `most`.
    """

    def judge(moves: Iterator[int]) -> int | None:
        peak = 0
        for frame, move in enumerate(moves):
            peak = max(peak, move)
            if peak >= most or move <= -adverse:
                return None
            if peak >= activate and peak - move >= distance:
                return frame
            if activate > peak >= trigger and move <= 5:
                return None
        return None

    return judge


def _enter(at: int, side: int, size: int, breaks: str, ticker: str = "MES") -> Step:
    return Step(When(at=at), Place(ticker, side, size), breaks)


def _size() -> tuple[Step, ...]:
    return (
        _enter(5 * SECOND, BUY, 3, "max_contracts_per_instrument"),
        Step(When(at=20 * SECOND), Close("MES")),
        _enter(30 * SECOND, BUY, 2, ""),
        _enter(35 * SECOND, SELL, 3, "max_contracts", "MNQ"),
        _enter(60 * SECOND, BUY, 1, "symbol_blocks", "NQ"),
    )


def _loss(oracle: _Oracle) -> tuple[Step, ...]:
    """With 2 MES (2.50 a tick): lose 60 and close; lose 150 twice, closed by the worker."""
    small, side = oracle.trade(loses(24, 20, 60), pause=_COOLDOWN + _MARGIN)
    first, first_side = oracle.trade(loses(60, 30, 90), pause=_COOLDOWN + _MARGIN)
    second, second_side = oracle.trade(loses(60, 30))
    return (
        _enter(small, side, 2, "cooldown_after_loss"),
        Step(When(profit_at_most=-60 * MICRO), Close("MES")),
        _enter(first, first_side, 2, "daily_unrealized_loss"),
        _enter(second, second_side, 2, "daily_realized_loss"),
    )


def _habit() -> tuple[Step, ...]:
    burst = [
        Step(
            When(at=80 * SECOND + n * SECOND // 2),
            Place("MES", BUY if n % 2 == 0 else SELL, 1),
            "trade_frequency_limit" if n == 4 else "",
        )
        for n in range(5)
    ]
    return (
        _enter(5 * SECOND, BUY, 1, "no_stop_loss_grace"),
        *burst,
        Step(When(at=84 * SECOND), Close("MES")),
        _enter(150 * SECOND, SELL, 1, "session_block_outside", "MNQ"),
    )


def _profit(oracle: _Oracle) -> tuple[Step, ...]:
    """1 MES (1.25 a tick) ended by a trailing stop; then 4 MES (5 a tick) up by 150.

    Three times, of which the day's target needs two or three: whatever comes under its lock is
    flattened at once.
    """
    managed, side = oracle.trade(trails(45, 25, 66, 45, 110), pause=3 * _MARGIN)
    trades = [oracle.trade(gains(32, 40)) for _ in range(3)]
    names = ("max_unrealized_profit", "daily_realized_profit", "")
    return (
        _enter(managed, side, 1, "trade_management"),
        Step(When(at=trades[0][0] - 2 * SECOND), Close("MES")),
        *(_enter(at, way, 4, name) for (at, way), name in zip(trades, names, strict=True)),
    )


def _end(oracle: _Oracle) -> tuple[Step, ...]:
    """1 MES while the venue forbids; then 3 MES (3.75 a tick) lose 200 and more."""
    oracle.free_at = 45 * SECOND
    last, side = oracle.trade(loses(80, 30))
    return (
        _enter(9 * SECOND, BUY, 1, ""),
        Step(When(at=10 * SECOND), Allow(can_trade=False), "auth_loss_guard"),
        Step(When(at=30 * SECOND), Allow(can_trade=True)),
        _enter(last, side, 3, "trailing_drawdown"),
    )
