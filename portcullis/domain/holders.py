"""Who holds what, so that a price costs what it changes, not what is held.

A holding rests while the price at which it could be closed stays within its band
(`portcullis.domain.quiet`): no rule would answer otherwise there, so nobody asks, and its mark is
caught up with when somebody looks at the account. Resting holdings stand sorted by the ends of
their bands; a price meets those it passes, and the few that are awake.

A `key` is a price in ticks, negated on the short side: on both, more is better for the holder.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence

from portcullis.domain import book, quiet
from portcullis.domain.events import Quote
from portcullis.domain.state import AccountState, Position, State
from portcullis.domain.watch import AccountWatch


class Holding:
    """One position of one account. `order` is the account's place in the plan.

    `seen` is the number of the side's newest price that is in the mark; `band` are the keys
    between which it rests (both included), None while it is awake.
    """

    __slots__ = ("account", "band", "order", "position", "seen", "side", "watch")

    def __init__(
        self, order: int, account: AccountState, watch: AccountWatch, position: Position, side: Side
    ) -> None:
        self.order = order
        self.account = account
        self.watch = watch
        self.position = position
        self.side = side
        self.seen = side.number
        self.band: quiet.Keys | None = None
        side.awake[order] = self


End = tuple[int, int, Holding]
"""Where a band ends, the holding's order, and the holding."""


NOBODY: tuple[Holding, ...] = ()


class Side:
    """The holdings of one instrument in one direction, and the prices they could be closed at.

    `floors` are sorted by the lower end of the bands, `ceilings` by the negated upper one, so that
    what a price passes stands last in either. `numbers` and `keys` are the prices that none since
    has reached, which tells the best price since any moment; at most one entry a tick.
    """

    __slots__ = (
        "awake",
        "ceilings",
        "floors",
        "key",
        "keys",
        "number",
        "numbers",
        "quoted_at",
        "sign",
    )

    def __init__(self, sign: int) -> None:
        self.sign = sign
        self.key = 0
        self.quoted_at = 0
        self.number = 0
        self.awake: dict[int, Holding] = {}
        self.floors: list[End] = []
        self.ceilings: list[End] = []
        self.numbers: list[int] = []
        self.keys: list[int] = []

    def take(self, key: int, quoted_at: int) -> None:
        """Take a price, and wake the holdings whose band it leaves."""
        self.key, self.quoted_at = key, quoted_at
        self.number += 1
        keys = self.keys
        while keys and keys[-1] <= key:
            keys.pop()
            self.numbers.pop()
        keys.append(key)
        self.numbers.append(self.number)
        floors, ceilings = self.floors, self.ceilings
        while floors and floors[-1][0] > key:
            self.place(floors[-1][2], None)
        while ceilings and ceilings[-1][0] > -key:
            self.place(ceilings[-1][2], None)

    def best_since(self, number: int) -> int:
        """The best key of the prices after that number; there must be one."""
        return self.keys[bisect_right(self.numbers, number)]

    def place(self, holding: Holding, band: quiet.Keys | None) -> None:
        """Let a holding rest within a band, or keep it awake."""
        order, before = holding.order, holding.band
        if before == band:
            return
        if before is None:
            self.awake.pop(order, None)
        else:
            del self.floors[bisect_left(self.floors, (before[0], order))]
            del self.ceilings[bisect_left(self.ceilings, (-before[1], order))]
        holding.band = band
        if band is None:
            self.awake[order] = holding
        else:
            insort(self.floors, (band[0], order, holding))
            insort(self.ceilings, (-band[1], order, holding))

    def drop(self, holding: Holding) -> None:
        """Forget a holding."""
        self.place(holding, None)
        del self.awake[holding.order]


class Holders:
    """All holdings by account and by instrument; compiled from the state, never stored."""

    def __init__(self, world: State, watches: dict[str, AccountWatch], *, restless: bool) -> None:
        """`restless`: no holding ever rests, so that every price asks every rule."""
        self._world = world
        self._restless = restless
        self._watches = watches
        self._order = {name: number for number, name in enumerate(watches)}
        self._sides: dict[str, tuple[Side, Side]] = {}
        self._held: dict[str, Sequence[Holding]] = {}
        self._behind: dict[str, tuple[Side, Side]] = {}

    def concerned(self, quote: Quote) -> Sequence[Holding]:
        """Take a price; the holdings it concerns, in the order of the plan.

        That order lets a recovered engine ask in the same one.
        """
        sides = self._sides.get(quote.instrument)
        if sides is None:
            return NOBODY
        self._behind[quote.instrument] = sides
        long, short = sides
        bid = quote.last if quote.bid is None else quote.bid
        ask = quote.last if quote.ask is None else quote.ask
        if bid is not None and (long.floors or long.awake):
            long.take(bid, quote.quoted_at)
        if ask is not None and (short.floors or short.awake):
            short.take(-ask, quote.quoted_at)
        if not (long.awake or short.awake):
            return NOBODY
        return sorted((*long.awake.values(), *short.awake.values()), key=_order_of)

    def catch_up(self, account: AccountState) -> None:
        """Bring the account's marks to the newest prices: all that the quiet ones left undone.

        Those at rest first: together they move no high of the account, whatever way they went.
        """
        holdings = self._held.get(account.id, ())
        for holding in holdings:
            if holding.band is not None and holding.seen != holding.side.number:
                self._mark(holding)
        for holding in holdings:
            if holding.seen != holding.side.number:
                self._mark(holding)

    def _mark(self, holding: Holding) -> None:
        side, position = holding.side, holding.position
        listed = self._world.instruments.get(position.instrument)
        if listed is not None:
            best = side.sign * side.best_since(holding.seen)
            price = side.sign * side.key
            book.mark(holding.account, position, price, best, side.quoted_at, listed.tick_value)
        holding.seen = side.number

    def catch_up_all(self) -> None:
        """Bring every mark to the newest price."""
        late: dict[str, AccountState] = {}
        for sides in self._behind.values():
            for side in sides:
                for _, _, holding in side.floors:
                    if holding.seen != side.number:
                        late[holding.account.id] = holding.account
        self._behind = {}
        for account in late.values():
            self.catch_up(account)

    def rest(self, account: AccountState) -> None:
        """Let what the account holds now rest within its bands, as far as its rules allow."""
        watch = self._watches[account.id]
        holdings = self._held.get(account.id, ())
        if not _are_those(holdings, account.positions):
            holdings = self._hold(account, watch)
        if not holdings:
            return
        bands = None if self._restless else quiet.bands(account, watch, self._world)
        for number, holding in enumerate(holdings):
            band = None if bands is None else bands[number]
            if holding.band != band:
                holding.side.place(holding, band)

    def _hold(self, account: AccountState, watch: AccountWatch) -> Sequence[Holding]:
        for holding in self._held.get(account.id, ()):
            holding.side.drop(holding)
        order, found = self._order[account.id], []
        for name, position in account.positions.items():
            if name not in self._sides:
                self._sides[name] = (Side(1), Side(-1))
            side = self._sides[name][position.size < 0]
            found.append(Holding(order, account, watch, position, side))
        self._held[account.id] = found
        return found


def _are_those(holdings: Sequence[Holding], positions: dict[str, Position]) -> bool:
    """Whether these are the very positions that are held, and so in the same order."""
    if len(holdings) != len(positions):
        return False
    for holding in holdings:
        if positions.get(holding.position.instrument) is not holding.position:
            return False
    return True


def _order_of(holding: Holding) -> int:
    return holding.order
