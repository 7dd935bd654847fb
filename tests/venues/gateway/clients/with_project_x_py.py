"""project-x-py, unchanged but for its addresses: instrument, both hubs, an order and its fill."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from common import KEY, URL, USER

os.environ |= {"PROJECT_X_API_KEY": KEY, "PROJECT_X_USERNAME": USER}

from project_x_py import ProjectX
from project_x_py.event_bus import EventBus
from project_x_py.models import ProjectXConfig
from project_x_py.order_manager import OrderManager
from project_x_py.realtime.core import ProjectXRealtimeClient

CONFIG = ProjectXConfig(
    api_url=f"{URL}/api", user_hub_url=f"{URL}/hubs/user", market_hub_url=f"{URL}/hubs/market"
)


async def main() -> None:
    async with ProjectX.from_env(config=CONFIG) as client:
        await client.authenticate()
        account = client.account_info
        instrument = await client.get_instrument("ES")
        hubs = ProjectXRealtimeClient(client.session_token, str(account.id), config=CONFIG)
        priced, filled = asyncio.Event(), asyncio.Event()
        orders: list[int] = []

        async def on_quote(_: Any) -> None:
            priced.set()

        async def on_trade(told: dict[str, Any]) -> None:
            orders.append(told["data"]["orderId"])
            filled.set()

        await hubs.add_callback("quote_update", on_quote)
        await hubs.add_callback("trade_execution", on_trade)
        assert await hubs.connect()
        assert await hubs.subscribe_user_updates()
        assert await hubs.subscribe_market_data([instrument.id])
        async with asyncio.timeout(20):
            await priced.wait()
        manager = OrderManager(client, EventBus())
        await manager.initialize(hubs)
        placed = await manager.place_market_order(instrument.id, 0, 1)
        async with asyncio.timeout(20):
            await filled.wait()
        assert orders == [placed.orderId]
        (position,) = await client.search_open_positions()
        assert (position.size, position.contractId) == (1, instrument.id)
        await hubs.disconnect()
    print("filled")


asyncio.run(main())
