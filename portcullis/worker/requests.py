"""The inbox as the worker sees it: each request taken once, recorded, carried out, answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from portcullis.domain.events import (
    AnyDecision,
    RequestAnswered,
    RequestReceived,
    VerdictRecorded,
)
from portcullis.domain.evidence import EVIDENCE, OF_THE_WORKER
from portcullis.domain.model import SECOND, Verdict
from portcullis.errors import PortcullisError
from portcullis.ports import Inbox, InboxAnswer, InboxRequest
from portcullis.store import credential
from portcullis.worker.core import Core

TAKE_MAX = 200
REQUEST_MAX = 65_536
"""Bytes of a request as a whole; the longest that the command line writes has a few hundred."""

VERDICT_MAX_LIFE = 8 * 24 * 3600 * SECOND


class Asked(msgspec.Struct, frozen=True):
    """The body of a request; `signature` is the administrator's, over `signed_text`."""

    reason: str = ""
    account: str | None = None
    arguments: Mapping[str, str | int | float | bool | None] = {}
    signature: str = ""


class Traced(msgspec.Struct, frozen=True):
    """What a body may have beside what is asked, and nobody signs: the id of the trace, of 32
    hexadecimal signs, that the request belongs to.
    """

    trace: Annotated[str, Meta(pattern=r"\A([0-9a-f]{32})?\Z")] = ""


def with_trace(asked: Asked, trace: str) -> bytes:
    """The body of a request that belongs to a trace; empty: to none."""
    whole = msgspec.structs.asdict(asked) | ({"trace": trace} if trace else {})
    return msgspec.msgpack.encode(whole)


def signed_text(request_id: str, verb: str, asked: Asked) -> bytes:
    """What the administrator signs: everything that decides what happens."""
    unsigned = msgspec.structs.replace(asked, signature="")
    body = msgspec.msgpack.encode(unsigned, order="deterministic")
    return b"\0".join((request_id.encode(), verb.encode(), body))


def _unfit(key: object, text: bytes, signature: str) -> str:
    """Why a key cannot be an approver's; `signature` is of who asks to enrol it."""
    if credential.fits(str(key), text, signature):
        return "this is the administrator's own key; an approver is a second person"
    return credential.unreadable(key)


class InboxTaker:
    """Polls the inbox and answers from the ledger's outcome."""

    def __init__(
        self,
        core: Core,
        inbox: Inbox,
        is_administrator: Callable[[bytes, str], bool],
        reload: Callable[[str, str], str],
        retire: Callable[[object], str],
    ) -> None:
        self._core = core
        self._inbox = inbox
        self._is_administrator = is_administrator
        self._reload, self._retire = reload, retire
        self._answers: list[InboxAnswer] = []
        self._taken: dict[str, None] = {}
        core.on_decision(self._on_decision)

    async def run(self, every: int) -> None:
        """Look into the inbox every so many microseconds."""
        while True:
            self.once()
            await asyncio.sleep(every / SECOND)

    def once(self) -> None:
        """Hand out the answers that became durable, then take what is waiting."""
        if self._answers:
            answers, self._answers = self._answers, []
            self._inbox.answer(answers)
            for answer in answers:
                self._taken.pop(answer.request_id, None)
        for request in self._inbox.waiting(TAKE_MAX):
            if request.request_id not in self._taken:
                self._taken[request.request_id] = None
                self._take(request)

    def _on_decision(self, decision: AnyDecision, _trace: str) -> None:
        if isinstance(decision, RequestAnswered):
            self._answer(decision.request_id, decision.outcome, decision.detail)

    def _answer(self, request_id: str, outcome: str, detail: str) -> None:
        position = self._core.engine.world.system.answered.get(request_id, 0)
        self._answers.append(InboxAnswer(request_id, outcome, detail, position))

    def _take(self, request: InboxRequest) -> None:
        known = self._core.engine.world.system.answered.get(request.request_id)
        if known is not None:
            # Recorded before a restart, but the answer did not reach the inbox.
            self._answer(request.request_id, "done", f"recorded at event {known}")
            return
        if len(request.body) + len(request.by) + len(request.request_id) > REQUEST_MAX:
            what = f"the request is longer than {REQUEST_MAX} bytes"
            self._answer(request.request_id, "refused", what)
            return
        try:
            if request.verb == "verdict":
                self._take_verdict(request)
            else:
                self._take_asked(request)
        except (msgspec.MsgspecError, RecursionError) as error:  # the latter from deep nesting
            self._answer(request.request_id, "refused", f"the request cannot be read: {error}")

    def _take_verdict(self, request: InboxRequest) -> None:
        verdict = msgspec.msgpack.decode(request.body, type=Verdict)
        if request.role == "readonly" or verdict.name in OF_THE_WORKER:
            self._answer(request.request_id, "refused", "this verdict is not yours to give")
            return
        if verdict.name not in EVIDENCE:  # it would be kept for ever, and hold nothing
            self._answer(request.request_id, "refused", f"no evidence is named {verdict.name!r}")
            return
        # Dated by the clock of whoever made it: one that is ahead must not make it last longer.
        checked_at = min(verdict.checked_at, self._core.time.now())
        lasts = min(verdict.expires_at - verdict.checked_at, VERDICT_MAX_LIFE)
        bounded = msgspec.structs.replace(
            verdict, checked_at=checked_at, expires_at=checked_at + lasts
        )
        self._core.enter(VerdictRecorded(bounded))
        self._answer(request.request_id, "done", f"verdict {verdict.name} recorded")

    def _approver(self, text: bytes, signature: str) -> str:
        """Whose signature it is; empty where it is no approver's."""
        known = self._core.engine.world.system.approvers
        fits = (name for name, each in known.items() if credential.fits(each.key, text, signature))
        return next(fits, "")

    def _reloaded(self, by: str, reason: str) -> dict[str, str]:
        """What came of reading the files: the ledger refuses the request where they are faulty."""
        try:
            return {"outcome": self._reload(by, reason)}
        except PortcullisError as error:
            return {"refusal": f"not loaded: {error}"}

    def _take_asked(self, request: InboxRequest) -> None:
        asked = msgspec.msgpack.decode(request.body, type=Asked)
        trace = msgspec.msgpack.decode(request.body, type=Traced).trace
        text = signed_text(request.request_id, request.verb, asked)
        signed = bool(asked.signature) and self._is_administrator(text, asked.signature)
        role = "admin" if signed else ("readonly" if request.role == "readonly" else "operator")
        arguments: dict[str, Any] = dict(asked.arguments)
        if request.verb == "reload" and role == "admin" and asked.reason.strip():
            arguments |= self._reloaded(request.by, asked.reason)
        if request.verb == "approve":  # by another than the administrator, whose key became one's
            arguments["approver"] = "" if signed else self._approver(text, asked.signature)
        if request.verb == "enrol":
            arguments["refusal"] = _unfit(arguments.get("key"), text, asked.signature)
        if request.verb == "retire" and role != "readonly" and asked.reason.strip():
            arguments["refusal"] = self._retire(arguments.get("through"))
        self._core.enter(
            RequestReceived(
                request.request_id,
                request.verb,
                request.by,
                role,  # type: ignore[arg-type]
                asked.reason,
                asked.account,
                arguments,
            ),
            trace,
        )
