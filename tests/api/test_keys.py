"""Keys: shown once, kept as digests, and what becomes of those that hold no more."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import threading

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portcullis.api.gatekeeper import FORGIVEN_AFTER, FREE_FAILURES, WAIT_MAX, Gatekeeper
from portcullis.api.keys import FILE, KEYS_MAX, KeyFile
from portcullis.api.problems import Problem
from portcullis.domain.model import DAY, HOUR
from portcullis.errors import NotFound, StoreError, UsageError
from portcullis.store import credential
from portcullis.store.opening import open_inbox
from portcullis.worker.requests import Asked, signed_text
from tests.api.home import NOW, asked, settings_of

START = 1_772_550_000_000_000


@pytest.fixture
def file(tmp_path):
    return KeyFile(tmp_path)


def test_a_key_is_found_by_its_text_and_its_text_is_nowhere(file, tmp_path):
    key, text = file.create("grafana", "readonly", START)
    assert file.named_by(text) == key
    kept = (tmp_path / FILE).read_text()
    secret = text.split("_")[2]
    assert secret not in kept
    assert len(secret) == 43
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    kept = KeyFile(tmp_path_factory.mktemp("keys"))
    return kept, kept.create("k", "admin", START).text


@settings(deadline=None)
@given(place=st.integers(0, 64), sign=st.sampled_from("aZ0_-é"))
def test_no_other_text_is_a_key(made, place, sign):
    kept, text = made
    other = text[:place] + sign + text[place + 1 :]
    assert (kept.named_by(other) is None) == (other != text)
    assert kept.named_by(text[:place]) is None


def test_time_rotation_and_revocation_end_a_key(file):
    key, text = file.create("k", "operator", START, lasts=10 * DAY)
    assert file.named_by(text).state(START + 10 * DAY - 1) == "valid"
    assert file.named_by(text).state(START + 10 * DAY) == "expired"
    fresh, other = file.rotate(key.id, START + DAY, overlap=HOUR)
    assert (fresh.role, fresh.name, fresh.replaces) == ("operator", "k", key.id)
    for name, moment, state in (
        (text, START + DAY + HOUR - 1, "valid"),
        (text, START + DAY + HOUR, "expired"),
        (other, START + DAY + HOUR, "valid"),
    ):
        assert file.named_by(name).state(moment) == state
    file.revoke(fresh.id, START + 2 * DAY)
    assert file.named_by(other).state(START + 2 * DAY) == "revoked"
    with pytest.raises(UsageError, match="revoked"):
        file.rotate(fresh.id, START + 2 * DAY)


def test_a_rotation_never_makes_the_old_key_last_longer(file):
    key, text = file.create("k", "admin", START, lasts=HOUR)
    file.rotate(key.id, START, overlap=10 * DAY)
    assert file.named_by(text).expires_at == START + HOUR


@pytest.mark.parametrize("lasts", [0, HOUR - 1, 367 * DAY])
def test_a_key_lasts_neither_a_moment_nor_for_ever(file, lasts):
    with pytest.raises(UsageError):
        file.create("k", "admin", START, lasts=lasts)


@pytest.mark.parametrize("name", ["", "a" * 65, "a\nb", "<b>", "a\0"])
def test_a_name_that_would_spoil_a_list_is_refused(file, name):
    with pytest.raises(UsageError):
        file.create(name, "admin", START)


def test_what_is_not_there_cannot_be_ended(file):
    for act in (file.revoke, file.rotate):
        with pytest.raises(NotFound):
            act("nothing1", START)


def test_a_file_that_is_none_lets_nobody_in(file, tmp_path):
    _, text = file.create("k", "admin", START)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(StoreError):
        KeyFile(tmp_path).named_by(text)
    with asked_over(tmp_path) as reply:
        assert reply(text).status_code == 503


def asked_over(home):
    import contextlib

    @contextlib.contextmanager
    def opened():
        broken = (home / FILE).read_text()
        (home / FILE).unlink()
        with asked(settings_of(home)) as api:
            (home / FILE).write_text(broken)
            yield lambda text: api.get("/logs", None, headers={"Authorization": f"Bearer {text}"})

    return opened()


def test_keys_are_forgotten_a_while_after_they_ended_and_bounded(file, tmp_path):
    file.create("old", "admin", START, lasts=HOUR)
    file.create("new", "admin", START + 91 * DAY)
    assert [each.name for each in file.all()] == ["new"]
    row = json.loads((tmp_path / FILE).read_text())[0]
    many = [{**row, "id": f"{n:08d}"} for n in range(KEYS_MAX)]
    (tmp_path / FILE).write_text(json.dumps(many))
    with pytest.raises(UsageError, match="already"):
        file.create("more", "admin", START + 91 * DAY)
    assert len(file.all()) == KEYS_MAX


def test_several_who_change_at_once_lose_nothing(tmp_path):
    def work(number):
        KeyFile(tmp_path).create(f"k{number}", "readonly", START)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(key.name for key in KeyFile(tmp_path).all()) == sorted(f"k{n}" for n in range(12))


# --- who may ask how often ------------------------------------------------------------------------


class Clock:
    def __init__(self):
        self.seconds = 1_000.0

    def monotonic(self):
        return self.seconds

    def now(self):
        return NOW()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told():
    return []


@pytest.fixture
def keeper(file, clock, told):
    return Gatekeeper(
        file,
        per_key=5,
        per_address=10**6,
        now=clock.now,
        monotonic=clock.monotonic,
        told=lambda *what: told.append(what),
    )


def bearer(text):
    return {"authorization": f"Bearer {text}"}


def test_a_key_and_an_address_may_each_ask_so_often_and_no_more(file, clock):
    keeper = Gatekeeper(file, per_key=5, per_address=3, now=clock.now, monotonic=clock.monotonic)
    _, text = file.create("k", "readonly", NOW())
    for _ in range(5):
        assert keeper.identify("192.0.2.1", bearer(text)).role == "readonly"
    with pytest.raises(Problem) as raised:
        keeper.identify("192.0.2.1", bearer(text))
    assert raised.value.status == 429
    assert 1 <= int(raised.value.headers["Retry-After"]) <= 61
    for _ in range(3):
        keeper.identify("192.0.2.1", {})
    with pytest.raises(Problem, match="address"):
        keeper.identify("192.0.2.1", {})
    keeper.identify("192.0.2.2", {})


def waits(keeper, address="192.0.2.1", text="pck_no"):
    try:
        keeper.identify(address, bearer(text))
    except Problem as problem:
        return int(problem.headers["Retry-After"])
    return 0


def test_wrong_keys_are_slowed_more_and_more_and_told_of(keeper, clock, told):
    longest = []
    for _ in range(40):
        waited = waits(keeper)
        longest.append(waited)
        clock.seconds += waited + 1
    assert longest[:FREE_FAILURES] == [0] * FREE_FAILURES
    assert max(longest) >= WAIT_MAX
    assert told[0] == ("192.0.2.1", FREE_FAILURES + 1)
    assert waits(keeper, "192.0.2.9") == 0, "others are not slowed"
    clock.seconds += FORGIVEN_AFTER + WAIT_MAX
    assert waits(keeper) == 0


def test_ten_thousand_guesses_get_ten_thousand_refusals(keeper):
    found = [waits(keeper, text=f"pck_{n}") for n in range(10_000)]
    assert found.count(0) == FREE_FAILURES + 1


def test_a_key_that_holds_gets_through_while_its_address_waits(keeper, file):
    _, text = file.create("k", "operator", NOW())
    while not waits(keeper):
        pass
    assert keeper.identify("192.0.2.1", bearer(text)).role == "operator"


@pytest.mark.parametrize(
    "headers",
    [{"authorization": "Basic cm9vdDpyb290"}, {"authorization": "Bearer"}, {"authorization": ""},
     {"x-api-key": ""}, {"authorization": "Bearer \u00ff" * 100}],
)  # fmt: skip
def test_a_header_that_names_no_key_names_nobody(keeper, headers):
    caller = keeper.identify("127.0.0.1", headers)
    assert caller.role is None
    assert caller.refusal


# --- over the API and the command line ------------------------------------------------------------


def test_an_administrator_makes_rotates_and_ends_keys(tmp_path):
    with asked(settings_of(tmp_path)) as api:
        wanted = {"name": "board", "role": "readonly", "days": 7}
        made = api.ask("POST", "/auth/token", json=wanted)
        body = made.json()
        assert made.status_code == 201
        own = {"Authorization": f"Bearer {body['key']}"}
        assert api.ask("GET", "/api/v1/accounts", None, headers=own).status_code == 200
        listed = api.ask("GET", "/auth/keys").text
        assert body["id"] in listed
        assert body["key"] not in listed
        fresh = api.post(f"/auth/keys/{body['id']}/rotate", overlap_hours=0)
        assert fresh.status_code == 201
        assert api.ask("GET", "/api/v1/accounts", None, headers=own).status_code == 401
        newer = {"Authorization": f"Bearer {fresh.json()['key']}"}
        assert api.ask("GET", "/api/v1/accounts", None, headers=newer).status_code == 200
        ended = api.ask("DELETE", f"/auth/keys/{fresh.json()['id']}")
        assert ended.json()["state"] == "revoked"
        assert api.ask("GET", "/api/v1/accounts", None, headers=newer).status_code == 401
        assert api.ask("DELETE", "/auth/keys/nothing1").status_code == 404


def test_a_person_is_told_of_wrong_keys_once_an_hour_for_an_address(tmp_path):
    known = settings_of(tmp_path)
    with asked(known) as api:
        wrong = {"Authorization": "Bearer pck_wrong"}
        answers = [
            api.get("/api/v1/accounts", None, headers=wrong, local=local).status_code
            for local in (True, False)
            for _ in range(20)
        ]
        assert set(answers) == {401, 429}
    inbox = open_inbox(known)
    try:
        left = inbox.waiting(10)
    finally:
        inbox.close()
    arguments = [msgspec.msgpack.decode(each.body, type=Asked).arguments for each in left]
    assert {each["subject"] for each in arguments} == {"127.0.0.1", "192.0.2.7"}
    assert len(left) == 2
    assert {(each.verb, each.role) for each in left} == {("alert", "operator")}


def command(home, *words):
    return subprocess.run(
        [sys.executable, "-m", "portcullis", *words],
        env={"PORTCULLIS_HOME": str(home), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_line_makes_the_first_key_and_signs_what_loosens(tmp_path):
    made = command(tmp_path, "key", "create", "--name", "me", "--role", "admin")
    assert made.returncode == 0, made.stderr
    text = made.stdout.strip()
    key = KeyFile(tmp_path).named_by(text)
    assert (key.name, key.role) == ("me", "admin")
    rows = json.loads(command(tmp_path, "key", "list", "-o", "json").stdout)
    assert [row["state"] for row in rows] == ["valid"]
    assert command(tmp_path, "key", "revoke", key.id).returncode == 0
    assert KeyFile(tmp_path).named_by(text).revoked_at
    assert command(tmp_path, "key", "rotate", "nothing1").returncode == 5

    refused = command(tmp_path, "key", "sign", "open", "--reason", "r")
    assert refused.returncode == 4
    credential.establish(tmp_path)
    body = json.loads(
        command(
            tmp_path, "key", "sign", "release", "--account", "A", "--row", "3", "--reason", "r"
        ).stdout
    )
    text_signed = signed_text(body["request_id"], "release", Asked("r", "A", {"lock": 3}))
    assert credential.verify(tmp_path, text_signed, body["signature"])
    assert command(tmp_path, "key", "sign", "release", "--reason", "r").returncode == 2
    assert command(tmp_path, "key", "sign", "approve", "--reason", "r").returncode == 2
