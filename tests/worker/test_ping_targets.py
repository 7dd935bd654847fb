"""The addresses of the dead-man's ping: which forms there are, and that none is ever repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from portcullis.config.settings import Settings
from portcullis.doctor import machine
from portcullis.domain.model import SECOND
from portcullis.errors import UsageError
from portcullis.worker.ping_targets import targets
from tests.worker.watcher import UUID, watching

WRONG = (
    "ftp://h0st/x",
    "https://user:s3cret@hc-ping.com/x",
    "https://example.test/s3cret",
    "https:///s3cret",
    "https://[s3cret/",
    f"http://example.test:99999/{UUID}",
    "s3cret",
    " ".join([f"https://hc-ping.com/{UUID}"] * 5),
)


@pytest.mark.parametrize("text", WRONG)
def test_an_address_that_cannot_be_is_refused_without_being_repeated(text):
    with pytest.raises(UsageError) as refused:
        targets(text)
    said = f"{refused.value} {refused.value.remedy}"
    assert "PORTCULLIS_DEAD_MAN" in said
    assert "s3cret" not in said
    assert UUID not in said


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (f"https://hc-ping.com/{UUID}", "healthchecks"),
        (f"https://checks.example.test/ping/{UUID}/", "healthchecks"),
        ("https://hc-ping.com/pingkey/the-worker", "healthchecks"),
        ("https://kuma.example.test/api/push/abc?status=up&msg=OK&ping=", "kuma"),
        ("https://example.test/{status}", "template"),
    ],
)
def test_the_forms_are_known_by_their_addresses(text, form):
    (target,) = targets(f" {text} ,")
    assert target.form == form
    assert target.shown.endswith("/...")


def test_the_doctor_reads_the_address_and_sends_nothing(tmp_path: Path):
    def row(**settings):
        rows = machine.examine(Settings(home=str(tmp_path), **settings))
        return next(each for each in rows if each.name == "dead-man's ping")

    with watching() as watcher:
        assert row().state == "warn"
        found = row(dead_man=watcher.healthchecks)
        assert (found.state, UUID in found.says) == ("warn", False)  # no https
        assert row(dead_man=f"https://hc-ping.com/{UUID}").state == "ok"
        assert row(dead_man="https://example.test/s3cret").state == "fail"
        assert row(dead_man=watcher.healthchecks, dead_man_every=SECOND).state == "fail"
        assert watcher.got.empty()
