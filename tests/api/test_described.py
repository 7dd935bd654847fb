"""Everything that the description allows, and much that it does not, asked of the real process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from portcullis.api.app import routes
from tests.api.test_manners import running

EXAMPLES = 5
UNDESCRIBED = "cursor"
"""No description says which texts are cursors: see test_events. In the negative it is asked."""

NARROWER = "silence"
"""Names must be printable, and what is critical is silenced for four hours: no schema says so."""

REFUSED = [
    "400", "401", "403", "404", "405", "408", "409", "413", "414", "415", "422", "429", "5xx",
]  # fmt: skip


def operations_of(key):
    """Every operation by its id. A case that is to have no key, or a wrong one, is sent so: given
    the key as a header, all would have it, and what is right would pass for what is wrong.
    """
    terms = {
        "checks": {"negative_data_rejection": {"expected-statuses": REFUSED}},
        "auth": {"openapi": {"key": {"bearer": key}}},
    }
    config = schemathesis.Config.from_dict(terms)
    described = schemathesis.openapi.from_dict(routes().openapi(), config=config)
    found = (result.ok() for result in described.get_all_operations())
    return {operation.definition.raw["operationId"]: operation for operation in found}


def asked():
    """Each operation with what it allows, and with what it does not where it takes anything."""
    return [
        pytest.param(name, mode, id=f"{name}-{mode.value}")
        for name, operation in sorted(operations_of("none").items())
        for mode in modes_of(operation.definition.raw)
    ]


def modes_of(raw):
    takes = {"parameters", "requestBody"} & set(raw)
    return tuple(GenerationMode) if takes else (GenerationMode.POSITIVE,)


@pytest.fixture(scope="module")
def sender(worker):
    """Who takes up what is asked about alerts."""
    named = {name: text for name, text in os.environ.items() if not name.startswith("PORTCULLIS")}
    environment = {**named, "PORTCULLIS_HOME": worker.settings.home}
    started = subprocess.Popen([sys.executable, "-m", "portcullis", "send"], env=environment)
    yield started
    started.terminate()
    started.wait(30)


@pytest.fixture(scope="module")
def served(worker, sender):
    with running(worker.settings) as found:
        found.operations = operations_of(found.key)
        yield found


@pytest.mark.parametrize(("name", "mode"), asked())
def test_whatever_is_asked_is_answered_as_described(served, name, mode):
    ask_everything(served, name, mode, EXAMPLES, derandomize=True)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mode"), asked())
def test_however_much_is_asked(served, name, mode):
    ask_everything(served, name, mode, 100, derandomize=False)


def ask_everything(served, name, mode, examples, *, derandomize):
    address = f"http://127.0.0.1:{served.settings.api_port}"

    # `ignored_auth` wants 401 for every wrong key, but the sixth is told to wait: see test_keys.
    left_out = [ignored_auth, *((positive_data_acceptance,) if name == NARROWER else ())]

    @settings(
        max_examples=examples,
        derandomize=derandomize,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=served.operations[name].as_strategy(generation_mode=mode))
    def ask(case):
        if mode is GenerationMode.POSITIVE:
            case.query.pop(UNDESCRIBED, None)
        answered = case.call_and_validate(base_url=address, timeout=30, excluded_checks=left_out)
        if mode is GenerationMode.POSITIVE:
            assert answered.status_code != 401, "the key was not sent"

    ask()
