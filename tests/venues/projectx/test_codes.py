"""Error codes: the same number means different things at different endpoints."""

from __future__ import annotations

import pytest

from portcullis.errors import VenueRefused, VenueTimeout, VenueUnreachable
from portcullis.venues.projectx import codes


@pytest.mark.parametrize(
    ("endpoint", "code", "kind", "says"),
    [
        ("Order/place", 6, VenueTimeout, "OrderPending"),
        ("Position/closeContract", 6, VenueUnreachable, "OrderPending"),
        ("Position/partialCloseContract", 6, VenueRefused, "OrderRejected"),
        ("Order/modify", 6, VenueRefused, "AccountRejected"),
        ("Order/cancel", 6, VenueRefused, "AccountRejected"),
        ("Auth/loginKey", 6, VenueRefused, "InvalidDevice"),
        ("Order/place", 7, VenueTimeout, "UnknownError"),
        ("Position/closeContract", 99, VenueRefused, "code 99"),
    ],
)
def test_one_number_at_several_endpoints(endpoint, code, kind, says):
    found = codes.failure(endpoint, code, "why")
    assert type(found) is kind
    assert says in str(found)
    assert found.remedy


@pytest.mark.parametrize(("endpoint", "code"), [("Order/cancel", 2), ("Position/closeContract", 2)])
def test_what_is_gone_already_is_success(endpoint, code):
    assert codes.failure(endpoint, code, None) is None


def test_a_reduction_without_a_position_is_refused():
    found = codes.failure("Position/partialCloseContract", 2, None)
    assert isinstance(found, VenueRefused)
    assert "no reason given" in str(found)


@pytest.mark.parametrize("endpoint", sorted(codes.ENDPOINTS))
def test_every_code_of_every_endpoint_has_an_answer(endpoint):
    for known in codes.ENDPOINTS[endpoint]:
        found = codes.failure(endpoint, known.value, "why")
        assert found is None or found.remedy


def test_who_must_act_and_when_to_log_in():
    assert codes.NEXT[codes.CancelOrderError(6)] == "person"
    assert codes.PartialCloseError(6) not in codes.NEXT, "there 6 is a plain refusal"
    assert codes.needs_login("Auth/validate", 3)
    assert not codes.needs_login("Auth/loginKey", 3)
