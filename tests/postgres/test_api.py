"""The API where the store is on a server: the same searches, and requests through its inbox."""

from __future__ import annotations

import msgspec

from portcullis.config.settings import Settings
from portcullis.store import credential
from portcullis.store.opening import open_inbox, open_ledger
from tests.api.home import asked, free_port
from tests.api.test_events import entry, pages

EVENTS = 3_000


def test_it_searches_exports_and_asks(settings: Settings, monkeypatch) -> None:
    monkeypatch.setattr("portcullis.api.asking.ANSWER_SECONDS", 0.2)
    settings = msgspec.structs.replace(settings, api_rate=1_000_000, gate_port=free_port())
    credential.establish(settings.home_path)
    ledger = open_ledger(settings)
    ledger.append([entry(number) for number in range(EVENTS)])
    ledger.close()
    with asked(settings) as api:
        found = pages(api, account="A", limit=300)
        assert [row["position"] for row in found] == [n + 1 for n in range(0, EVENTS, 4)][::-1]
        lines = api.get("/api/v1/events/export", params={"kind": "quote"}).text.splitlines()
        assert len(lines) == EVENTS // 4
        health = api.get("/health").json()
        assert (health["status"], health["database_accessible"]) == ("unhealthy", True)
        reply = api.post("/api/v1/accounts/A/lock", "operator", reason="r")
        assert (reply.status_code, reply.json()["outcome"]) == (202, "waiting")
        assert settings.store_url not in api.ask("GET", "/config").text
    inbox = open_inbox(settings)
    (left,) = inbox.waiting(5)
    inbox.close()
    assert left.request_id == reply.json()["request_id"]
