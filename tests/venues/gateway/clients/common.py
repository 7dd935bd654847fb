"""What every client program begins with: a login, the account, the contract, over plain HTTP."""

from __future__ import annotations

import json
import sys
import urllib.request
from typing import Any

URL, USER, KEY = sys.argv[1:4]


def post(path: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.load(reply)  # type: ignore[no-any-return]


def begin() -> tuple[str, int, str]:
    """Token, account and contract."""
    token = post("/api/Auth/loginKey", {"userName": USER, "apiKey": KEY})["token"]
    accounts = post("/api/Account/search", {"onlyActiveAccounts": True}, token)["accounts"]
    contracts = post("/api/Contract/available", {"live": False}, token)["contracts"]
    return token, accounts[0]["id"], contracts[0]["id"]


def buy(token: str, account: int, contract: str) -> int:
    """A market order for one contract; the answer is its id."""
    body = {"accountId": account, "contractId": contract, "type": 2, "side": 0, "size": 1}
    return int(post("/api/Order/place", body, token)["orderId"])
