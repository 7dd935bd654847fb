"""An inbox on a server: many writers at once, locks, and a server that was away."""

from __future__ import annotations

import threading

import psycopg
import pytest

from portcullis.errors import StoreError, StoreLocked
from portcullis.ports import InboxAnswer
from portcullis.store import inbox as inboxes
from portcullis.store.opening import open_inbox
from portcullis.store.postgres import driver
from tests.conformance.inbox import ask


def test_many_ask_at_once_from_the_very_first_moment(settings) -> None:
    """None of them finds a schema; all of them make it. Requests come in the order of commits."""
    failures: list[BaseException] = []

    def asking(name: str) -> None:
        try:
            inbox = open_inbox(settings)
            for number in range(20):
                ask(inbox, f"{name}-{number}")
                ask(inbox, f"shared-{number}")
            inbox.close()
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=asking, args=(name,)) for name in "abcd"]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert failures == []
    inbox = open_inbox(settings)
    waiting = inbox.waiting(1_000)
    assert [each.number for each in waiting] == list(range(1, 101))
    inbox.close()


def test_old_answers_are_forgotten_and_numbers_go_on(settings, monkeypatch) -> None:
    monkeypatch.setattr(inboxes, "KEPT_MOST", 4)
    inbox = open_inbox(settings)
    for number in range(10):
        ask(inbox, f"r{number}")
    inbox.answer([InboxAnswer(f"r{number}", "done", "", 1) for number in range(1, 10)])
    assert inbox.answer_to("r5") is None
    assert inbox.answer_to("r6") is not None
    ask(inbox, "next")
    assert [each.number for each in inbox.waiting(9)] == [1, 11]
    inbox.close()


def test_a_lock_that_is_not_let_go_is_an_error_with_a_remedy(settings, monkeypatch) -> None:
    monkeypatch.setattr(driver, "LOCK_SECONDS", "0.1")
    inbox = open_inbox(settings)
    with psycopg.connect(settings.store_url) as other:
        other.execute("LOCK TABLE inbox.requests IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreLocked) as refused:
            ask(inbox, "r1")
    assert "pg_stat_activity" in refused.value.remedy
    ask(inbox, "r1")
    inbox.close()


def test_an_inbox_whose_server_was_away_works_again(settings, server) -> None:
    """It is open for as long as the scheduled side runs; the first call after it may fail."""
    inbox = open_inbox(settings)
    ask(inbox, "r1")
    server.stop()
    for _ in range(2):
        with pytest.raises(StoreError) as away:
            ask(inbox, "r2")
        assert away.value.remedy
    server.start()
    ask(inbox, "r2")
    assert [each.request_id for each in inbox.waiting(9)] == ["r1", "r2"]
    inbox.close()
