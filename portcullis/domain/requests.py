"""What people and programs ask of the worker, carried out or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable

from portcullis.domain import (
    alert_requests,
    capital,
    enforcement,
    locks,
    loosening,
    mode,
    strategies,
)
from portcullis.domain.bounds import forget_oldest
from portcullis.domain.breach import LockSpec
from portcullis.domain.commands import Flatten
from portcullis.domain.events import AnyDecision, RequestAnswered, RequestReceived
from portcullis.domain.model import HOUR
from portcullis.domain.plan import Plan
from portcullis.domain.state import AccountState, State

ANSWERED_MAX = 10_000
FAULTS_TOLD = 3
LOCK_MAX = 366 * 24 * HOUR
LOOSENING = frozenset(("release", "open", "reload", "enrol"))
TIGHTENING = frozenset(("lock", "flatten", "observe", "shutdown", "withdraw", "dismiss"))
"""`strategy` is neither: which way it goes is in the states it joins. Nor is `approve`: an approver
signs it, and not the administrator.
"""


class Refused(Exception):
    """The request cannot be carried out; the text says why."""


def carry_out(request: RequestReceived, world: State, plan: Plan) -> list[AnyDecision]:
    """Do what is asked, once; the last decision is the answer."""
    answered = world.system.answered
    if request.request_id in answered:
        return []
    answered[request.request_id] = world.position
    forget_oldest(answered, ANSWERED_MAX)
    try:
        _permitted(request)
        decisions, detail = _VERBS[request.verb](request, world, plan)
    except Refused as refusal:
        return [RequestAnswered(request.request_id, "refused", str(refusal))]
    return [*decisions, RequestAnswered(request.request_id, "done", detail)]


def _permitted(request: RequestReceived) -> None:
    if request.verb not in _VERBS:
        raise Refused(f"{request.verb!r} is not a request; known are {', '.join(_VERBS)}")
    if not request.reason.strip():
        raise Refused("a reason is required")
    if request.role == "readonly":
        raise Refused("a reader may look, not change")
    if request.verb in LOOSENING and request.role != "admin":
        raise Refused(f"{request.verb} loosens and needs the administrator's credential")


Done = tuple[list[AnyDecision], str]


def _account(request: RequestReceived, world: State) -> AccountState:
    account = world.accounts.get(request.account or "")
    if account is None:
        raise Refused(f"account {request.account!r} is not known here")
    return account


def _instrument(name: object, world: State) -> str:
    """The venue's id of an instrument that a person names by ticker or id."""
    for listed in world.instruments.values():
        if name in (listed.ticker, listed.id):
            return listed.id
    raise Refused(f"instrument {name!r} is not known here")


def _lock(request: RequestReceived, world: State, plan: Plan) -> Done:
    account = _account(request, world)
    span, instrument = request.arguments.get("for_us"), request.arguments.get("instrument")
    if instrument is not None:
        instrument = _instrument(instrument, world)
    spec = LockSpec("person", instrument=instrument)
    if span is not None:
        if not isinstance(span, int) or not 0 < span <= LOCK_MAX:
            raise Refused("the time of a lock must be positive and no more than a year")
        spec = LockSpec("at", world.now + span, instrument)
    cause = f"{request.by}: {request.reason}"
    row = locks.set_lock(account, "manual", spec, cause, world, keeps=True)
    if row is None:
        return [], "a lock at least as long stands already"
    return [row], f"lock {row.lock.id} set"


def _release(request: RequestReceived, world: State, plan: Plan) -> Done:
    account = _account(request, world)
    wanted = request.arguments.get("lock")
    if wanted is not None and not isinstance(wanted, int):
        raise Refused("a lock is named by the number of its row")
    ids = list(account.locks) if wanted is None else [wanted]
    if any(lock_id not in account.locks for lock_id in ids):
        raise Refused(f"there is no lock {wanted} on {account.id}")
    if not ids:
        raise Refused(f"{account.id} has no lock")
    ended = locks.end(account, ids, "released", request.by, request.reason)
    return list(ended), f"{len(ended)} of the account's locks released"


def _flatten(request: RequestReceived, world: State, plan: Plan) -> Done:
    account = _account(request, world)
    command = Flatten(account.id)
    if any(enforcement.covers(p.command, command) for p in account.pending.values()):
        return [], "a flatten is under way already"
    account.refused = []
    issued = enforcement.issue(account, command, ("manual",), world)
    return [issued], f"command {issued.key} issued"


def _observe(request: RequestReceived, world: State, plan: Plan) -> Done:
    if mode.is_shut_down(world.system):
        raise Refused("the system is in SHUTDOWN, which is stricter")
    world.system.resumes = "OBSERVE_ONLY"
    if world.system.mode == "OBSERVE_ONLY":
        return [], "the gate is shut already"
    changed = mode.change(world.system, "OBSERVE_ONLY", request.reason, by=request.by)
    return [changed], "the gate is shut"


