"""The market of a run: walks in whole ticks, drawn from the seed, with jumps and silences."""

from __future__ import annotations

from portcullis.domain.events import Quote
from portcullis.venues.simulated import instrument
from portcullis.venues.simulated.chance import chance

OPENING = 20_000
LOWEST = 2_000


class Walk:
    """The price of one instrument. Each step is its own draw, so a jump shifts no later step."""

    def __init__(self, seed: int, ticker: str, wild: int) -> None:
        self.id = instrument(ticker).id
        self._chance = chance(seed, f"market/{ticker}")
        self._wild = wild
        self._bid = OPENING
        self.silent_until = 0

    def jump(self, ticks: int) -> None:
        self._bid = max(LOWEST, self._bid + ticks)

    def step(self, now: int) -> Quote | None:
        """The next price; None while the market is silent."""
        wild = self._wild
        self.jump(self._chance.randint(-wild, wild))
        spread = 1 + (self._chance.random() < 0.1)
        return None if now < self.silent_until else self.quote(now, spread)

    def quote(self, now: int, spread: int = 1) -> Quote:
        return Quote(self.id, self._bid, self._bid + spread, self._bid, now)
