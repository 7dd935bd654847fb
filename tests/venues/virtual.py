"""Virtual time: a loop that never waits but moves its clock to the next timer."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable

from portcullis.domain.model import SECOND


class JumpingSelector(selectors.SelectSelector):
    """Never blocks: what would have been waited for is added to the loop's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0

    def select(self, timeout=None):
        assert timeout is not None, "everybody waits for nothing"
        self.passed += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.jumping = JumpingSelector()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.passed


class LoopClock:
    """The Clock port on the running loop's time."""

    def __init__(self, start: int) -> None:
        self.start = start

    def monotonic(self) -> int:
        return round(asyncio.get_running_loop().time() * SECOND)

    def now(self) -> int:
        return self.start + self.monotonic()


def run_virtually(main):
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def virtual(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make an async test run in virtual time."""

    @functools.wraps(test)
    def run(*args, **kwargs) -> None:
        run_virtually(test(*args, **kwargs))

    return run
