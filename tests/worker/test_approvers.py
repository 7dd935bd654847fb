"""Second persons: who may be one, what they agree to, and that nobody is two."""

from __future__ import annotations

import pytest

from portcullis.domain.events import RequestReceived
from portcullis.store import credential
from tests.worker.changing import OVER, desk, limits


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
