"""What every inbox must do: one list of cases, run on each implementation, given empty."""

from __future__ import annotations

from collections.abc import Callable

from portcullis.ports import Inbox, InboxAnswer, InboxRequest

Case = Callable[[Inbox], None]


def name_of(case: Case) -> str:
    return getattr(case, "__name__", "case")


def ask(inbox: Inbox, request_id: str, body: bytes = b"\x80") -> None:
    inbox.ask(request_id, "release", "ann", "operator", body, 5)


def starts_empty(inbox: Inbox) -> None:
    assert inbox.waiting(10) == []
    assert inbox.answer_to("r1") is None


def hands_out_requests_in_order(inbox: Inbox) -> None:
    for name in ("r1", "r2", "r3"):
        ask(inbox, name, name.encode())
    waiting = inbox.waiting(10)
    assert waiting[0] == InboxRequest(1, "r1", "release", "ann", "operator", b"r1", 5)
    assert [r.request_id for r in waiting] == ["r1", "r2", "r3"]
    assert [r.request_id for r in inbox.waiting(2)] == ["r1", "r2"]
    assert inbox.waiting(0) == []


def hands_out_what_is_of_some_verbs_whatever_waits_before_it(inbox: Inbox) -> None:
    for number in range(5):
        ask(inbox, f"r{number}")
    inbox.ask("a1", "acknowledge", "ann", "operator", b"", 5)
    assert [r.request_id for r in inbox.waiting(2, ("acknowledge", "silence"))] == ["a1"]


def takes_a_request_id_once(inbox: Inbox) -> None:
    ask(inbox, "r1", b"first")
    ask(inbox, "r1", b"second")
    assert [r.body for r in inbox.waiting(10)] == [b"first"]
    inbox.answer([InboxAnswer("r1", "done", "", 7)])
    ask(inbox, "r1", b"third")
    assert inbox.waiting(10) == []


def an_answer_ends_the_wait(inbox: Inbox) -> None:
    for name in ("r1", "r2", "r3"):
        ask(inbox, name)
    answer = InboxAnswer("r2", "refused", "no such lock", 12)
    inbox.answer([answer, InboxAnswer("r3", "done", "", 13)])
    assert inbox.answer_to("r2") == answer
    assert inbox.answer_to("r1") is None
    assert [r.request_id for r in inbox.waiting(10)] == ["r1"]


def the_first_answer_stands(inbox: Inbox) -> None:
    ask(inbox, "r1")
    inbox.answer([InboxAnswer("r1", "done", "", 1)])
    inbox.answer([InboxAnswer("r1", "refused", "", 2), InboxAnswer("unknown", "done", "", 3)])
    assert inbox.answer_to("r1") == InboxAnswer("r1", "done", "", 1)
    assert inbox.answer_to("unknown") is None
    inbox.answer([])


CASES: tuple[Case, ...] = (
    starts_empty,
    hands_out_requests_in_order,
    takes_a_request_id_once,
    an_answer_ends_the_wait,
    the_first_answer_stands,
)
