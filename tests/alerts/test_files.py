"""The files of channels and terms while the sender runs: faulty, mended, taken away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from portcullis.alerts import configured
from portcullis.cli.sending import Files
from portcullis.config.settings import Settings
from portcullis.domain.model import HOUR
from tests.alerts.harness import Desk
from tests.alerts.sinks import HttpSink
from tests.alerts.test_sender import FELL, json_to

TERMS = "subscriptions:\n  - {channel: desk, severity: critical, accounts: all}\n"


class Person:
    """A home, a sender that begins with nothing, and a person who edits files."""

    def __init__(self, home: Path, sink: HttpSink) -> None:
        self.settings = Settings(home=str(home), config=str(home))
        self.desk, self.sink = Desk(home), sink
        self.begin()

    def begin(self) -> None:
        """A sender of this home as `send` makes it."""
        self.desk.open({})
        sender = self.desk.sender
        assert sender is not None
        sender.policy.terms = sender.kept.terms = sender._outbox.load().terms
        sender._known = None
        self.files = Files(self.settings)

    def write(self, text: str) -> None:
        (self.settings.config_path / configured.FILE).write_text(text)

    def connect(self) -> Path:
        configured.keep_address(self.settings, "desk", json_to(self.sink))
        return self.settings.channels_path

    def look(self) -> str:
        self.files._looked_at = -10.0
        assert self.desk.sender is not None
        return self.files.put_in_force(self.desk.sender)

    def fall(self) -> None:
        self.desk.write(FELL)
        self.desk.turn_until(lambda: len(self.sink.received) == 1)


@pytest.fixture
def person(tmp_path: Path, sink: HttpSink) -> Iterator[Person]:
    made = Person(tmp_path, sink)
    yield made
    made.files.stop_listening()
    made.desk.close()


def test_a_file_that_others_may_read_is_used_once_it_was_chmodded(person: Person) -> None:
    person.write(TERMS)
    path = person.connect()
    path.chmod(0o644)
    assert "chmod 600" in person.look()
    path.chmod(0o600)
    assert person.look() == ""
    person.fall()


def test_a_start_with_faulty_terms_goes_on_with_those_before(person: Person) -> None:
    person.write(TERMS)
    person.connect()
    assert person.look() == ""
    assert person.desk.sender is not None
    person.desk.sender._committed_at = 0
    person.desk.sender.turn(0)
    person.desk.end()
    person.write("subscriptions: [")
    person.begin()
    assert "alerts.yaml" in person.look()
    person.fall()


@pytest.mark.parametrize("fault", ["directory", "others", "garbage"])
def test_what_waits_outlives_channels_that_cannot_be_read(person: Person, fault: str) -> None:
    person.write(TERMS)
    path = person.connect()
    kept = path.read_text()
    if fault == "others":
        path.chmod(0o644)
    elif fault == "garbage":
        path.write_text("\xff no channel\n")
    else:
        path.unlink()
        path.mkdir(mode=0o700)
    assert str(path) in person.look()
    person.desk.write(FELL)
    assert person.desk.sender is not None
    person.desk.sender.turn(0)
    assert person.desk.outbox.late("critical", person.desk.now() + HOUR) == 1
    if fault == "directory":
        path.rmdir()
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(kept)
    assert person.look() == ""
    person.desk.turn_until(lambda: len(person.sink.received) == 1)


def test_an_operator_who_is_taken_away_may_not_answer_though_a_channel_is_faulty(
    person: Person,
) -> None:
    person.write(TERMS + 'telegram: {operators: {"1": anna, "2": bert}}\n')
    path = person.connect()
    assert person.look() == ""
    assert dict(person.files.operators) == {1: "anna", 2: "bert"}
    path.chmod(0o644)
    person.write(TERMS + 'telegram: {operators: {"1": anna}}\n')
    assert "chmod" in person.look()
    assert dict(person.files.operators) == {1: "anna"}


def test_an_address_that_became_unusable_gives_nothing_up(person: Person) -> None:
    person.write(TERMS)
    path = person.connect()
    kept = path.read_text()
    path.write_text("desk=nonsense://x\n")
    assert "channel desk" in person.look()
    person.desk.write(FELL)
    assert person.desk.sender is not None
    person.desk.sender.turn(0)
    path.write_text(kept)
    assert person.look() == ""
    person.desk.turn_until(lambda: len(person.sink.received) == 1)
