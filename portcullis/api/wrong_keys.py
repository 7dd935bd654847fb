"""Somebody tries keys: a person is told, once an hour for each address."""

from __future__ import annotations

import asyncio

import msgspec

from portcullis.api.here import Here
from portcullis.domain.bounds import forget_oldest
from portcullis.domain.model import HOUR
from portcullis.errors import PortcullisError
from portcullis.store.opening import open_inbox
from portcullis.worker.requests import Asked

TOLD_MAX = 20
"""So many addresses are told of in an hour; the log of requests has all of them."""


class WrongKeys:
    """Leaves an alert in the inbox, which the sender reads also while no worker runs."""

    def __init__(self, here: Here) -> None:
        self._here = here
        self._told: dict[tuple[str, int], None] = {}
        self._tasks: set[asyncio.Future[None]] = set()

    def tell(self, address: str, number: int) -> None:
        """An address has to wait after so many wrong keys."""
        hour = self._here.now() // HOUR
        now_told = sum(1 for _, when in self._told if when == hour)
        if (address, hour) in self._told or now_told >= TOLD_MAX:
            return
        self._told[address, hour] = None
        forget_oldest(self._told, 2 * TOLD_MAX)
        task = asyncio.get_running_loop().run_in_executor(None, self._leave, address, number, hour)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _leave(self, address: str, number: int, hour: int) -> None:
        arguments = {
            "kind": "keys_refused",
            "state": "firing",
            "subject": address,
            "message": f"{number} wrong keys from {address}; it is slowed more with each",
        }
        try:
            inbox = open_inbox(self._here.settings)
            try:
                body = msgspec.msgpack.encode(Asked("wrong keys", None, arguments))
                name = f"alert-keys_refused-{address}-{hour}"
                inbox.ask(name, "alert", "api", "operator", body, self._here.now())
            finally:
                inbox.close()
        except PortcullisError as error:
            self._here.say(f"wrong keys from {address} could not be told of: {error}")