def _shutdown(request: RequestReceived, world: State, plan: Plan) -> Done:
    world.system.resumes = "SHUTDOWN"
    changed = mode.change(world.system, "SHUTDOWN", request.reason, by=request.by)
    return [changed], "shut down; protective enforcement stays armed"


def _open(request: RequestReceived, world: State, plan: Plan) -> Done:
    if world.system.mode == "ACTIVE":
        return [], "the gate is open already"
    gone = mode.lacking(world.system, plan.required, world.now)
    gone += tuple(f"capital: {fault}" for fault in capital.faults(world)[:FAULTS_TOLD])
    if gone:
        raise Refused(f"evidence is missing: {'; '.join(gone)}")
    world.system.resumes = "ACTIVE"
    return [mode.change(world.system, "ACTIVE", request.reason, by=request.by)], "the gate is open"


def _reload(request: RequestReceived, world: State, plan: Plan) -> Done:
    """The worker reads the files and enters `RulesLoaded` before this; faulty ones it refuses."""
    refusal = request.arguments.get("refusal")
    if refusal:
        raise Refused(str(refusal))
    return [], request.arguments.get("outcome", "reloaded")


def _approve(request: RequestReceived, world: State, plan: Plan) -> Done:
    """The worker has found whose signature it is, and puts the rules in force after this."""
    name, agreed = (str(request.arguments.get(each, "")) for each in ("approver", "plan"))
    why = loosening.refusal(world, name, agreed)
    if why:
        raise Refused(why)
    asked = world.system.loosening
    assert asked is not None
    asked.approved_by = name
    return [], f"{name} agrees to what {asked.by} asked for"


def _withdraw(request: RequestReceived, world: State, plan: Plan) -> Done:
    asked = world.system.loosening
    if asked is None:
        raise Refused("nothing waits to be loosened")
    world.system.loosening = None
    return [], f"what {asked.by} asked for will not come into force"


def _enrol(request: RequestReceived, world: State, plan: Plan) -> Done:
    name, key = (str(request.arguments.get(each, "")) for each in ("name", "key"))
    why = request.arguments.get("refusal") or loosening.enrol(world, name, key, request.by)
    if why:
        raise Refused(str(why))
    hours = loosening.ENROLLED_FOR // HOUR
    return [], f"{name} is an approver, and may agree to something in {hours} hours"


def _dismiss(request: RequestReceived, world: State, plan: Plan) -> Done:
    name = str(request.arguments.get("name", ""))
    if world.system.approvers.pop(name, None) is None:
        raise Refused(f"there is no approver {name!r}")
    asked = world.system.loosening
    if asked is not None and asked.approved_by == name:
        asked.approved_by = ""  # what is not in force yet waits for the session again
    return [], f"{name} is no approver any more"


def _retire(request: RequestReceived, world: State, plan: Plan) -> Done:
    """The worker looks at the age of the events first and begins after this."""
    refusal = request.arguments.get("refusal")
    if refusal:
        raise Refused(str(refusal))
    return [], f"events up to {request.arguments.get('through')} are being retired"


def _strategy(request: RequestReceived, world: State, plan: Plan) -> Done:
    name, after = (str(request.arguments.get(key, "")) for key in ("strategy", "to"))
    why = strategies.impossible(world, name, after)
    if why:
        raise Refused(why)
    before = world.strategies[name].state
    if strategies.loosens(before, after) and request.role != "admin":
        raise Refused(f"{before} to {after} loosens and needs the administrator's credential")
    moved = strategies.move(world, name, after, by=request.by, reason=request.reason)
    return [moved], f"strategy {name}: {before} to {after}"


def _of_alerts(request: RequestReceived, world: State, plan: Plan) -> Done:
    """Alerts are the sender's: it reads the request where it is recorded."""
    fault = alert_requests.wrong(request.verb, request.arguments, world.now)
    if fault:
        raise Refused(fault)
    return [], alert_requests.RECORDED


_VERBS: dict[str, Callable[[RequestReceived, State, Plan], Done]] = {
    "lock": _lock,
    "release": _release,
    "flatten": _flatten,
    "observe": _observe,
    "shutdown": _shutdown,
    "open": _open,
    "reload": _reload,
    "approve": _approve,
    "withdraw": _withdraw,
    "enrol": _enrol,
    "dismiss": _dismiss,
    "retire": _retire,
    "strategy": _strategy,
    **dict.fromkeys(alert_requests.VERBS, _of_alerts),
}
