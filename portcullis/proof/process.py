"""The worker's process in a run: started, killed at any moment, started again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from portcullis.domain.plan import Plan
from portcullis.ports import Head, Inbox, Ledger
from portcullis.proof.commits import VirtualCommit
from portcullis.proof.network import AnyNetwork
from portcullis.proof.notes import Life, Notes
from portcullis.proof.story import Story
from portcullis.venues.simulated.chance import chance
from portcullis.virtual_time import VirtualClock
from portcullis.worker.service import Ports, Terms, Worker

ADMINISTRATOR = "administrator"
COMMAND_WITHIN = 20_000_000
INBOX_EVERY = 1_000_000


async def at_once(work: Callable[[], None]) -> None:
    """The blocking-work port in virtual time: there is no thread to hand it to."""
    work()


class Process:
    """One life of the worker on the real ports but the wire, the clock and the thread."""

    def __init__(
        self, story: Story, files: Callable[[], Plan], ledger: Ledger, clock: VirtualClock
    ) -> None:
        self._story, self._files, self._clock = story, files, clock
        self.ledger = ledger
        self.found: Head = ledger.head()
        self.began = clock.monotonic()
        self.worker: Worker | None = None
        self.commit: VirtualCommit | None = None
        self.network: AnyNetwork | None = None
        self.task: asyncio.Task[None] | None = None
        self.has_listener = False  # whether a program hears what its gate answers

    def start(self, network: AnyNetwork, inbox: Inbox, notes: Notes, fails: Fails) -> None:
        """Begin to work; raises what the worker raises when it cannot."""
        draw = chance(self._story.seed, f"commit/{len(notes.lives)}")
        self.commit = VirtualCommit(
            self.ledger,
            lambda: draw.randint(1, self._story.commit_takes),
            lambda head: notes.acknowledge(self._clock.monotonic(), head),
            fails,
        )
        self.network = network
        ports = Ports(
            self._clock,
            self.ledger,
            self.commit,
            inbox,
            network,
            lambda _text, signature: signature == ADMINISTRATOR,
            self._files,
            at_once,
        )
        self.worker = Worker(ports, self._terms())
        self.task = asyncio.create_task(self.worker.run(), name="worker")

    def _terms(self) -> Terms:
        story = self._story
        return Terms(
            "proof",
            f"p{story.seed}",
            story.compare_every,
            COMMAND_WITHIN,
            story.snapshot_every,
            inbox_every=INBOX_EVERY,
        )

    async def kill(self, *, durable: bool) -> None:
        """SIGKILL: nothing more is written, nothing drained; what left is on its way."""
        if self.commit is not None:
            self.commit.die(durable=durable)
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        if self.worker is not None:
            await self.worker.enforcer.stop()
        if self.network is not None:
            self.network.part()

    async def stop(self) -> None:
        """A drained stop."""
        if self.worker is not None and self.task is not None:
            self.worker.stop()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.kill(durable=False)

    def failure(self) -> BaseException | None:
        """Why the worker ended by itself, if it did."""
        if self.task is None or not self.task.done() or self.task.cancelled():
            return None
        return self.task.exception()

    def life(self, how: str) -> Life:
        return Life(self.began, self._clock.monotonic(), how, self.found)


Fails = Callable[[], str]
