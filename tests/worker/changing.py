"""A worker whose files change and whose inbox is asked, for what waits to be loosened."""

from __future__ import annotations

import msgspec

from portcullis.domain.model import HOUR, MICRO, MINUTE
from portcullis.domain.overview import system_overview
from portcullis.domain.plan import AccountPlan, Plan, decode_plan
from portcullis.domain.rules import daily_realized_loss, max_contracts
from portcullis.store import credential
from portcullis.worker.requests import Asked, signed_text
from tests.worker.harness import ES, START, World

USD = MICRO
LATE = START + 7 * HOUR + 50 * MINUTE
"""Ten minutes before the session ends, in Chicago at 17:00."""

OVER = 12 * 60


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
