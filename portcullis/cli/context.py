"""What the commands reach: the running worker over loopback, or its records when it is away."""

from __future__ import annotations

import getpass
import json
import time
import uuid
from pathlib import Path
from typing import Any

import msgspec

from portcullis import gate_client
from portcullis.api.shut import Shutting
from portcullis.cli.output import Declined, NotPermitted, WaitedTooLong, WorkerAway
from portcullis.clock import SystemClock
from portcullis.config.settings import Settings, read_settings
from portcullis.domain import alert_requests
from portcullis.domain.engine import Engine
from portcullis.domain.events import CommandConcluded, decode
from portcullis.domain.overview import overview
from portcullis.domain.requests import LOOSENING
from portcullis.errors import NotFound, PortcullisError, UsageError
from portcullis.ports import InboxAnswer
from portcullis.store import credential
from portcullis.store.inbox import StoredInbox
from portcullis.store.opening import has_ledger, open_inbox, open_reader
from portcullis.store.reading import EventFilter, LedgerReader
from portcullis.worker.recovery import recover
from portcullis.worker.requests import Asked, signed_text

ANSWER_SECONDS = 10.0
POLL_SECONDS = 0.05
_SHUTTING = Shutting()
_LOOK_AT = {
    "reload": "mend what is named and ask again; `portcullis config check` judges the files",
    "approve": "see `portcullis config pending` and `portcullis approver list`",
    "withdraw": "see `portcullis config pending`",
    "enrol": "see `portcullis approver list`",
    "dismiss": "see `portcullis approver list`",
}
"""Where a person looks whose request was refused, if not at `portcullis status`."""


def settings() -> Settings:
    """The settings of this call."""
    return read_settings()


def ask_worker(method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """One request to the gate; raises WorkerAway when nobody answers."""
    known = settings()
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} if data else {}
    try:
        reply = gate_client.ask(
            known, path, ANSWER_SECONDS, method=method, body=data, headers=headers
        )
        found = reply.status, reply.json()
    except gate_client.NoAnswer as error:
        raise WorkerAway(
            f"no worker answers at {known.host}:{known.gate_port} ({error})",
            remedy="start it with `portcullis up`, or set PORTCULLIS_GATE_PORT to its port",
        ) from error
    _refuse_another_home(known, reply.ledger)
    return found


def _refuse_another_home(known: Settings, ledger: str) -> None:
    """A worker of another home answers for other accounts, and takes no request of this one."""
    own = ""
    if has_ledger(known):
        with open_reader(known) as reader:
            own = reader.ledger_id
    if not own.startswith(ledger) or not own:
        raise WorkerAway(
            f"the worker at {known.host}:{known.gate_port} is not that of {known.home_path}",
            remedy="set PORTCULLIS_HOME to its home, or PORTCULLIS_GATE_PORT to this one's port",
        )


def status() -> dict[str, Any]:
    """What the worker sees now; from the records, marked so, when it is away: then nobody answers
    a proposal, and the gate is shut whatever the records say. Of a shut gate also who shut it.
    """
    try:
        _, found = ask_worker("GET", "/api/v1/status")
    except WorkerAway:
        found = overview(recorded_engine(), SystemClock().now())
        why = f"no worker answers; before: {found['why']}"
        found = {"live": False, **found, "gate_open": False, "why": why}
    else:
        found = {"live": True, **found}
    return {**found, "shut": None if found["gate_open"] else _shut(found["as_of"])}


def _shut(now: int) -> dict[str, Any] | None:
    """What shut the gate, from the records: a start only finds it as it was left. None also where
    they cannot be read: the worker's own answer is not to be lost by that.
    """
    try:
        with open_ledger() as reader:
            found = _SHUTTING.look(reader)
    except PortcullisError:
        return None
    return None if found is None else {**found._asdict(), "told": found.told(now)}


def recorded_engine() -> Engine:
    """The state at the end of the ledger, folded here; raises NotFound without a ledger."""
    with open_ledger() as reader:
        return recover(reader).engine


def open_ledger() -> LedgerReader:
    """The ledger, read-only; raises NotFound naming the home."""
    known = settings()
    if not has_ledger(known):
        raise NotFound(
            f"there is no ledger in {known.home_path}",
            remedy="start with `portcullis up`, or set PORTCULLIS_HOME",
        )
    return open_reader(known)


def account_status(name: str) -> dict[str, Any]:
    """One account of `status`; raises NotFound naming those there are."""
    found = status()
    for row in found["accounts"]:
        if row["account"] == name:
            return {"live": found["live"], **row}
    names = ", ".join(row["account"] for row in found["accounts"])
    raise NotFound(f"account {name!r} is not known here", remedy=f"known are: {names}")


