"""Tighten now, loosen later: the whole worker, over sessions, restarts and second persons."""

from __future__ import annotations

import msgspec
import pytest

from portcullis.domain import loosening
from portcullis.domain.events import LooseningDropped, LooseningHeld, RequestReceived, RulesLoaded
from portcullis.domain.model import HOUR, MICRO, MINUTE
from portcullis.domain.overview import system_overview
from portcullis.domain.plan import AccountPlan, Plan, decode_plan
from portcullis.domain.rules import daily_realized_loss, max_contracts, symbol_blocks
from portcullis.domain.session import Calendar
from portcullis.store import credential
from portcullis.worker.requests import Asked, signed_text
from tests.worker.harness import ES, START, World

USD = MICRO
LATE = START + 7 * HOUR + 50 * MINUTE
"""Ten minutes before the session ends, in Chicago at 17:00."""

OVER = 12 * 60
BLOCK = symbol_blocks.Params(("ES",))


def limits(contracts, loss=500, **account):
    rules = (max_contracts.Params(contracts), daily_realized_loss.Params(loss * USD))
    return Plan((AccountPlan("A", rules, **account),))


class Desk(World):
    """A world whose files change and whose inbox is asked."""

    def __init__(self, plan):
        super().__init__(plan=plan, start=LATE)
        self.numbers = 0
        self.administrators: tuple[str, ...] = ()

    def is_administrator(self, text, signature):
        by_key = (credential.fits(each, text, signature) for each in self.administrators)
        return super().is_administrator(text, signature) or any(by_key)

    async def ask(
        self, verb, *, account=None, signer=None, signature="", reason="because", **arguments
    ):
        """The answer; `signer` is the file of the key it is signed with."""
        self.numbers += 1
        name = f"r{self.numbers}"
        asked = Asked(reason, account, arguments)
        if signer is not None:
            signature = credential.sign(signer, signed_text(name, verb, asked))
        asked = msgspec.structs.replace(asked, signature=signature)
        body = msgspec.msgpack.encode(asked)
        self.inbox.ask(name, verb, "me", "operator", body, self.clock.now())
        await self.pass_time(0.5)
        answer = self.inbox.answer_to(name)
        return answer.outcome, answer.detail

    async def agree(self, signer):
        return await self.ask("approve", signer=signer, plan=self.waits["plan"])

    async def without_worker(self, hours):
        await self.kill()
        await self.pass_time(hours * 3600)
        await self.start(settle=3)

    async def lose(self):
        """Lose 625 dollars, which locks the account until the next session."""
        for price, side in ((20_000, 1), (19_950, -1)):
            self.quote(ES, price)
            self.order(ES, side, 1)
            await self.pass_time(1)
        assert [row["rule"] for row in self.shown()["locks"]] == ["daily_realized_loss"]

    async def reload(self, plan):
        self.plan = plan
        return (await self.ask("reload", signature="administrator"))[1]

    @property
    def in_force(self):
        return decode_plan(self.worker.core.engine.world.plan)

    @property
    def waits(self):
        engine = self.worker.core.engine
        return system_overview(engine, self.clock.now())["loosening"]


def desk(story, plan=None):
    made = Desk(plan or limits(5))
    made.play(story)
    return made


def test_what_is_stricter_is_in_force_at_once_and_what_is_looser_at_the_next_session():
    async def story(world):
        await world.start()
        told = await world.reload(limits(6, loss=400))
        assert "limit 500.00 -> 400.00; looser, and waits" in told
        assert world.in_force == limits(5, loss=400)
        (row,) = world.waits["changes"]
        assert (row["rule"], row["recorded"], row["new"]) == ("max_contracts", "5", "6")
        assert row["waits_for"] == "the session after 2026-03-03, or an approver"
        await world.pass_time(9.8 * 60)
        assert world.in_force == limits(5, loss=400)
        await world.pass_time(15)
        assert world.in_force == limits(6, loss=400)
        assert world.waits is None

    world = desk(story)
    held = world.events(LooseningHeld)[0]
    assert (held.by, held.reason) == ("me", "because")
    assert held.held == ("A: max_contracts: limit 5 -> 6",)
    assert [decode_plan(e.plan) for e in world.events(RulesLoaded)] == [
        limits(5), limits(5, loss=400), limits(6, loss=400),
    ]  # fmt: skip


def test_it_waits_on_over_a_kill_and_is_not_asked_for_anew():
    async def story(world):
        await world.start()
        await world.reload(limits(6))
        await world.kill()
        await world.start()
        assert "still waits, asked for by me" in world.worker.loaded
        assert world.in_force == limits(5)
        await world.kill()
        await world.pass_time(OVER)
        await world.start(settle=3)
        assert world.in_force == limits(6)

    world = desk(story)
    assert len(world.events(LooseningHeld)) == 1


