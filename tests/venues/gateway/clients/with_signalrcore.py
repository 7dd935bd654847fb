"""signalrcore, negotiated and not: subscribe, order, see the fill."""

from __future__ import annotations

import os
import threading
from typing import Any

from common import URL, begin, buy
from signalrcore.hub_connection_builder import HubConnectionBuilder

WAIT = 10
token, account, contract = begin()
for skips in (False, True):
    url = f"{URL}/hubs/user" + (f"?access_token={token}" if skips else "")
    options = {"access_token_factory": lambda: token, "skip_negotiation": skips}
    hub = HubConnectionBuilder().with_url(url, options=options).build()
    opened, subscribed, filled = threading.Event(), threading.Event(), threading.Event()
    orders: list[int] = []

    def take(arguments: list[Any], orders=orders, filled=filled) -> None:
        orders.append(arguments[0]["data"]["orderId"])
        filled.set()

    hub.on("GatewayUserTrade", take)
    hub.on_open(opened.set)
    hub.start()
    assert opened.wait(WAIT)
    hub.send("SubscribeTrades", [account], lambda _, done=subscribed: done.set())
    assert subscribed.wait(WAIT)
    placed = buy(token, account, contract)
    assert filled.wait(WAIT)
    assert orders == [placed]
print("filled", flush=True)
os._exit(0)  # stopping would wait for its last ping, 15 s
