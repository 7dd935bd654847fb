"""Mail to a real server: with STARTTLS, TLS and a password, and every way it may not go."""

from __future__ import annotations

from pathlib import Path

import pytest

from portcullis.alerts.channels import send
from portcullis.alerts.message import Message, Outcome
from tests.alerts.mail import (
    PASSWORD,
    USER,
    Security,
    certificate_in,
    mail_sink,
    rude_mail_server,
)
from tests.alerts.sinks import within

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning:aiosmtpd.*")

MESSAGE = Message("01HXAMPLE", "critical", "Lost <500> & locked", "LIVE-1 lost\n- a < b & c")
MODES = {"none": "insecure", "starttls": "starttls", "tls": "ssl"}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate_in(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The certificate, in the place where this machine looks for those it trusts."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return certificate


def address(port: int, security: Security, *, login: str = "") -> str:
    who = f"{login}@" if login else ""
    scheme = "mailto" if security == "none" else "mailtos"
    return (
        f"{scheme}://{who}127.0.0.1:{port}/?from=portcullis@example.com&to=you@example.com"
        f"&smtp=127.0.0.1&mode={MODES[security]}"
    )


def plain(port: int) -> str:
    return address(port, "none")


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_mail_arrives_over_tls_with_a_password(trusted: Path, security: Security) -> None:
    with mail_sink(security, trusted, login=True) as sink:
        found = send(address(sink.port, security, login=f"{USER}:{PASSWORD}"), MESSAGE)
    assert found == Outcome("delivered")
    assert sink.logins == [True]
    (mail,) = sink.mails
    assert mail["Subject"] == MESSAGE.title
    assert "you@example.com" in mail["To"]
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines()[:2] == ["LIVE-1 lost", "- a < b & c"]


def test_a_mail_in_the_clear_arrives_where_the_server_wants_it_so() -> None:
    with mail_sink() as sink:
        assert send(plain(sink.port), MESSAGE) == Outcome("delivered")
    assert len(sink.mails) == 1


def test_two_mails_need_no_pause_between_them() -> None:
    with mail_sink() as sink:
        within(2, lambda: [send(plain(sink.port), MESSAGE) for _ in range(4)])
    assert len(sink.mails) == 4


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_an_unknown_certificate_is_not_spoken_to(certificate: Path, security: Security) -> None:
    with mail_sink(security, certificate, login=True) as sink:
        found = send(address(sink.port, security, login=f"{USER}:{PASSWORD}"), MESSAGE)
    assert found.kind == "failed"
    assert "certificate verify failed" in found.detail
    assert sink.logins == []


def test_a_wrong_password_is_refused_quickly_and_not_repeated_in_the_reason(trusted: Path) -> None:
    with mail_sink("starttls", trusted, login=True) as sink:
        wrong = address(sink.port, "starttls", login=f"{USER}:anothersecret")
        found = within(12, lambda: send(wrong, MESSAGE))
    assert found.kind == "refused"
    assert found.detail.startswith("535 ")
    assert "anothersecret" not in found.detail
    assert set(sink.logins) == {False}
    assert sink.mails == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [("550 5.1.1 no such user here", "refused"), ("451 4.7.1 come again later", "failed")],
)
@pytest.mark.parametrize("stage", ["refuse_recipient", "refuse_data"])
def test_a_server_says_never_or_later(answer: str, kind: str, stage: str) -> None:
    with mail_sink() as sink:
        setattr(sink, stage, answer)
        found = send(plain(sink.port), MESSAGE)
    assert (found.kind, found.detail) == (kind, answer)


def test_nobody_listening_is_failed() -> None:
    with rude_mail_server([]) as port:
        pass
    found = send(plain(port), MESSAGE)
    assert found.kind == "failed"
    assert "Connection refused" in found.detail


GREETED = [b"220 me\r\n", b"250 me\r\n", b"250 ok\r\n", b"250 ok\r\n"]


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        ([], "failed", "not handed over"),
        (GREETED, "failed", "not handed over"),
        ([*GREETED, b"354 go\r\n"], "unknown", "no answer in time"),
        ([b"554 no service\r\n"], "refused", "554"),
        ([b"421 too many\r\n"], "failed", "421"),
    ],
)
def test_a_silent_server_may_only_have_what_it_was_handed(
    script: list[bytes], kind: str, words: str
) -> None:
    with rude_mail_server(script) as port:
        found = within(1.6, lambda: send(plain(port), MESSAGE, within=0.6))
    assert found.kind == kind
    assert words in found.detail


def test_a_dripping_server_does_not_outlast_the_time() -> None:
    with rude_mail_server([], drip=True) as port:
        found = within(1.5, lambda: send(plain(port), MESSAGE, within=0.6))
    assert found.kind == "failed"


def test_dripping_in_place_of_tls_does_not_outlast_the_time() -> None:
    with rude_mail_server([], drip=True) as port:
        found = within(1.5, lambda: send(address(port, "tls"), MESSAGE, within=0.6))
    assert found.kind == "failed"