def request(
    verb: str,
    reason: str,
    *,
    account: str | None = None,
    loosens: bool = False,
    signed_with: Path | None = None,
    **arguments: Any,
) -> InboxAnswer:
    """Ask the worker through the inbox and wait for the ledger's answer.

    `loosens`: sign it, as the verbs that always loosen are, with the key file `signed_with` or the
    administrator's; raises NotPermitted where there is none.
    """
    known = settings()
    if not has_ledger(known):
        raise NotFound(
            f"there is no ledger in {known.home_path}",
            remedy="start with `portcullis up`, or set PORTCULLIS_HOME",
        )
    request_id = uuid.uuid4().hex
    asked = Asked(reason, account, {k: v for k, v in arguments.items() if v is not None})
    if loosens or verb in LOOSENING:
        signed = signature(known, request_id, verb, asked, signed_with)
        asked = msgspec.structs.replace(asked, signature=signed)
    inbox = open_inbox(known)
    try:
        body = msgspec.msgpack.encode(asked)
        inbox.ask(request_id, verb, getpass.getuser(), "operator", body, SystemClock().now())
        return _answer(inbox, request_id, verb)
    finally:
        inbox.close()


def _answer(inbox: StoredInbox, request_id: str, verb: str) -> InboxAnswer:
    deadline = time.monotonic() + ANSWER_SECONDS
    while time.monotonic() < deadline:
        answer = inbox.answer_to(request_id)
        if answer is not None:
            if answer.outcome != "done":
                remedy = _LOOK_AT.get(verb, "see `portcullis status`")
                raise Declined(f"refused: {answer.detail}", remedy=remedy)
            return answer
        time.sleep(POLL_SECONDS)
    raise WaitedTooLong(
        f"the worker did not answer within {ANSWER_SECONDS:.0f} s; request {request_id} stands",
        remedy="is it running? the request is carried out as soon as it is",
    )


def ask_sender(verb: str, reason: str, **arguments: Any) -> dict[str, Any]:
    """Ask for something about alerts: the worker records it, and while it is away the sender takes
    it from the inbox itself. Raises UsageError, Declined, WaitedTooLong.
    """
    known, now = settings(), SystemClock().now()
    fault = alert_requests.wrong(verb, arguments, now)
    if fault:
        raise UsageError(fault, remedy="see `portcullis alert --help`")
    request_id = uuid.uuid4().hex
    asked = Asked(reason, None, {k: v for k, v in arguments.items() if v is not None})
    inbox = open_inbox(known)
    try:
        body = msgspec.msgpack.encode(asked)
        inbox.ask(request_id, verb, getpass.getuser(), "operator", body, now)
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            answer = inbox.answer_to(request_id)
            taken = _refused_by_sender(known, request_id)
            refusal = answer.detail if answer and answer.outcome != "done" else taken
            if refusal:
                raise Declined(f"refused: {refusal}", remedy="see `portcullis alert list`")
            if taken is not None:
                return {"request_id": request_id, "recorded": answer is not None}
            time.sleep(POLL_SECONDS)
    finally:
        inbox.close()
    raise WaitedTooLong(
        f"the sender did not take it up within {ANSWER_SECONDS:.0f} s; request {request_id} stands",
        remedy="is it running? `portcullis up` and `portcullis send` start it",
    )


def _refused_by_sender(known: Settings, request_id: str) -> str | None:
    """Why the sender refused a request; empty when it did not, None while it has not seen it."""
    from portcullis.alerts.alert_reader import AlertReader, is_begun

    if not is_begun(known.home_path):
        return None
    with AlertReader(known.home_path) as store:
        return store.kept().applied.get(request_id)


def concluded(account: str, answer: InboxAnswer) -> CommandConcluded:
    """How the command that a request led to ended, or the one that was under way already.

    Raises WaitedTooLong when it does not end in its time.
    """
    known = settings()
    words = answer.detail.split()
    key = words[1] if words[:1] == ["command"] else None
    where = EventFilter(f"account/{account}", ("command_concluded",))
    deadline = time.monotonic() + known.enforce_within / 1_000_000 + ANSWER_SECONDS
    with open_ledger() as reader:
        while time.monotonic() < deadline:
            for stored in reader.events(where, after=answer.position):
                ended = decode(stored.payload)
                if isinstance(ended, CommandConcluded) and key in (None, ended.key):
                    return ended
            time.sleep(POLL_SECONDS)
    raise WaitedTooLong(
        f"the flatten of {account} has not ended; it goes on being tried",
        remedy="look at the account at the venue now; see `portcullis status`",
    )


def signature(
    known: Settings, request_id: str, verb: str, asked: Asked, key: Path | None = None
) -> str:
    """Over a request, by a key file or the administrator's; raises NotPermitted without it."""
    own = Path(known.administrator_key or known.home_path / credential.PRIVATE_FILE)
    path = (key or own).expanduser()
    whose = "an approver's key" if verb == "approve" else "the administrator's credential"
    if not path.exists():
        raise NotPermitted(
            f"`{verb}` loosens and needs {whose}; there is none at {path}",
            remedy="give the path of the key file (PORTCULLIS_ADMINISTRATOR_KEY, or --key)",
        )
    return credential.sign(path, signed_text(request_id, verb, asked))
