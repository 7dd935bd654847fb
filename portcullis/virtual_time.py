"""An event loop in virtual time: nothing waits, days pass in seconds, and every run is the same.

The loop's clock jumps to the next timer as soon as nothing is ready. No threads and no sockets:
whatever would use them fails at once, so that a simulation cannot silently become real.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from portcullis.domain.model import MICRO

Result = TypeVar("Result")


class _JumpingSelector(selectors.BaseSelector):
    """Never blocks: a wait for I/O moves the clock forward instead, by whole microseconds."""

    def __init__(self) -> None:
        self.elapsed = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("virtual time: everything waits and nothing can ever wake it")
        if timeout > 0:
            # Whole microseconds, at least one: a rest that a float cannot add would never pass.
            self.elapsed += max(1, math.ceil(timeout * MICRO - 0.01))
        return []

    def register(self, _file: Any, _events: int, _data: Any = None) -> selectors.SelectorKey:
        raise RuntimeError("virtual time: no sockets")

    def unregister(self, _file: Any) -> selectors.SelectorKey:
        raise RuntimeError("virtual time: no sockets")

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return {}


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop whose time is counted, not waited for."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def _make_self_pipe(self) -> None:
        """No self-pipe: there is no other thread that could want to wake this loop."""

    def _close_self_pipe(self) -> None:
        """Nothing was opened."""

    def _write_to_self(self) -> None:
        """Nobody sleeps: what was scheduled is seen at the next turn."""

    def time(self) -> float:
        return self._jumping.elapsed / MICRO

    def run_in_executor(self, _executor: Any, _work: Any, *_arguments: Any) -> Any:  # type: ignore[override]
        raise RuntimeError("virtual time: no threads")


class VirtualClock:
    """The Clock port on a virtual loop: wall time is a start plus what the loop counted."""

    def __init__(self, loop: VirtualLoop, start: int) -> None:
        self._loop = loop
        self._start = start
        self._stepped = 0

    def now(self) -> int:
        return self._start + self._stepped + self.monotonic()

    def monotonic(self) -> int:
        return round(self._loop.time() * MICRO)

    def step(self, by: int) -> None:
        """Set the wall clock forward or back while no time passes: a clock fault."""
        self._stepped += by


def run(main: Coroutine[Any, Any, Result], loop: VirtualLoop) -> Result:
    """Run a coroutine to its end in virtual time; leftover tasks are cancelled in order."""
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        for task in sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name()):
            task.cancel()
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()
