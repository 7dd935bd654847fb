"""The worker retires old events when asked, by its own plan, and is whole whenever it is killed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from portcullis.config.settings import Settings
from portcullis.domain.events import LedgerRetired, RequestAnswered, TimePassed
from portcullis.domain.model import HOUR, MINUTE
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.errors import StoreError
from portcullis.ports import Entry
from portcullis.store import ledger as ledgers
from portcullis.store.keys import load_verifier
from portcullis.store.ledger import SqliteLedger
from portcullis.store.reading import LedgerReader
from portcullis.store.verify import verify
from portcullis.wiring import derive_base
from portcullis.worker import retiring
from portcullis.worker.deriving import derive
from portcullis.worker.requests import Asked
from tests.worker.harness import START, World

OLD = 300


@pytest.fixture(autouse=True)
def few_are_kept(monkeypatch):
    monkeypatch.setattr(ledgers, "KEPT_EVENTS", 10)
    monkeypatch.setattr(retiring, "DROPPED_AT_ONCE", 40)


class OnDisk(World):
    """A worker on a ledger on disk, which has old events already."""

    def __init__(self, home: Path) -> None:
        plan = Plan((AccountPlan("A", ()),), keep_online=HOUR)
        super().__init__(plan=plan)
        self.home = home
        self.ledger = SqliteLedger(home)
        self.ledger.append(
            [Entry("system", START - 2 * HOUR, "t", TimePassed()) for _ in range(OLD)]
        )

    def _ports(self):
        async def derived(through: int) -> bytes:
            return derive(self.home, through).to_bytes()

        return super()._ports()._replace(derive=derived)

    def ask(self, request_id: str, through: int | str, role: str = "operator") -> None:
        body = msgspec.msgpack.encode(Asked("archived", None, {"through": through}))
        self.inbox.ask(request_id, "retire", "operations", role, body, START)

    def answered(self, request_id: str) -> RequestAnswered:
        found = [e for e in self.events(RequestAnswered) if e.request_id == request_id]
        assert len(found) == 1
        return found[0]

    def holds(self) -> bool:
        return verify(self.home / "ledger.db", load_verifier(self.home / "ledger.pub")).ok


@pytest.fixture
def world(tmp_path) -> Iterator[OnDisk]:
    made = OnDisk(tmp_path)
    yield made
    made.ledger.close()


def test_what_is_old_leaves_and_what_is_young_stays(tmp_path, world):

    async def story(world: OnDisk) -> None:
        await world.start()
        world.ask("first", OLD)
        await world.pass_time(30)
        world.ask("too young", OLD + 3)
        world.ask("nowhere", 10**9)
        world.ask("no number", "all")
        world.ask("a reader", OLD, role="readonly")
        world.ask("again", OLD)
        await world.pass_time(30)
        await world.stop()

    world.play(story)  # type: ignore[arg-type]
    assert world.answered("first").outcome == "done"
    for name, why in (
        ("too young", "old; kept are 1 h"),
        ("nowhere", "there is no event"),
        ("no number", "position of an event"),
        ("a reader", "a reader may look"),
    ):
        assert world.answered(name).outcome == "refused"
        assert why in world.answered(name).detail
    (retired,) = [e for e in world.events(LedgerRetired) if e.ok]
    with LedgerReader(tmp_path) as reader:
        assert next(iter(reader.read())).position == retired.position + 1 == OLD + 1
    assert world.holds()


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.31, 0.5])
def test_killed_on_the_way_it_is_whole_and_goes_on(tmp_path, world, seconds):

    async def story(world: OnDisk) -> None:
        await world.start(settle=0.05)
        world.ask("first", OLD)
        await world.pass_time(seconds)
        await world.kill()
        assert world.holds()
        world.ledger.close()
        world.ledger = SqliteLedger(tmp_path)
        await world.start()
        await asyncio.sleep(MINUTE / 1_000_000)
        assert world.holds()
        await world.stop()

    world.play(story)  # type: ignore[arg-type]
    with LedgerReader(tmp_path) as reader:
        base = reader.base()
        first = next(iter(reader.read())).position
    assert first == (base.position + 1 if base else 1)


def test_a_derivation_that_fails_is_recorded_and_changes_nothing(world):

    def broken() -> object:
        async def fails(_through: int) -> bytes:
            raise StoreError("no base could be derived", remedy="look")

        return World._ports(world)._replace(derive=fails)

    world._ports = broken  # type: ignore[method-assign, assignment]

    async def story(world: OnDisk) -> None:
        await world.start()
        world.ask("first", OLD)
        await world.pass_time(5)

    world.play(story)  # type: ignore[arg-type]
    (told,) = world.events(LedgerRetired)
    assert not told.ok
    assert "no base could be derived" in told.detail
    assert world.ledger.beginning() is None


def test_the_process_that_derives_gives_the_same_and_an_error_as_a_sentence(tmp_path, world):
    assert (
        asyncio.run(derive_base(Settings(home=str(tmp_path)), 200))
        == derive(tmp_path, 200).to_bytes()
    )
    with pytest.raises(StoreError, match="no base could be derived"):
        asyncio.run(derive_base(Settings(home=str(tmp_path / "elsewhere")), 200))


def test_a_process_that_cannot_be_started_ends_no_worker(tmp_path, world, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no python"))
    with pytest.raises(StoreError, match="no base could be derived: No such file"):
        asyncio.run(derive_base(Settings(home=str(tmp_path)), 200))
