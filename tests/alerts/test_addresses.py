"""What an address is, what is wrong with one, and that saying so gives nothing away."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portcullis.alerts.channels import describe, send
from portcullis.alerts.channels.secrets import redact
from portcullis.alerts.message import Described, Message
from portcullis.alerts.readable import MASK
from portcullis.errors import UsageError
from tests.alerts.sinks import BLUE, BOT, HOOK, TOKEN

SECRET = TOKEN.partition(":")[2]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (
            f"tgram://{TOKEN}/4242",
            Described("Telegram", "tgram://…/4242", 3839, 1_050_000, two_way=True),
        ),
        (
            f"tgram://{TOKEN}/-10042:7/?silent=yes&format=markdown",
            Described("Telegram", "tgram://…/-10042:7", 3839, 3_000_000, two_way=True),
        ),
        (f"slack://{HOOK}", Described("Slack", "slack://…", 35000, 1_200_000)),
        (
            f"slack://{BOT}/+C0123456789",
            Described("Slack", "slack://…/+C0123456789", 35000, 1_200_000),
        ),
        (f"slack://{BOT}/%23ops", Described("Slack", "slack://…/#ops", 35000, 1_200_000)),
        (
            f"https://hooks.slack.com/services/{HOOK}",
            Described("Slack", "slack://…", 35000, 1_200_000),
        ),
        (
            "mailtos://desk:pw5secret@example.com:587/?smtp=mx.example.com&to=you@example.org",
            Described(
                "E-Mail", "mailtos://mx.example.com:587?to=you@example.org", 32768, 1_000_000
            ),
        ),
        (
            "jsons://me:pw@hooks.example.com/path/token?+X-Key=abc",
            Described("JSON", "jsons://hooks.example.com/…", 32768, 0),
        ),
        ("ntfy://a-topic-nobody-guesses", Described("ntfy", "ntfy://…", 7543, 5_500_000)),
        (
            f"bbub://:{BLUE}@mac.local:1234/+15551234567",
            Described(
                "iMessage by BlueBubbles",
                "bbub://…@mac.local:1234/+15551234567",
                7743,
                1_000_000,
                best_effort=True,
            ),
        ),
        (
            "imsg://you@example.com",
            Described(
                "iMessage by this Mac",
                "imsg://you@example.com?service=imessage",
                7743,
                1_000_000,
                best_effort=True,
            ),
        ),
    ],
)
def test_what_an_address_is(address: str, expected: Described) -> None:
    assert describe(address) == expected


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (5, "an address is text, not int"),
        (None, "an address is text, not NoneType"),
        ([f"tgram://{TOKEN}/1"], "an address is text, not list"),
        ("", "is empty"),
        ("  \n", "is empty"),
        (TOKEN, "is no URL"),
        ("nosuch://secret-of-mine", "no service is known as nosuch://"),
        ("http://example.com/secret-of-mine", "no service knows this http:// address"),
        (f"tgram://{SECRET}", "tgram:// is not complete"),
        (f"tgram://{TOKEN}", "names no chat"),
        (f"tgram://{TOKEN}/not a chat", "none that this service knows"),
        (f"tgram://{TOKEN}/4242/?template=/etc/passwd", "`template`"),
        ("slack://T0/B0", "slack:// is not complete"),
        (f"slack://{BOT}/C0123456789", "as if it were its name"),
        ("mailto://", "mailto:// is not complete"),
        ("mailtos://me:pw5secret@example.com?to=nobody", "none that this service knows"),
        (f"bbub://mac.local/{BLUE}", "bbub:// is not complete"),
        (f"bbub://:{BLUE}@mac.local/", "names nobody to send to"),
        (f"bbub://:{BLUE}@mac.local/somebody", "neither a telephone number"),
        (f"bbub://:{BLUE}@mac.local/+15551234567?method=magic", "`method`"),
        ("imsg://+15551234567?program=/bin/sh", "`program`"),
        ("imsg://+15551234567?service=fax", "`service`"),
        ("json://", "json:// is not complete"),
    ],
)
def test_a_wrong_address_is_explained(address: Any, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        describe(address)
    assert words in str(caught.value)
    assert caught.value.remedy
    _tells_nothing(f"{caught.value} {caught.value.remedy} {caught.value.__cause__!r}")


@pytest.mark.parametrize(("scheme", "own"), [("http", "json://"), ("https", "jsons://")])
def test_a_plain_address_of_the_web_is_told_how_it_is_written(scheme: str, own: str) -> None:
    with pytest.raises(UsageError) as caught:
        describe(f"{scheme}://example.com/secret-of-mine")
    assert own in caught.value.remedy


@pytest.mark.parametrize(
    "address",
    [
        f"tgram://{TOKEN}/1/2",
        f"tgram://{TOKEN}/1?to=2",
        f"slack://{BOT}/#a/#b",
        f"slack://{HOOK}/#a/#b",
        "mailtos://me:pw5secret@example.com?to=a@example.com,b@example.com",
        "mailtos://me:pw5secret@example.com?to=a@example.com&cc=b@example.com",
        "mailtos://me:pw5secret@example.com?to=a@example.com&bcc=b@example.com",
        f"bbub://:{BLUE}@mac.local/+15551234567/+15551234568",
        "imsg://+15551234567/+15551234568",
        f"tgram://{TOKEN}/1, tgram://{TOKEN}/2",
        f"tgram://{TOKEN}/1 tgram://{TOKEN}/2",
        f"twilio://AC{'0' * 32}:{'5' * 32}@15550000001/15550000002/15550000003",
        "mailgun://me@example.com/4b4f2918fddk5f8f91f-aa/a@example.com/b@example.com?batch=yes",
    ],
)
def test_several_recipients_are_refused(address: str) -> None:
    with pytest.raises(UsageError, match="several recipients") as caught:
        describe(address)
    assert "a channel for each" in caught.value.remedy
    _tells_nothing(f"{caught.value} {caught.value.remedy}")


def test_a_wrong_address_does_not_raise_where_it_is_sent_to() -> None:
    found = send("nosuch://secret-of-mine", Message("1", "info", "title", "body"))
    assert (found.kind, found.detail) == ("refused", "no service is known as nosuch://")


def _tells_nothing(text: str) -> None:
    for secret in (SECRET, TOKEN, HOOK, BOT, BLUE, "pw5secret", "secret-of-mine"):
        assert secret not in text


# --- redaction ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f"POST /bot{TOKEN}/sendMessage",
        f"https://hooks.slack.com/services/{HOOK} failed",
        f"Authorization: Bearer {BOT}",
        f"url: /api/v1/message/text?password={BLUE}&x=1",
    ],
)
def test_known_forms_are_masked_whatever_the_address(text: str) -> None:
    cleaned = redact(text, "json://another")
    _tells_nothing(cleaned)
    assert MASK in cleaned


WORDS = st.from_regex(r"[A-Za-z0-9_.~!$-]{4,20}", fullmatch=True)


@given(user=WORDS, password=WORDS, path=WORDS, header=WORDS)
def test_every_part_of_an_address_that_is_not_shown_is_masked(
    user: str, password: str, path: str, header: str
) -> None:
    address = f"json://{user}:{password}@example.com/{path}?+X-Key={header}"
    text = f"<{user}> <{password}> <{path}> <{header}> example.com"
    cleaned = redact(text, address, "json://example.com/…")
    kept = re.findall(r"<([^>]*)>", cleaned)
    assert set(kept) <= {MASK, "text", "html", "true", "false", "insecure", "starttls"}
    assert cleaned.endswith("example.com")


def test_secrets_are_masked_in_the_writing_they_come_back_in() -> None:
    address = "json://me:p%40ss%2Fw0rd@example.com/x"
    shown = "json://example.com/…"
    for written in ("p@ss/w0rd", "p%40ss%2Fw0rd", "P@SS/W0RD", "p%40ss/w0rd"):
        assert redact(f"it was {written}!", address, shown) == f"it was {MASK}!"


def test_a_password_is_masked_as_http_carries_it() -> None:
    carried = base64.b64encode(b"me:hooksecretpw").decode()
    text = f"it said {carried}"
    assert redact(text, "json://me:hooksecretpw@example.com/x") == f"it said {MASK}"


def test_a_short_secret_is_masked_where_it_stands_alone() -> None:
    assert redact("pw of upward: pw", "json://me:pw@example.com/x") == "*** of upward: ***"
