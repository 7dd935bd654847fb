"""Speaking to Prefect's server: its deployments, and runs of them. Nothing here imports Prefect."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from typing import Any, NamedTuple

from portcullis.cli.output import Declined, WaitedTooLong, WorkerAway
from portcullis.config.orchestrator import prefect_address
from portcullis.config.settings import Settings
from portcullis.config.source import nearest
from portcullis.errors import NotFound, UsageError

ANSWER_SECONDS = 15.0
LOOK_SECONDS = 0.25
LISTED_MAX = 200
DETAIL_MAX = 400
FINAL = frozenset(("COMPLETED", "FAILED", "CRASHED", "CANCELLED"))
BUSY = 503  # its database is being written: nothing was done, so anything may be asked again
BUSY_ATTEMPTS = 10
BUSY_SECONDS = 0.5
REFUSED = frozenset((400, 409, 422))
TRUTH = {"true": True, "yes": True, "false": False, "no": False}


class SchedulerAway(WorkerAway):
    """Prefect's server cannot be reached."""


class Parameter(NamedTuple):
    """One field of a flow's form; `kinds` are JSON's names of what it may be."""

    name: str
    kinds: tuple[str, ...]
    default: Any
    description: str


class Deployment(NamedTuple):
    """What can be run."""

    id: str
    name: str
    description: str
    pool: str
    parameters: tuple[Parameter, ...]


class Run(NamedTuple):
    """A run as the server has it; `type` is the kind of its state, `state` the state's name."""

    id: str
    name: str
    type: str
    state: str
    message: str
    page: str

    @property
    def is_final(self) -> bool:
        return self.type in FINAL


class Scheduler:
    """Prefect's server of this home. Each request is bounded by `ANSWER_SECONDS`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = uuid.uuid4().hex
        self._token = ""

    def deployments(self) -> list[Deployment]:
        """What is in force, by name. Raises SchedulerAway."""
        found = self._ask("POST", "/deployments/filter", {"limit": LISTED_MAX})
        return sorted((_deployment(each) for each in found), key=lambda each: each.name)

    def deployment(self, name: str) -> Deployment:
        """The one of that name; raises NotFound with the nearest."""
        found = {each.name: each for each in self.deployments()}
        if name in found:
            return found[name]
        close = nearest(name, tuple(found))
        raise NotFound(
            f"there is no flow {name!r}" + (f"; did you mean {close}?" if close else ""),
            remedy="see `portcullis flow list`",
        )

    def start(self, deployment: Deployment, parameters: dict[str, Any]) -> Run:
        """Ask for a run now. Raises UsageError where the server refuses the parameters."""
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}, "tags": ["by-hand"]}
        return self._run(self._ask("POST", f"/deployments/{deployment.id}/create_flow_run", body))

    def run(self, run_id: str) -> Run:
        """A run as it is now. Raises NotFound."""
        return self._run(self._ask("GET", f"/flow_runs/{run_id}"))

    def answer(self, run_id: str, fields: dict[str, Any]) -> None:
        """Give a run what it waits for. Raises Declined where it waits for nothing, or not that."""
        said = self._ask("POST", f"/flow_runs/{run_id}/resume", {"run_input": fields})
        if said.get("status") != "ACCEPT":
            why = (said.get("details") or {}).get("reason") or "the run waits for nothing"
            raise Declined(str(why)[:DETAIL_MAX], remedy=f"look at it: {self._page(run_id)}")

    def wait(self, run: Run, seconds: float, *, answered: bool = False) -> Run:
        """The run once it has ended, or waits for a person. Raises WaitedTooLong.

        A run that was `answered` may take a few seconds to notice.
        """
        deadline = time.monotonic() + seconds
        while not (run := self.run(run.id)).is_final and (run.type != "PAUSED" or answered):
            if time.monotonic() > deadline:
                raise WaitedTooLong(
                    f"{run.name}: still {run.state} after {seconds:.0f} s",
                    remedy=f"it goes on; look at {run.page}",
                )
            time.sleep(LOOK_SECONDS)
        return run

    def _run(self, body: Any) -> Run:
        state = body.get("state") or {}
        return Run(
            body["id"],
            body["name"],
            str(state.get("type", "")),
            str(state.get("name", "")),
            str(state.get("message") or ""),
            self._page(body["id"]),
        )

    def _page(self, run_id: str) -> str:
        return f"{prefect_address(self._settings)}/runs/flow-run/{run_id}"

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Content-Type": "application/json"}
        if method == "POST":
            headers |= {"Prefect-Csrf-Token": self._csrf(), "Prefect-Csrf-Client": self._client}
        status, found = self._exchange(method, path, body, headers)
        for _ in range(BUSY_ATTEMPTS):
            if status != BUSY:
                break
            time.sleep(BUSY_SECONDS)
            status, found = self._exchange(method, path, body, headers)
        if 200 <= status < 300:
            return found
        detail = _detail(found)
        if status == 404:
            raise NotFound(f"{path}: {detail}", remedy="see `portcullis flow list`")
        if status in REFUSED:
            raise UsageError(detail, remedy="see `portcullis flow list NAME` for what is taken")
        raise self._away(f"answered {status}: {detail}")

    def _csrf(self) -> str:
        """The token that the server wants with everything that changes something."""
        if not self._token:
            status, found = self._exchange("GET", f"/csrf-token?client={self._client}", None, {})
            self._token = str(found["token"]) if status == 200 else "not asked for"
        return self._token

    def _exchange(
        self, method: str, path: str, body: Any, headers: dict[str, str]
    ) -> tuple[int, Any]:
        where = self._settings
        connection = http.client.HTTPConnection(
            where.host, where.prefect_port, timeout=ANSWER_SECONDS
        )
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, f"/api{path}", sent, headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else {}
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise self._away(str(error)) from error
        finally:
            connection.close()

    def _away(self, why: str) -> SchedulerAway:
        return SchedulerAway(
            f"Prefect's server at {prefect_address(self._settings)}: {why}",
            remedy="start it with `portcullis up`, or set PORTCULLIS_PREFECT_PORT to where it is",
        )


def typed(deployment: Deployment, given: list[str]) -> dict[str, Any]:
    """`name=value` words as the flow's form takes them. Raises UsageError, one fault at a time."""
    known = {each.name: each for each in deployment.parameters}
    found = {}
    for word in given:
        name, equals, text = word.partition("=")
        if not equals:
            raise UsageError(f"{word!r} is no parameter", remedy="write NAME=VALUE")
        if name not in known:
            close = nearest(name, tuple(known))
            hint = f"; did you mean {close}?" if close else ""
            raise UsageError(
                f"{deployment.name} has no parameter {name!r}{hint}",
                remedy="it takes " + (", ".join(known) or "none"),
            )
        found[name] = _value(known[name], text)
    return found


