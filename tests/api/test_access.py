"""Every route and every role: what the matrix says is what happens, and what is published."""

import re
from pathlib import Path

import pytest

from portcullis.api.access import MATRIX, GuardedRoute
from portcullis.api.app import ROUTERS, own
from portcullis.api.keys import ROLES

DOCUMENT = Path(__file__).parents[2] / "docs" / "api.md"
CALLERS = (None, *ROLES)


def guarded():
    """Every route that there is, the pages included."""
    return sorted(
        (method, route.path_format)
        for router in (*ROUTERS, own)
        for route in router.routes
        if isinstance(route, GuardedRoute)
        for method in route.methods
    )


def needed(level, *, local):
    """The smallest number of a caller that gets in."""
    if level == "anyone" or (level == "local" and local):
        return 0
    return CALLERS.index("readonly" if level == "local" else level)


def test_every_route_has_an_entry_and_every_entry_a_route():
    assert guarded() == sorted(MATRIX)


def test_a_route_without_an_entry_cannot_be_made():
    with pytest.raises(KeyError, match="/forgotten"):
        GuardedRoute("/forgotten", lambda: None, methods=["GET"])


def test_the_published_matrix_is_the_one_in_force():
    rows = re.findall(
        r"^\| `(GET|POST|DELETE) (\S+)` \| (\w+) \|", DOCUMENT.read_text(), re.MULTILINE
    )
    assert {(method, path): level for method, path, level in rows} == MATRIX


@pytest.mark.parametrize("local", [True, False], ids=["local", "elsewhere"])
@pytest.mark.parametrize("role", CALLERS)
@pytest.mark.parametrize(("method", "path"), sorted(MATRIX), ids=lambda value: value)
def test_a_role_gets_in_where_the_matrix_says_so_and_nowhere_else(
    api, method, path, role, local, monkeypatch
):
    """Bodies are empty, so that whoever gets in changes nothing."""
    monkeypatch.setattr("portcullis.api.asking.ANSWER_SECONDS", 0.0)
    place = re.sub(r"\{(\w+)\}", lambda name: "0" * (32 if "request" in name[1] else 8), path)
    reply = api.ask(method, place, role, local=local, **({"json": {}} if method == "POST" else {}))
    allowed = CALLERS.index(role) >= needed(MATRIX[method, path], local=local)
    refused = 401 if role is None else 403
    if allowed:
        assert reply.status_code not in (401, 403), reply.text
    else:
        assert reply.status_code == refused
        assert reply.headers["content-type"] == "application/problem+json"
        assert (refused == 401) == ("www-authenticate" in reply.headers)


def test_whoever_comes_through_a_proxy_is_not_from_this_machine(api):
    reply = api.get("/health", None, headers={"X-Forwarded-For": "203.0.113.9"})
    assert reply.status_code == 401
    assert api.get("/health", None).status_code == 200
