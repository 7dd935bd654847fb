"""alerts.yaml and the addresses: what is read, and what is refused with where and how."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from portcullis.alerts.alert import SeverityTerms, Subscription, Terms
from portcullis.alerts.configured import keep_address, read_addresses, read_alerts, stamp
from portcullis.alerts.quiet_hours import NotHours, quiet_hours, shown
from portcullis.cli.main import app
from portcullis.config.settings import Settings
from portcullis.domain.model import HOUR, MINUTE, SECOND
from portcullis.domain.session import Window
from portcullis.errors import ConfigError, UsageError

WHOLE = """
subscriptions:
  - {channel: phone, severity: critical, accounts: all}
  - channel: mail
    topics: [gate, account]
    accounts: [ACCOUNT-1]
    after: 5 min
    quiet: 22:00-07:00 Europe/Berlin
channels:
  mail: {pace: 2 s}
critical: {repeat: 10 min, most: 6, acknowledged_for: 2 h}
warning: {window: 0 s}
storm: {messages: 5, within: 1 min}
telegram:
  operators: {"4711": anna}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "config").mkdir()
    return Settings(home=str(tmp_path))


def written(settings: Settings, text: str) -> Settings:
    (settings.config_path / "alerts.yaml").write_text(text)
    return settings


def test_a_whole_file(settings: Settings) -> None:
    found = read_alerts(written(settings, WHOLE).config_path)
    night = Window("Europe/Berlin", 22 * 60, 7 * 60, (0, 1, 2, 3, 4, 5, 6))
    assert found.terms == Terms(
        (
            Subscription("phone", "critical", (), None),
            Subscription("mail", "warning", ("gate", "account"), ("ACCOUNT-1",), 5 * MINUTE, night),
        ),
        SeverityTerms(0, 10 * MINUTE, 6, 2 * HOUR),
        SeverityTerms(0, 0, 1, 8 * HOUR),
        Terms().info,
        5,
        MINUTE,
    )
    assert (found.paces, found.operators) == ({"mail": 2 * SECOND}, {4711: "anna"})


