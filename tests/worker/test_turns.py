"""Whose turn it is: commands of one account that are under way at the same time."""

from __future__ import annotations

import msgspec
import pytest

from portcullis.domain.commands import (
    CancelOrders,
    Close,
    Command,
    Flatten,
    PlaceStop,
    Reduce,
    Submit,
)
from portcullis.domain.events import CommandConcluded, CommandIssued
from portcullis.domain.model import BUY, MICRO, SECOND, SELL, OrderRequest
from portcullis.domain.rules import (
    max_contracts_per_instrument,
    no_stop_loss_grace,
    trade_frequency_limit,
)
from portcullis.venues.simulated import Fault, FaultPlan, Latency
from portcullis.worker.enforce import gives_way
from tests.worker.harness import ES, NQ, World

TIGHT = max_contracts_per_instrument.Params(
    limits={"ES": 1, "NQ": 1}, unknown="deny", on_breach="close"
)

ORDER = OrderRequest("A", ES.id, BUY, 1, "market")


def concluded(world: World) -> list[tuple[str, str]]:
    """Type and outcome of each command that ended."""
    issued = {row.key: type(row.command).__name__ for row in world.events(CommandIssued)}
    return [(issued[row.key], row.outcome) for row in world.events(CommandConcluded)]


def test_what_cannot_be_closed_holds_back_no_other_instrument():
    """NQ does not answer for its whole deadline of 20 s; ES is flat in two round trips."""
    dead = Fault("call", "timeout_before", on="close_position", instrument=NQ.id, count=100)
    world = World(TIGHT, faults=FaultPlan(script=[dead], latency=Latency(10_000)))
    world.quote(ES, 20_000)
    world.quote(NQ, 20_000)

    async def story(w):
        await w.start()
        w.order(NQ, BUY, 2)
        await w.pass_time(0.5)
        w.order(ES, BUY, 2)
        await w.pass_time(1)
        assert (w.size(ES), w.size(NQ)) == (0, 2)
        (ended,) = w.events(CommandConcluded)
        assert ended.outcome == "confirmed"
        assert ended.confirmed_at - ended.detected_at < SECOND

    world.play(story)


def test_a_close_does_not_wait_for_a_cancel_that_gets_no_answer():
    dead = Fault("call", "timeout_before", on="cancel_order", count=2)
    rules = (trade_frequency_limit.Params(per_minute=1), TIGHT)
    world = World(*rules, faults=FaultPlan(script=[dead]))
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        w.order(ES, BUY, 1)
        w.order(ES, SELL, 1)  # the second trade of the minute locks
        w.order(ES, BUY, 1, "limit", limit_price=19_000)
        await w.pass_time(0.01)
        w.order(ES, BUY, 2)
        await w.pass_time(20)
        assert w.size(ES) == 0
        assert w.exchange.orders("A") == []
        assert ("CancelOrders", "superseded") in concluded(w)
        assert ("Close", "confirmed") in concluded(w)

    world.play(story)


def test_a_close_for_want_of_a_stop_does_not_wait_for_a_reduction():
    """More than allowed and no stop; the reduction gets no answer until the grace is over."""
    dead = Fault("call", "timeout_before", on="reduce_position", count=100)
    reduced = msgspec.structs.replace(TIGHT, on_breach="reduce")
    grace = no_stop_loss_grace.Params(grace=5 * SECOND)
    world = World(reduced, grace, faults=FaultPlan(script=[dead]))
    world.quote(ES, 20_000)

    async def story(w):
        await w.start()
        w.order(ES, BUY, 2)
        await w.pass_time(8)
        assert w.size(ES) == 0
        assert concluded(w) == [("Reduce", "superseded"), ("Close", "confirmed")]

    world.play(story)


@pytest.mark.parametrize(
    ("known", "issued", "expected"),
    [
        (Close("A", ES.id), Flatten("A"), True),
        (Flatten("A"), Flatten("A"), False),
        (Flatten("A"), Close("A", ES.id), False),
        (CancelOrders("A", ES.id), Close("A", ES.id), True),
        (CancelOrders("A", None), Close("A", ES.id), False),
        (Reduce("A", ES.id, 1), Close("A", ES.id), True),
        (Reduce("A", NQ.id, 1), Close("A", ES.id), False),
        (PlaceStop("A", ES.id, SELL, 1, 19_000), Close("A", ES.id), True),
        (Reduce("A", ES.id, 1), Close("A", ES.id, unless_covered=True), True),
        (Close("A", ES.id, unless_covered=True), Close("A", ES.id), True),
        (Close("A", NQ.id, unless_covered=True), Close("A", ES.id), False),
        (Close("A", ES.id), Close("A", ES.id, unless_covered=True), False),
        (Submit("A", ORDER), Close("A", ES.id), True),
        (Submit("A", OrderRequest("A", NQ.id, BUY, 1, "market")), Close("A", ES.id), False),
        (Close("A", ES.id), Reduce("A", ES.id, 1), False),
        (Submit("A", ORDER), CancelOrders("A", ES.id), True),
        (Submit("A", ORDER), CancelOrders("A", None), True),
        (Submit("A", ORDER), CancelOrders("A", NQ.id), False),
        (Submit("A", ORDER), Reduce("A", ES.id, 1), True),
        (Submit("A", ORDER, is_exit=True), CancelOrders("A", ES.id), False),
        (Submit("A", ORDER), PlaceStop("A", ES.id, SELL, 1, 19_000), False),
    ],
)
def test_what_gives_way_to_what(known: Command, issued: Command, expected: bool):
    def as_issued(command: Command) -> CommandIssued:
        return CommandIssued("A", "key", command, ("rule",), MICRO)

    assert gives_way(as_issued(known), as_issued(issued)) is expected


def test_the_deadline_of_a_programs_order_counts_from_its_approval():
    """A reduction without an answer keeps the turn for 20 s; nothing answers the order either."""
    calls = ("reduce_position", "place_order", "order_by_key")
    dead = [Fault("call", "timeout_before", on=call, count=100) for call in calls]
    reduced = msgspec.structs.replace(TIGHT, on_breach="reduce")
    world = World(reduced, faults=FaultPlan(script=dead))
    world.quote(ES, 20_000)

    async def story(w):
        worker = await w.start()
        w.order(ES, BUY, 2)
        await w.pass_time(1)
        out = Submit("A", OrderRequest("A", ES.id, SELL, 1, "market"), is_exit=True)
        began = w.clock.now()
        worker.enforcer.start(CommandIssued("A", "late", out, ("gate",), began), "late")
        await w.pass_time(45)
        (ended,) = [row for row in w.events(CommandConcluded) if row.key == "late"]
        assert ended.outcome == "unconfirmed"
        assert 19 * SECOND < ended.confirmed_at - began <= 20 * SECOND

    world.play(story)
