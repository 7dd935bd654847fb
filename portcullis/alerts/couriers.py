"""One thread per channel carries messages to it, so that a channel that hangs keeps no other.

A thread that does not come back within `HANGS_AFTER` is left to itself and its attempt counts as
unknown; another takes its place, `LEFT_MAX` of them at most.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from portcullis.alerts.message import Message, Outcome

HANGS_AFTER = 40.0
LEFT_MAX = 3

Send = Callable[[str, Message], Outcome]


class Carried(NamedTuple):
    """How an attempt ended, and when it began (monotonic seconds)."""

    channel: str
    number: int
    outcome: Outcome
    seconds: float


class _Courier:
    """A thread and what it carries; `number` is None while it waits for work."""

    def __init__(self, channel: str, send: Send, done: queue.SimpleQueue[Carried | None]) -> None:
        self.channel, self._send, self._done = channel, send, done
        self.number: int | None = None
        self.began = 0.0
        self._work: queue.SimpleQueue[tuple[int, str, Message] | None] = queue.SimpleQueue()
        thread = threading.Thread(target=self._run, name=f"channel {channel}", daemon=True)
        thread.start()

    def carry(self, number: int, address: str, message: Message) -> None:
        self.number, self.began = number, time.monotonic()
        self._work.put((number, address, message))

    def end(self) -> None:
        self._work.put(None)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            number, address, message = work
            began = time.monotonic()
            try:
                outcome = self._send(address, message)
            except Exception as error:  # noqa: BLE001 - one channel's fault must not end the others
                outcome = Outcome("failed", f"the transport failed: {type(error).__name__}")
            self._done.put(Carried(self.channel, number, outcome, time.monotonic() - began))


class Couriers:
    """The threads of all channels. For one caller."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._done: queue.SimpleQueue[Carried | None] = queue.SimpleQueue()
        self._at_work: dict[str, _Courier] = {}
        self._left: dict[str, int] = {}

    def is_free(self, channel: str) -> bool:
        """Whether the channel can be given a message now."""
        courier = self._at_work.get(channel)
        return (courier is None or courier.number is None) and (
            self._left.get(channel, 0) < LEFT_MAX
        )

    def carry(self, channel: str, number: int, address: str, message: Message) -> None:
        """Begin an attempt; its end comes out of `ended`."""
        courier = self._at_work.get(channel)
        if courier is None:
            courier = self._at_work[channel] = _Courier(channel, self._send, self._done)
        courier.carry(number, address, message)

    def wake(self) -> None:
        """Let `ended` return now; safe from any thread."""
        self._done.put(None)

    def ended(self, wait: float) -> list[Carried]:
        """Attempts that ended, after `wait` seconds at most; those that hang are among them."""
        found: list[Carried] = []
        try:
            first = self._done.get(timeout=wait)
            found += [first] if first is not None else []
            while True:
                more = self._done.get_nowait()
                found += [more] if more is not None else []
        except queue.Empty:
            pass
        for each in found:
            courier = self._at_work.get(each.channel)
            if courier is not None and courier.number == each.number:
                courier.number = None
            else:  # one that was left to itself has come back
                self._left[each.channel] = max(0, self._left.get(each.channel, 0) - 1)
        return found + self._hanging()

    def _hanging(self) -> list[Carried]:
        found = []
        for channel, courier in list(self._at_work.items()):
            hangs = time.monotonic() - courier.began
            if courier.number is not None and hangs > HANGS_AFTER:
                outcome = Outcome("unknown", f"no answer within {hangs:.0f} s")
                found.append(Carried(channel, courier.number, outcome, hangs))
                del self._at_work[channel]
                courier.end()
                self._left[channel] = self._left.get(channel, 0) + 1
        return found

    @property
    def busy(self) -> bool:
        """Whether any attempt is under way."""
        return any(courier.number is not None for courier in self._at_work.values())
