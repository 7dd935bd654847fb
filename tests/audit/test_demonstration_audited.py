"""The second judge agrees with the first on the whole demonstration."""

from __future__ import annotations

import msgspec
import pytest

from portcullis.audit.inquiry import audit
from portcullis.config.files import read_configuration
from portcullis.staging import demonstrate
from portcullis.store.export import line_of
from portcullis.wiring import defaults_folder


@pytest.mark.parametrize("seed", [7, 1, 23])
def test_the_demonstration_does_what_the_text_demands(seed):
    plan = msgspec.structs.replace(read_configuration(defaults_folder()).plan, required=())
    found = audit([line_of(row) for row in demonstrate(seed, plan).read()], "demonstration")
    assert found.differences == []
    assert found.accounts == 5
    assert found.breaches >= 15
    assert found.agreed == found.breaches