def test_who_only_starts_it_or_sends_a_signal_tightens_and_loosens_nothing():
    async def story(world):
        await world.start()
        await world.kill()
        world.plan = limits(6, loss=400)
        await world.start()
        assert "left out until `portcullis config reload` asks" in world.worker.loaded
        assert world.in_force == limits(5, loss=400)
        world.plan = limits(7, loss=300)
        assert "left out" in world.worker.reload()
        assert world.in_force == limits(5, loss=300)
        await world.pass_time(OVER)
        assert world.in_force == limits(5, loss=300)
        assert world.waits is None

    assert desk(story).events(LooseningHeld) == []


def test_nothing_is_loosened_while_its_rule_has_a_lock():
    async def story(world):
        await world.start()
        await world.lose()
        await world.reload(limits(9, loss=900))
        assert {row["waits_for"] for row in world.waits["changes"]} == {
            "daily_realized_loss to have no lock and no breach",
            "the session after 2026-03-03, or an approver",
        }
        await world.pass_time(OVER)
        assert world.shown()["locks"] == []
        assert world.in_force == limits(9, loss=900)

    desk(story, limits(5))


def test_a_block_that_was_touched_is_lifted_once_nothing_stands_there():
    blocked = Plan((AccountPlan("A", (BLOCK,)),))

    async def story(world):
        await world.start()
        world.quote(ES, 20_000)
        world.order(ES, 1, 1)
        await world.pass_time(2)
        assert [row["ends"] for row in world.shown()["locks"]] == ["config"]
        await world.reload(limits(5))
        assert world.in_force.accounts[0].rules == (*limits(5).accounts[0].rules, BLOCK)
        await world.pass_time(OVER)
        assert world.in_force == limits(5)
        assert world.shown()["locks"] == []

    desk(story, blocked)


def test_an_approver_need_not_wait_but_a_tripped_rule_does(tmp_path):
    public = credential.make(tmp_path / "second.key")

    async def story(world):
        await world.start()
        key = tmp_path / "second.key"
        enrol = {"signature": "administrator", "name": "Sam", "key": public}
        assert (await world.ask("enrol", **enrol))[0] == "done"
        await world.without_worker(24)
        await world.lose()
        await world.reload(limits(9, loss=900))
        by_me = {"signature": "administrator", "plan": world.waits["plan"]}
        assert (await world.ask("approve", **by_me))[0] == "refused"
        assert (await world.ask("approve", **by_me, approver="Sam"))[0] == "refused"
        agreed = await world.agree(key)
        assert agreed == ("done", "Sam agrees to what me asked for")
        await world.pass_time(2)
        assert world.in_force == limits(9, loss=500)
        assert world.waits["approved_by"] == "Sam"
        await world.pass_time(OVER)
        assert world.in_force == limits(9, loss=900)
        assert (await world.ask("approve", signer=key))[1] == "nothing waits to be agreed to"

    world = desk(story)
    asked = [e for e in world.events(RequestReceived) if e.verb == "approve"]
    assert [e.arguments["approver"] for e in asked] == ["", "", "Sam", "Sam"]


def test_what_is_agreed_to_is_what_the_approver_has_seen(tmp_path):
    public, key = credential.make(tmp_path / "second.key"), tmp_path / "second.key"

    async def story(world):
        await world.start()
        await world.ask("enrol", signature="administrator", name="Sam", key=public)
        await world.without_worker(24)
        await world.reload(limits(6))
        seen = world.waits["plan"]
        await world.reload(limits(100))
        for given in ({"plan": seen}, {"plan": seen[:12]}, {}):
            outcome, why = await world.ask("approve", signer=key, **given)
            assert (outcome, "not the plan that was agreed to" in why) == ("refused", True)
        assert world.in_force == limits(5)

    desk(story)


@pytest.mark.parametrize("hours", [0, 23])
def test_nobody_makes_an_approver_on_the_spot(tmp_path, hours):
    public = credential.make(tmp_path / "second.key")

    async def story(world):
        await world.start()
        enrol = {"name": "Sam", "key": public}
        assert (await world.ask("enrol", **enrol))[0] == "refused", "unsigned"
        assert (await world.ask("enrol", signature="administrator", **enrol))[0] == "done"
        await world.without_worker(hours)
        await world.reload(limits(6))
        outcome, why = await world.agree(tmp_path / "second.key")
        assert (outcome, "less than 24 hours" in why) == ("refused", True)
        assert world.in_force == limits(5)

    desk(story)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"name": "Sam", "key": "no key"}, "no public half"),
        ({"name": "Sam"}, "no public half"),
        ({"name": " ", "key": "good"}, "needs a name"),
        ({"name": "x" * 65, "key": "good"}, "needs a name"),
        ({"name": "Ann", "key": "good"}, "Ann is an approver already"),
        ({"name": "Sam", "key": "Ann's"}, "an approver's already"),
    ],
)
def test_who_cannot_be_an_approver_is_told_why(tmp_path, arguments, why):
    keys = {"good": credential.make(tmp_path / "1"), "Ann's": credential.make(tmp_path / "2")}
    given = {**arguments, "key": keys.get(arguments.get("key"), arguments.get("key"))}

    async def story(world):
        await world.start()
        sign = {"signature": "administrator"}
        assert (await world.ask("enrol", **sign, name="Ann", key=keys["Ann's"]))[0] == "done"
        outcome, told = await world.ask("enrol", **sign, **given)
        assert (outcome, why in told) == ("refused", True), told
        assert (await world.ask("dismiss", name="Ann"))[0] == "done"
        assert (await world.ask("dismiss", name="Ann"))[0] == "refused"

    desk(story)


