"""The inbox on disk: conformance, several processes, and its bounds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from portcullis.errors import UsageError
from portcullis.ports import InboxAnswer
from portcullis.store import inbox as module
from portcullis.store.inbox import SqliteInbox
from tests.conformance import inbox as conformance
from tests.conformance.inbox import ask

ASKER = """
import sys
from pathlib import Path
from portcullis.store.inbox import SqliteInbox
inbox = SqliteInbox(Path(sys.argv[1]))
for number in range(int(sys.argv[3])):
    inbox.ask(f"{sys.argv[2]}-{number}", "lock", sys.argv[2], "operator", b"", number)
    inbox.ask(f"shared-{number}", "lock", sys.argv[2], "operator", b"", number)
inbox.close()
"""


@pytest.mark.parametrize("case", conformance.CASES, ids=conformance.name_of)
def test_conforms(case: conformance.Case, tmp_path: Path) -> None:
    inbox = SqliteInbox(tmp_path)
    case(inbox)
    inbox.close()


def test_requests_and_answers_survive(tmp_path: Path) -> None:
    inbox = SqliteInbox(tmp_path)
    ask(inbox, "r1")
    ask(inbox, "r2")
    inbox.answer([InboxAnswer("r1", "done", "", 4)])
    inbox.close()
    inbox.close()
    inbox = SqliteInbox(tmp_path)
    assert inbox.answer_to("r1") == InboxAnswer("r1", "done", "", 4)
    assert [request.request_id for request in inbox.waiting(5)] == ["r2"]
    inbox.close()


def test_processes_ask_at_once_from_the_very_first_moment(tmp_path: Path) -> None:
    """None of them finds a file; all of them want to make it."""
    each = 30
    askers = [
        subprocess.Popen([sys.executable, "-c", ASKER, str(tmp_path), name, str(each)])
        for name in "abcd"
    ]
    assert [asker.wait(60) for asker in askers] == [0, 0, 0, 0]
    inbox = SqliteInbox(tmp_path)
    waiting = inbox.waiting(1_000)
    ids = [request.request_id for request in waiting]
    assert len(ids) == len(set(ids)) == 5 * each
    for name in "abcd":
        own = [request.request_id for request in waiting if request.request_id.startswith(name)]
        assert own == [f"{name}-{number}" for number in range(each)]
    inbox.close()


def test_too_many_waiting_are_refused(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "WAITING_MOST", 3)
    inbox = SqliteInbox(tmp_path)
    for number in range(3):
        ask(inbox, f"r{number}")
    with pytest.raises(UsageError, match="wait for the worker"):
        ask(inbox, "r3")
    inbox.answer([InboxAnswer("r0", "done", "", 1)])
    ask(inbox, "r3")
    assert [request.request_id for request in inbox.waiting(9)] == ["r1", "r2", "r3"]
    inbox.close()


def test_old_answers_are_forgotten_and_waiting_requests_are_not(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "KEPT_MOST", 4)
    inbox = SqliteInbox(tmp_path)
    for number in range(10):
        ask(inbox, f"r{number}")
    inbox.answer([InboxAnswer(f"r{number}", "done", "", 1) for number in range(1, 10)])
    assert inbox.answer_to("r5") is None
    assert inbox.answer_to("r6") is not None
    assert [request.request_id for request in inbox.waiting(9)] == ["r0"]
    inbox.close()
