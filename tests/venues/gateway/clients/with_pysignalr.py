"""pysignalr: both hubs, a price, an order and its fill."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from common import URL, begin, buy
from pysignalr.client import SignalRClient

token, account, contract = begin()


async def main() -> None:
    user = SignalRClient(f"{URL}/hubs/user?access_token={token}")
    market = SignalRClient(f"{URL}/hubs/market?access_token={token}")
    priced, heard = asyncio.Event(), asyncio.Event()
    orders: list[int] = []

    async def on_trade(arguments: list[Any]) -> None:
        orders.append(arguments[0]["data"]["orderId"])
        heard.set()

    async def on_order(_: list[Any]) -> None:
        heard.set()

    async def on_quote(arguments: list[Any]) -> None:
        assert arguments[0] == contract
        priced.set()

    user.on("GatewayUserTrade", on_trade)
    market.on("GatewayQuote", on_quote)
    user.on_open(lambda: user.send("SubscribeTrades", [account]))
    market.on_open(lambda: market.send("SubscribeContractQuotes", [contract]))
    running = [asyncio.ensure_future(client.run()) for client in (user, market)]
    async with asyncio.timeout(20):
        await priced.wait()
        # It sends subscriptions without an id and cannot know when they hold: so it asks again.
        while not orders:
            buy(token, account, contract)
            await asyncio.sleep(0.2)
    print("filled", flush=True)
    for task in running:
        task.cancel()
    os._exit(0)  # its sockets are not closed when its tasks are cancelled


asyncio.run(main())
