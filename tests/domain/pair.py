"""Two engines that get the same facts: one whose holdings rest, one that asks at every price."""

from __future__ import annotations

from typing import Any

from portcullis.domain.commands import MoveStop, PlaceStop
from portcullis.domain.engine import Engine
from portcullis.domain.events import (
    AccountReported,
    CommandConcluded,
    CommandIssued,
    InstrumentListed,
    LedgerCreated,
    OrderReported,
    PositionReported,
    Quote,
    Reconciled,
    RequestReceived,
    RulesLoaded,
    TimePassed,
    TradeReported,
    VenueLinked,
    WorkerStarted,
    encode,
)
from portcullis.domain.model import MICRO, SECOND
from portcullis.domain.plan import AccountPlan, Plan, digest, encode_plan
from portcullis.domain.state import freeze, thaw
from tests.domain.desk import LISTED, START, USD

NAMES = [LISTED[ticker].id for ticker in ("ES", "MES", "NQ")]
ACCOUNTS = ("A", "B", "C")


class Pair:
    """Two engines that get the same facts: one whose holdings rest, one that asks at every price.

    Looking at the state brings marks up to date, so it is looked at only when the story says so.
    """

    def __init__(self, rules: tuple[Any, ...]) -> None:
        self.resting, self.restless = Engine(), Engine(restless=True)
        self.position, self.now = 0, START
        self.open: list[CommandIssued] = []
        self.do(LedgerCreated("L", "test"))
        self.do(WorkerStarted("test", 0, True))
        self.load(rules)
        for name in NAMES[:2]:
            self.list(name, 1)
        self.do(VenueLinked("sim", True))
        for name in ACCOUNTS[:2]:
            self.do(AccountReported(name, True, 50_000 * USD, "USD", START))
            self.do(Reconciled(name, 0, True))

    def do(self, fact: Any) -> None:
        self.position += 1
        found = [
            list(engine.apply(self.position, self.now, fact))
            for engine in (self.resting, self.restless)
        ]
        assert [encode(d) for d in found[0]] == [encode(d) for d in found[1]], fact
        self.compare()
        self.position += len(found[0])
        self.open += [each for each in found[0] if isinstance(each, CommandIssued)]

    def compare(self) -> None:
        assert self.resting.next_deadline() == self.restless.next_deadline()

    def load(self, rules: tuple[Any, ...]) -> None:
        data = encode_plan(Plan(tuple(AccountPlan(name, rules) for name in ACCOUNTS)))
        self.do(RulesLoaded(digest(data), data))

    def list(self, name: str, worth: int) -> None:
        listed = next(each for each in LISTED.values() if each.id == name)
        kind = type(listed)
        fields = {field: getattr(listed, field) for field in kind.__struct_fields__}
        fields["tick_value"] = listed.tick_value * worth
        self.do(InstrumentListed(kind(**fields)))

    def venue(self) -> None:
        self.do(VenueLinked("sim", True))

    def look(self) -> None:
        assert freeze(self.resting.state) == freeze(self.restless.state)

    def wait(self, us: int) -> None:
        end = self.now + us
        while (due := self.resting.next_deadline()) is not None and due <= end:
            self.now = max(self.now, due)
            self.do(TimePassed())
        self.now = end

    def recover(self) -> None:
        """Both go on from a snapshot, the one at rest with another's."""
        data = freeze(self.resting.state)
        self.restless = Engine(thaw(freeze(self.restless.state)), restless=True)
        self.resting = Engine(thaw(data))


class Reborn(Pair):
    """The other engine is a new one for every fact, thawed from the state of the one before."""

    def do(self, fact: Any) -> None:
        self.restless = Engine(thaw(freeze(self.restless.state)))
        super().do(fact)

    def compare(self) -> None:
        """Who lived on may wake for a deadline that moved meanwhile, and then finds nothing."""

    def recover(self) -> None:
        """Only the other one ever does."""


def play(pair: Pair, story: list[tuple[Any, ...]]) -> None:
    for number, (verb, *rest) in enumerate(story):
        pair.now += 1000
        step(pair, number, verb, *rest)
    pair.look()


def step(pair: Pair, number: int, verb: str, *rest: Any) -> None:
    now = pair.now
    if verb == "quote":
        name, price, missing = rest
        bid, ask = None if missing & 1 else price, None if missing & 2 else price + 1
        last = price + number % 7 - 3 if number % 2 else None
        pair.do(Quote(name, bid, ask, last, now))
    elif verb == "position":
        account, name, size, price = rest
        pair.do(PositionReported(account, name, size, price * MICRO + number % 5 // 4, now, now))
    elif verb == "trade":
        account, name, dollars = rest
        ids = (f"t{number}", f"o{number}")
        pair.do(TradeReported(account, *ids, name, -1, 1, 20_000, dollars * USD, 0, 0, START - 1))
    elif verb == "fill":
        account, name, side, price = rest
        ids = (f"t{number}", f"o{number}")
        pair.do(TradeReported(account, *ids, name, side, 1, price, None, 1, 0, now))
    elif verb in ("stop", "stop gone"):
        stop(pair, number, *rest)
    elif verb == "wait":
        pair.wait(rest[0] * SECOND)
    elif verb == "outcome":
        commands, pair.open = pair.open, []
        for each in commands:
            conclude(pair, number, each, rest[0])
    elif verb == "release":
        pair.do(RequestReceived(f"r{number}", "release", "me", "admin", "test", rest[0]))
    elif verb == "balance":
        account, dollars = rest
        pair.do(AccountReported(account, True, dollars * USD, "USD", now))
        pair.do(Reconciled(account, 0, True))
    else:
        getattr(pair, verb)(*rest)


def conclude(pair: Pair, number: int, issued: CommandIssued, outcome: Any) -> None:
    """End a command; a stop that was placed or moved is where it was wanted."""
    wanted = issued.command
    if outcome == "confirmed" and isinstance(wanted, PlaceStop | MoveStop):
        position = pair.resting.world.accounts[issued.account].positions.get(wanted.instrument)
        side = -1 if position is None or position.size > 0 else 1
        stop(pair, number, issued.account, wanted.instrument, side, wanted.stop_price, wanted.size)
    pair.do(CommandConcluded(issued.account, issued.key, outcome, "", 1, 3, 0, 0, 0, pair.now))


def stop(
    pair: Pair, number: int, account: str, name: str, side: int = 1, price: int = 0, size: int = 1
) -> None:
    """A stop comes to rest, is changed, or without a price is gone."""
    status = "working" if price else "cancelled"
    row = (f"s-{name}", name, side, "stop", size, size, status, number, pair.now, None, price)
    pair.do(OrderReported(account, *row))