def test_without_a_file_there_are_the_usual_terms_and_nobody_is_told(settings: Settings) -> None:
    assert read_alerts(settings.config_path) == (Terms(), {}, {})
    assert read_addresses(settings) == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("subscriptions:\n  - {channel: phone, severity: loud}",
         "alerts.yaml:2: subscriptions[0].severity: not one of the choices; given: loud"),
        ("subscriptions:\n  - {channel: phone, topic: [gate]}", "did you mean topics?"),
        ("subscriptions:\n  - {channel: phone, topics: [gates]}", "subscriptions[0].topics"),
        ("subscriptions:\n  - {severity: info}", "subscriptions[0].channel: required and missing"),
        ("subscriptions:\n  - {channel: 'My Phone'}", "no channel's name; given: My Phone"),
        ("subscriptions:\n  - {channel: phone, quiet: 22-7}", "give two times and a zone"),
        ("subscriptions:\n  - {channel: phone, quiet: 22:00-07:00 Mars/Base}", "no such time zone"),
        ("subscriptions:\n  - {channel: phone, after: soon}", "not a duration"),
        ("critical: {repeat: 15}\nchannel: {}", "unknown key; given: channel"),
        ("telegram: {operators: {anna: 4711}}", "telegram.operators: no user; given: anna"),
        ('telegram: {operators: {"\u00b2": anna}}', "telegram.operators: no user"),
        ("subscriptions:\n  - {channel: phone, accounts: All}", "all, none, or a list"),
        ("subscriptions:\n  - {channel: phone, accounts: A-1}", "no list; given: A-1"),
        ("subscriptions:\n  - {channel: phone, topics: gate}", "all, or a list"),
        ("storm: {messages: 0}", "storm.messages: out of bounds"),
        ("- a list", "allowed: a mapping of keys to values"),
        ("subscriptions: [", "alerts.yaml:"),
    ],
)  # fmt: skip
def test_a_fault_says_where_it_is_and_what_is_allowed(
    settings: Settings, text: str, says: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        read_alerts(written(settings, text).config_path)
    assert says in str(refused.value)


def test_the_shipped_file_is_the_usual_terms(settings: Settings) -> None:
    shipped = Path(__file__).parent.parent.parent / "config" / "alerts.yaml"
    assert read_alerts(written(settings, shipped.read_text()).config_path) == (Terms(), {}, {})


def test_config_check_judges_it_with_the_other_files(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    shutil.copytree(Path(__file__).parent.parent.parent / "config", folder)
    assert CliRunner().invoke(app, ["config", "check", str(folder)]).exit_code == 0
    (folder / "alerts.yaml").write_text("warnings: {window: 1 s}")
    (folder / "monitoring.yaml").write_text("required: {backups: {}}")
    faults = str(CliRunner().invoke(app, ["config", "check", str(folder)]).exception)
    assert "alerts.yaml:1: warnings: unknown key" in faults
    assert "monitoring.yaml:1" in faults


def test_an_account_that_nobody_watches_is_a_fault(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    shutil.copytree(Path(__file__).parent.parent.parent / "config", folder)
    (folder / "alerts.yaml").write_text(
        "subscriptions: [{channel: phone, accounts: [DEMO-LOSS, DEMO-LOST]}]"
    )
    faults = str(CliRunner().invoke(app, ["config", "check", str(folder)]).exception)
    assert "account DEMO-LOST is none of accounts.yaml" in faults
    assert "DEMO-LOSS is none" not in faults


def test_addresses_are_kept_for_their_owner_alone(settings: Settings) -> None:
    keep_address(settings, "phone", "tgram://secret")
    keep_address(settings, "mail", "mailto://other")
    keep_address(settings, "mail", "mailto://better")
    assert read_addresses(settings) == {"phone": "tgram://secret", "mail": "mailto://better"}
    assert settings.channels_path.stat().st_mode & 0o777 == 0o600
    before = stamp(settings)
    keep_address(settings, "phone", None)
    assert read_addresses(settings) == {"mail": "mailto://better"}
    assert stamp(settings) != before


@pytest.mark.parametrize("name", ["", "Phone", "my phone", "x" * 33, "1st", "a=b", "a\nb"])
def test_a_name_that_is_none_is_refused(settings: Settings, name: str) -> None:
    with pytest.raises(UsageError, match="is no name for a channel"):
        keep_address(settings, name, "json://x")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("phone tgram://topsecret", ":1: no channel"),
        ("phone=tgram://topsecret\nphone=json://topsecret", "phone is given twice"),
        ("# fine\n\nphone=", ":3: no channel"),
    ],
)
def test_a_line_that_is_none_is_refused_without_showing_it(
    settings: Settings, text: str, says: str
) -> None:
    settings.channels_path.write_text(text)
    settings.channels_path.chmod(0o600)
    with pytest.raises(ConfigError) as refused:
        read_addresses(settings)
    assert says in str(refused.value)
    assert "topsecret" not in str(refused.value)


def test_a_file_that_others_may_read_is_refused(settings: Settings) -> None:
    settings.channels_path.write_text("phone=tgram://x")
    settings.channels_path.chmod(0o644)
    with pytest.raises(ConfigError, match="others may read it; chmod 600"):
        read_addresses(settings)


@pytest.mark.parametrize("text", ["22:00-07:00 Europe/Berlin", "00:30-23:15 America/Chicago"])
def test_quiet_hours_are_shown_as_they_are_written(text: str) -> None:
    assert shown(quiet_hours(text)) == text


@pytest.mark.parametrize("text", ["", "22:00", "22:00-22:00 UTC", "22:00-25:00 UTC", "22:00 UTC"])
def test_what_are_no_quiet_hours(text: str) -> None:
    with pytest.raises(NotHours, match="give two times and a zone"):
        quiet_hours(text)
