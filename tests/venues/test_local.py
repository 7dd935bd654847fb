"""The in-process adapter conforms, and each fault does what it says, in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from portcullis.domain.events import Quote, TradeReported, kind_of
from portcullis.domain.model import BUY, MICRO, SECOND, OrderRequest
from portcullis.errors import UsageError, VenueRefused, VenueTimeout, VenueUnreachable
from portcullis.venues.simulated import Fault, FaultPlan, Latency, LocalVenue, Terms
from portcullis.venues.simulated.push import PushStream
from tests.conformance import venue as conformance
from tests.venues.bench import ES, FREE, Bench
from tests.venues.virtual import virtual


class LocalStage:
    account = "A"
    instrument = ES

    def __init__(self, terms: Terms | None = None, plan: FaultPlan | None = None) -> None:
        self.bench = Bench(terms)
        self.bench.price(100)
        self.venue = LocalVenue(self.bench.exchange, plan=plan, patience=2 * SECOND)

    async def price(self, bid: int, ask: int) -> None:
        self.bench.price(bid, ask)

    async def trade(self, side: int, size: int) -> None:
        self.bench.send(side, size)


@pytest.mark.parametrize("deduplicates", ["never", "always"])
@pytest.mark.parametrize("case", conformance.CASES, ids=conformance.name_of)
async def test_conforms(case, deduplicates):
    stage = LocalStage(Terms(costs=FREE, deduplicates=deduplicates))
    await stage.venue.connect()
    await case(stage)
    await stage.venue.close()


def now() -> float:
    return asyncio.get_running_loop().time()


def buy(key: str = "k") -> OrderRequest:
    return OrderRequest("A", ES, BUY, 1, "market", key=key)


async def staged(*script: Fault, **kwargs) -> LocalStage:
    stage = LocalStage(plan=FaultPlan(script=script, **kwargs))
    await stage.venue.connect()
    return stage


# kind, what the caller sees, contracts bought all the same
CALL_FAULTS = [
    ("drop", VenueUnreachable, 0, 0.0),
    ("timeout_before", VenueTimeout, 0, 2.0),
    ("timeout_after", VenueTimeout, 1, 2.0),
    ("disconnect", VenueTimeout, 0, 0.0),
    ("reject", VenueRefused, 0, 0.0),
]


@pytest.mark.parametrize(("kind", "error", "bought", "took"), CALL_FAULTS)
@virtual
async def test_a_call_fault_does_what_it_says_once(kind, error, bought, took):
    stage = await staged(Fault("call", kind, on="place_order"))
    began = now()
    with pytest.raises(error) as caught:
        await stage.venue.place_order(buy())
    assert caught.value.remedy
    assert now() - began == pytest.approx(took)
    assert stage.bench.held() == bought
    await stage.venue.place_order(buy())
    assert stage.bench.held() == bought + 1
    (done,) = stage.venue.plan.record
    assert (done.number, done.where, done.on, done.kind) == (1, "call", "place_order", kind)


@virtual
async def test_a_refusal_behind_a_timeout_stays_hidden():
    stage = await staged(Fault("call", "timeout_after", on="reduce_position"))
    with pytest.raises(VenueTimeout):
        await stage.venue.reduce_position("A", ES, 1, "r")


@virtual
async def test_delay_and_latency_are_waited_for():
    plan = {"latency": Latency(fixed=50_000, jitter=10_000)}
    stage = await staged(Fault("call", "delay", on="place_order", micros=3 * SECOND), **plan)
    began = now()
    await stage.venue.place_order(buy())
    assert 3.05 <= now() - began <= 3.06
    began = now()
    await stage.venue.accounts()
    assert 0.05 <= now() - began <= 0.06


async def test_faults_can_wait_and_repeat_and_be_narrowed():
    stage = await staged(
        Fault("call", "drop", on="close_position", skip=1, count=2),
        Fault("call", "reject", on="place_order", account="B"),
    )
    outcomes = []
    for _ in range(5):
        try:
            await stage.venue.close_position("A", ES, "c")
            outcomes.append("ok")
        except VenueUnreachable:
            outcomes.append("dropped")
    assert outcomes == ["ok", "dropped", "dropped", "ok", "ok"]
    await stage.venue.place_order(buy())


@pytest.mark.parametrize(
    ("kind", "code"),
    [("halt", "OrderRejected"), ("forbid", "AccountViolation")],
)
async def test_a_fault_can_change_the_venue(kind, code):
    stage = await staged(Fault("call", kind, on="place_order"))
    with pytest.raises(VenueRefused) as caught:
        await stage.venue.place_order(buy())
    assert caught.value.code == code


async def test_a_fault_can_refuse_to_close():
    stage = await staged(Fault("call", "refuse_close", on="close_position"))
    await stage.venue.place_order(buy())
    with pytest.raises(VenueRefused, match="AccountRejected"):
        await stage.venue.close_position("A", ES, "c")


async def heard(stage: LocalStage, stream: PushStream, seconds: float = 1.0) -> list[str]:
    """What a listener hears of one order within some seconds, as kinds."""
    stage.bench.send(BUY, 1)
    kinds = []
    try:
        async with asyncio.timeout(seconds):
            async for event in stream:
                kinds.append(kind_of(event))  # noqa: PERF401 - kept when time runs out
    except TimeoutError:
        pass
    except VenueUnreachable:
        kinds.append("ended")
    return kinds


WHOLE = [
    "order_reported",
    "order_reported",
    "trade_reported",
    "position_reported",
    "account_reported",
]
EVENT_FAULTS = [
    ("drop", [*WHOLE[:2], *WHOLE[3:]]),
    ("duplicate", [*WHOLE[:3], "trade_reported", *WHOLE[3:]]),
    ("reorder", [*WHOLE[:2], "position_reported", "trade_reported", "account_reported"]),
    ("delay", [*WHOLE[:2], *WHOLE[3:], "trade_reported"]),
    ("freeze", WHOLE[:2]),
    ("disconnect", ["ended"]),
]


@pytest.mark.parametrize(("kind", "kinds"), EVENT_FAULTS)
@virtual
async def test_a_stream_fault_does_what_it_says(kind, kinds):
    stage = await staged(Fault("event", kind, on="trade_reported", micros=SECOND // 2))
    stream = stage.venue.stream()
    assert isinstance(stream, PushStream)
    assert await heard(stage, stream) == kinds
    if kind == "freeze":
        assert await heard(stage, stream, 100.0) == [], "half-open: silent and never closed"
        assert not stream.ended
        fresh = stage.venue.stream()
        assert isinstance(fresh, PushStream)
        assert await heard(stage, fresh) == WHOLE


async def test_a_slow_listener_is_cut_off_at_the_bound():
    stage = await staged()
    stage.venue = LocalVenue(stage.bench.exchange, stream_bound=3)
    await stage.venue.connect()
    stream = stage.venue.stream()
    for bid in range(100, 105):
        stage.bench.price(bid)
    with pytest.raises(VenueUnreachable, match="3 events behind"):
        await anext(stream)


async def test_a_call_before_connecting_reaches_nothing():
    stage = LocalStage()
    with pytest.raises(VenueUnreachable):
        await stage.venue.place_order(buy())
    assert stage.bench.held() == 0


async def test_cut_ends_streams_and_leaves_calls():
    stage = await staged()
    stream = stage.venue.stream()
    stage.venue.cut()
    with pytest.raises(VenueUnreachable):
        await anext(stream)
    assert await stage.venue.accounts()


def test_a_fault_that_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match="freeze"):
        FaultPlan(script=[Fault("call", "freeze")])
    with pytest.raises(UsageError, match="reject"):
        FaultPlan(event_rates={"reject": 0.5})


async def faults_of(seed: int, calls: int = 400) -> list[tuple[int, str]]:
    rates = {"drop": 0.1, "timeout_after": 0.1, "reject": 0.1}
    stage = await staged(seed=seed, call_rates=rates, event_rates={"duplicate": 0.2})
    stage.venue.stream()
    for number in range(calls):
        try:
            await stage.venue.place_order(buy(str(number)))
        except (VenueUnreachable, VenueTimeout, VenueRefused):
            continue
    return [(done.number, done.kind) for done in stage.venue.plan.record]


@virtual
async def test_drawn_faults_repeat_for_a_seed_and_come_at_their_rate():
    once, again, other = await faults_of(1), await faults_of(1), await faults_of(2)
    assert once == again
    assert once != other
    kinds = [kind for _, kind in once]
    for kind in ("drop", "timeout_after", "reject"):
        assert 15 <= kinds.count(kind) <= 75
    assert kinds.count("duplicate") > 100


async def test_healing_ends_all_faults():
    stage = await staged(Fault("call", "drop", on="place_order", count=99))
    stage.venue.plan.set_rates({"drop": 1.0}, {"drop": 1.0})
    stage.venue.plan.heal()
    await stage.venue.place_order(buy())


async def test_the_stream_hears_from_the_call_on():
    stage = await staged()
    stage.bench.price(90)
    stream = stage.venue.stream()
    stage.bench.price(91)
    event = await anext(stream)
    assert isinstance(event, Quote)
    assert event.bid == 91
    stage.bench.send(BUY, 1)
    events = [await anext(stream) for _ in range(5)]
    assert [e.executed_at > MICRO for e in events if isinstance(e, TradeReported)] == [True]