def _value(parameter: Parameter, text: str) -> Any:
    kinds = parameter.kinds
    if not text and "null" in kinds:
        return None
    if "boolean" in kinds and text.lower() in TRUTH:
        return TRUTH[text.lower()]
    for kind, make in (("integer", int), ("number", float)):
        if kind in kinds:
            try:
                return make(text)
            except ValueError:
                break
    if "string" in kinds:
        return text
    raise UsageError(
        f"{parameter.name}: {text!r} is no {' or '.join(kinds)}",
        remedy=parameter.description or "see `portcullis flow list NAME`",
    )


def _deployment(body: Any) -> Deployment:
    schema = body.get("parameter_openapi_schema") or {}
    set_here = body.get("parameters") or {}
    fields = tuple(
        Parameter(
            name,
            _kinds(field),
            set_here.get(name, field.get("default")),
            str(field.get("description", "")),
        )
        for name, field in sorted(
            (schema.get("properties") or {}).items(), key=lambda each: each[1].get("position", 0)
        )
    )
    about, pool = str(body.get("description") or ""), str(body.get("work_pool_name") or "")
    return Deployment(body["id"], body["name"], about, pool, fields)


def _kinds(field: dict[str, Any]) -> tuple[str, ...]:
    """JSON's names of what a field may be."""
    if "anyOf" in field:
        return tuple(kind for each in field["anyOf"] for kind in _kinds(each))
    return (str(field.get("type", "string")),)


def _detail(body: Any) -> str:
    found = body.get("detail", body) if isinstance(body, dict) else body
    return (found if isinstance(found, str) else json.dumps(found))[:DETAIL_MAX]
