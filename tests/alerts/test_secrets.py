"""With the root logger at DEBUG a whole process sends by every channel, well and badly; what it
writes anywhere is searched for every secret.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.alerts.mail import PASSWORD, USER, certificate_in, mail_sink
from tests.alerts.sinks import BLUE, BOT, HOOK, TOKEN, HttpSink, Mode, addresses

SECRETS = (
    *(TOKEN, TOKEN.partition(":")[2], *HOOK.split("/"), BOT, BLUE, PASSWORD),
    *("hooksecretpw", "pathsecret99", "headersecret77", "aG9va3VzZXI6aG9va3NlY3JldHB3"),
    "ntfysecrettopic",
)
MODES: tuple[Mode, ...] = ("ok", "busy", "broken", "refused", "not ok", "drop", "hang", "drip body")

CHILD = """
import json, logging, sys
logging.basicConfig(level=logging.DEBUG)
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram
from portcullis.alerts.channels import describe, secrets, send
from portcullis.alerts.conversation import buttons_of
from portcullis.alerts.message import Message
from portcullis.alerts.telegram import bot_of
from portcullis.errors import UsageError

given = json.load(sys.stdin)
if given["unguarded"]:
    secrets.QUIET = ()
NotifyTelegram.notify_url = given["base"] + "/bot"
NotifySlack.webhook_url = given["base"] + "/services"
NotifySlack.api_url = given["base"] + "/api/{}"
logging.getLogger("the.test").debug("debug lines are written")
for address in given["addresses"]:
    try:
        print(describe(address))
    except UsageError as wrong:
        print(wrong, wrong.remedy)
    print(send(address, Message("01HX", "critical", "title", "body"), within=0.4))
    try:
        bot = bot_of(address)
    except UsageError as wrong:
        bot = None
    if bot:
        bot.within = 0.4
        print(bot, bot.put_buttons("1:2", buttons_of(["abc"])), bot.edit("1:2", "text"))
        print(bot.updates(0, seconds=0).outcome)
"""


def written_by(
    sink: HttpSink, tried: list[str], *, trusted: Path | None = None, unguarded: bool = False
) -> str:
    """Everything a process writes that sends to these addresses."""
    import os

    given = {"base": sink.url, "addresses": tried, "unguarded": unguarded}
    environment = {**os.environ, "PYTHONWARNINGS": "always"}
    if trusted is not None:
        environment["SSL_CERT_FILE"] = str(trusted)
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "debug lines are written" in done.stderr
    return done.stdout + done.stderr


def found_in(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret.lower() in text.lower()]


@pytest.mark.parametrize("mode", MODES)
def test_no_channel_writes_a_secret_in_any_mood_of_its_service(sink: HttpSink, mode: Mode) -> None:
    sink.behave(mode)
    written = written_by(sink, list(addresses(sink).values()))
    assert found_in(written) == []
    expected = "delivered" if mode == "ok" else "Outcome(kind="
    assert written.count(expected) >= 5


def test_nor_where_nobody_listens_or_the_address_is_wrong(sink: HttpSink) -> None:
    tried = list(addresses(sink).values())
    tried += [
        f"tgram://{TOKEN}",
        f"tgram://{TOKEN}/1/2",
        f"tgram://{TOKEN.partition(':')[2]}/1",
        f"slack://{HOOK.rpartition('/')[0]}",
        f"nosuch://{BLUE}",
        f"bbub://{BLUE}",
        f"bbub://:{BLUE}@127.0.0.1:1/+15551234567",
        "json://hookuser:hooksecretpw@127.0.0.1:1/pathsecret99?+X-Auth=headersecret77",
        "json://hookuser:hooksecretpw@[bad/pathsecret99",
        "ntfy://127.0.0.1:1/ntfysecrettopic",
    ]
    sink.stop()
    written = written_by(sink, tried)
    assert found_in(written) == []
    assert written.count("Outcome(kind='refused'") >= 6
    assert written.count("Outcome(kind='failed'") >= 6


def test_nor_does_mail(sink: HttpSink, tmp_path: Path) -> None:
    certificate = certificate_in(tmp_path)
    with mail_sink("starttls", certificate, login=True) as mail:
        options = "from=a@example.com&to=b@example.com&smtp=127.0.0.1"
        good = f"mailtos://{USER}:{PASSWORD}@127.0.0.1:{mail.port}/?{options}"
        wrong = good.replace(USER, "another")
        written = written_by(sink, [good, wrong], trusted=certificate)
    assert found_in(written) == []
    assert written.count("kind='delivered'") == 1
    assert written.count("kind='refused'") == 1


def test_the_search_finds_what_is_written_without_the_guard(sink: HttpSink) -> None:
    """Else the tests above would prove nothing."""
    written = written_by(sink, list(addresses(sink).values()), unguarded=True)
    assert TOKEN in found_in(written)
    assert BLUE in found_in(written)
