"""Would anybody be told?"""

from __future__ import annotations

from typing import Any

import pytest

from portcullis.alerts.alert import Subscription
from portcullis.alerts.alert_reader import ChannelFigures
from portcullis.alerts.configured import keep_address
from portcullis.alerts.message import Described
from portcullis.config.settings import Settings
from portcullis.doctor.alerting import examine, judge

MAIL = Described("mail", "mailto://...", 4000, 0)
BLUE = Described("iMessage", "bbub://...", 4000, 0, best_effort=True)
TOLD = Subscription("mail", "warning", (), None)


def figures(dead: int) -> dict[str, ChannelFigures]:
    return {"mail": ChannelFigures("mail", 3, 0, dead, 1, None, "", None)}


def failing(last_failure: int) -> dict[str, ChannelFigures]:
    return {"mail": ChannelFigures("mail", 3, 1, 0, 5, last_failure, "connection refused", 4)}


@pytest.mark.parametrize(
    ("described", "subscriptions", "lately", "state", "says"),
    [
        ({}, [], {}, "warn", "nobody is told of anything"),
        ({"mail": MAIL}, [], {}, "warn", "nobody is told of anything"),
        ({}, [TOLD], {}, "fail", "subscribed without an address: mail"),
        ({"mail": MAIL}, [TOLD], figures(1), "warn", "messages were given up: mail"),
        ({"mail": BLUE}, [TOLD], {}, "warn", "best-effort service only"),
        ({"mail": MAIL}, [TOLD], figures(0), "ok", "told are: mail"),
        ({"mail": MAIL}, [TOLD], failing(6), "warn", "mail (connection refused)"),
        ({"mail": MAIL}, [TOLD], failing(4), "ok", "told are: mail"),
    ],
)
def test_what_is_wrong_with_the_channels(
    described: Any, subscriptions: Any, lately: Any, state: str, says: str
) -> None:
    row = judge(described, subscriptions, lately)
    assert (row.state, says in row.says) == (state, True), row


def test_a_file_of_addresses_that_others_may_read_fails(tmp_path: Any) -> None:
    settings = Settings(home=str(tmp_path))
    keep_address(settings, "desk", "json://127.0.0.1/x")
    assert examine(settings).state == "warn"
    settings.channels_path.chmod(0o644)
    row = examine(settings)
    assert (row.state, "chmod 600" in row.says) == ("fail", True)