def test_what_waits_is_withdrawn_by_anybody_and_dropped_when_the_files_say_something_else():
    async def story(world):
        await world.start()
        await world.reload(limits(6))
        assert (await world.ask("withdraw"))[0] == "done"
        assert (await world.ask("withdraw"))[0] == "refused"
        await world.pass_time(OVER)
        assert world.in_force == limits(5)
        await world.reload(limits(7))
        await world.reload(limits(4))
        assert world.in_force == limits(4)
        assert world.waits is None
        await world.pass_time(OVER)
        assert world.in_force == limits(4)

    assert len(desk(story).events(LooseningDropped)) == 1


def test_an_account_that_is_left_out_stays_watched_until_its_session_is_over():
    two = Plan((*limits(5).accounts, msgspec.structs.replace(limits(2).accounts[0], account="B")))

    async def story(world):
        world.exchange.open_account("B", balance=50_000 * MICRO)
        await world.start()
        await world.reload(limits(5))
        assert world.in_force == two
        await world.pass_time(OVER)
        assert world.in_force == limits(5)

    desk(story, two)


def test_the_times_of_an_account_are_limits_too():
    other = {"reset_minute": 16 * 60, "quote_max_age": 3 * MICRO, "calendar": Calendar("UTC")}

    async def story(world):
        await world.start()
        told = await world.reload(limits(5, **other))
        assert all(name in told for name in other)
        assert world.in_force == limits(5)
        await world.pass_time(OVER)
        assert world.in_force == limits(5, **other)

    desk(story)


def test_the_administrator_is_no_second_person(tmp_path):
    own, other = credential.make(tmp_path / "own.key"), credential.make(tmp_path / "other.key")
    twice = other[:-2] + chr(ord(other[-2]) + 1) + "="

    async def story(world):
        await world.start()
        enrol = {"name": "Sam", "signer": tmp_path / "own.key"}
        world.administrators = (own,)
        outcome, why = await world.ask("enrol", **enrol, key=own)
        assert (outcome, "administrator's own" in why) == ("refused", True)
        assert (await world.ask("enrol", **enrol, key=twice))[0] == "refused", "a second text of it"
        assert (await world.ask("enrol", **enrol, key=other))[0] == "done"
        await world.without_worker(24)
        await world.reload(limits(6))
        world.administrators = (other,)
        outcome, why = await world.agree(tmp_path / "other.key")
        assert (outcome, "signature of an approver" in why) == ("refused", True)

    desk(story)


def test_who_is_dismissed_has_agreed_to_nothing_that_still_waits(tmp_path):
    public, key = credential.make(tmp_path / "second.key"), tmp_path / "second.key"

    async def story(world):
        await world.start()
        await world.ask("enrol", signature="administrator", name="Sam", key=public)
        await world.without_worker(24)
        await world.lose()
        await world.reload(limits(5, loss=900))
        assert (await world.agree(key))[0] == "done"
        assert (await world.ask("dismiss", name="Sam"))[0] == "done"
        assert world.waits["approved_by"] is None
        lock = {"account": "A", "signature": "administrator"}
        assert (await world.ask("release", **lock))[0] == "done"
        await world.pass_time(3)
        assert world.in_force == limits(5)

    desk(story)


def test_the_room_that_the_gate_holds_is_kept_no_shorter_until_every_account_is_due():
    def held(seconds):
        return msgspec.structs.replace(limits(5), reservation=seconds * MICRO)

    async def story(world):
        await world.start()
        world.plan = held(1)
        assert "left out" in world.worker.reload()
        assert world.in_force == limits(5)
        await world.reload(held(20))
        assert world.in_force == held(20)
        await world.lose()
        await world.reload(held(1))
        (row,) = world.waits["changes"]
        assert (row["rule"], row["recorded"], row["new"]) == ("gate", "20 s", "1 s")
        await world.ask("release", account="A", signature="administrator")
        await world.pass_time(3)
        assert world.in_force == held(20)
        await world.pass_time(OVER)
        assert world.in_force == held(1)
        assert world.waits is None

    desk(story)


def test_what_waits_is_worked_out_once_and_not_at_every_look():
    async def story(world):
        await world.start()
        await world.reload(limits(6))
        assert world.waits is not None
        worked = [each.cache_info().misses for each in (loosening._changes, loosening._decoded)]
        for _ in range(5):
            assert world.waits is not None
            await world.pass_time(1)
        assert worked == [
            each.cache_info().misses for each in (loosening._changes, loosening._decoded)
        ]

    desk(story)
