"""What the operations side asked of the worker, as the sender and the worker read it."""

from contextlib import closing
from typing import Any, NamedTuple

import msgspec

from portcullis.config.settings import Settings
from portcullis.domain.alert_requests import wrong
from portcullis.store.opening import open_inbox
from portcullis.worker.requests import Asked


class Left(NamedTuple):
    """One alert that was left."""

    request_id: str
    by: str
    asked_at: int
    arguments: dict[str, Any]


def alerts_left(settings: Settings) -> list[Left]:
    """The alerts that wait, in order; each is one that the worker would record."""
    with closing(open_inbox(settings)) as inbox:
        waiting = [each for each in inbox.waiting(1_000) if each.verb == "alert"]
    found = []
    for each in waiting:
        asked = msgspec.msgpack.decode(each.body, type=Asked)
        assert asked.reason
        assert each.role == "operator"
        assert wrong("alert", asked.arguments, each.asked_at) == ""
        found.append(Left(each.request_id, each.by, each.asked_at, dict(asked.arguments)))
    return found
