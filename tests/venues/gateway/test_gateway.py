"""The simulated gateway from outside: negotiation, handshakes, tokens, codes, limits, dialects."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from portcullis.clock import ManualClock
from portcullis.domain.model import BUY, HOUR, SECOND
from portcullis.venues.simulated_gateway.limits import RateLimit
from portcullis.venues.simulated_gateway.terms import GatewayTerms
from portcullis.venues.simulated_gateway.tokens import Tokens
from tests.venues.bench import ES
from tests.venues.gateway.stage import ACCOUNT, KEY, USER, GatewayStage, on_stage

END = chr(0x1E)
HANDSHAKE = json.dumps({"protocol": "json", "version": 1}) + END


class Client:
    """Somebody with a user name and a key, and no library."""

    def __init__(self, stage: GatewayStage, session: aiohttp.ClientSession) -> None:
        self.stage, self.session = stage, session
        self.token = ""
        self.account = 0

    async def post(self, path: str, **body: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"{self.stage.url}{path}"
        async with self.session.post(url, json=body, headers=headers) as reply:
            is_json = "json" in reply.content_type
            return reply.status, await (reply.json() if is_json else reply.text())

    async def log_in(self) -> None:
        _, answer = await self.post("/api/Auth/loginKey", userName=USER.upper(), apiKey=KEY)
        self.token = answer["token"]
        _, found = await self.post("/api/Account/search", onlyActiveAccounts=False)
        self.account = found["accounts"][0]["id"]

    async def hub(self, name: str = "user", **query: str) -> aiohttp.ClientWebSocketResponse:
        query = {"access_token": self.token} | query
        return await self.session.ws_connect(f"{self.stage.url}/hubs/{name}", params=query)

    async def shaken(self, name: str = "user", **query: str) -> aiohttp.ClientWebSocketResponse:
        socket = await self.hub(name, **query)
        await socket.send_str(HANDSHAKE)
        assert await socket.receive_str() == "{}" + END
        return socket


@contextlib.asynccontextmanager
async def client(**terms: Any) -> AsyncIterator[Client]:
    gateway = GatewayTerms(**terms) if terms else None
    async with on_stage(gateway=gateway) as stage, aiohttp.ClientSession() as session:
        made = Client(stage, session)
        await made.log_in()
        yield made


def calling(target: str, *arguments: Any, number: str | None = "1") -> str:
    said = {"type": 1, "target": target, "arguments": arguments}
    return json.dumps(said | ({"invocationId": number} if number else {})) + END


async def subscribe(socket: aiohttp.ClientWebSocketResponse, target: str, *arguments: Any) -> None:
    """Call a method, and wait until it was done."""
    await socket.send_str(calling(target, *arguments))
    answer = json.loads((await socket.receive_str()).rstrip(END))
    assert (answer["type"], "error" in answer) == (3, False)


async def heard(socket: aiohttp.ClientWebSocketResponse, target: str) -> list[Any]:
    """The arguments of the next push of a kind."""
    async with asyncio.timeout(5):
        while True:
            for record in (await socket.receive_str()).split(END)[:-1]:
                message = json.loads(record)
                if message.get("target") == target:
                    return message["arguments"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("version", [0, 1])
async def test_a_negotiated_id_opens_one_socket(version):
    async with client() as me:
        _, offer = await me.post(f"/hubs/user/negotiate?negotiateVersion={version}")
        assert offer["negotiateVersion"] == version
        name = offer["connectionToken"] if version else offer["connectionId"]
        socket = await me.shaken(id=name)
        with pytest.raises(aiohttp.WSServerHandshakeError) as twice:
            await me.hub(id=name)
        assert twice.value.status == 409
        await socket.close()


@pytest.mark.parametrize(("query", "status"), [({"id": "no"}, 404), ({"access_token": "x"}, 401)])
async def test_unknown_ids_and_tokens_are_refused_before_the_upgrade(query, status):
    async with client() as me:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await me.hub(**query)
        assert refused.value.status == status


async def test_a_handshake_of_another_protocol_is_answered_with_an_error():
    async with client() as me:
        socket = await me.hub()
        await socket.send_str(json.dumps({"protocol": "messagepack", "version": 1}) + END)
        assert "error" in json.loads((await socket.receive_str()).rstrip(END))
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE


async def test_without_a_handshake_and_without_signs_of_life_it_hangs_up():
    async with client(handshake_within=SECOND // 20, client_timeout=SECOND // 20) as me:
        silent = await me.hub()
        assert (await silent.receive()).type is aiohttp.WSMsgType.CLOSE
        shaken = await me.shaken()
        assert (await shaken.receive()).type is aiohttp.WSMsgType.CLOSE


@pytest.mark.parametrize(
    ("target", "arguments"),
    [("subscribeOrders", (1,)), ("SubscribeToOrders", (1,)), ("SubscribeOrders", ())],
)
async def test_a_misspelt_call_is_answered_with_an_error(target, arguments):
    async with client() as me:
        socket = await me.shaken()
        await socket.send_str(calling(target, *arguments))
        answer = json.loads((await socket.receive_str()).rstrip(END))
        assert answer["invocationId"] == "1"
        assert target in answer["error"]


async def test_a_fill_is_told_to_those_who_subscribed_wrapped_and_without_nulls():
    async with client() as me:
        socket = await me.shaken()
        for name in ("Orders", "Positions", "Trades"):
            await subscribe(socket, f"Subscribe{name}", me.account)
        await subscribe(socket, "SubscribeAccounts")
        await me.stage.trade(BUY, 2)
        (entered,) = await heard(socket, "GatewayUserOrder")
        assert (entered["data"]["status"], "limitPrice" in entered["data"]) == (6, False)
        (trade,) = await heard(socket, "GatewayUserTrade")
        assert (trade["action"], "profitAndLoss" in trade["data"]) == (0, False)
        (position,) = await heard(socket, "GatewayUserPosition")
        assert (position["action"], position["data"]["type"]) == (1, 1)
        me.stage.exchange.close_position(ACCOUNT, ES)
        (closed,) = await heard(socket, "GatewayUserPosition")
        assert (closed["action"], closed["data"]["type"], closed["data"]["size"]) == (2, 0, 0)
        assert closed["data"]["averagePrice"] == position["data"]["averagePrice"]


async def test_quotes_come_in_parts_and_trades_in_batches():
    async with client() as me:
        socket = await me.shaken("market")
        await subscribe(socket, "SubscribeContractQuotes", ES)
        await subscribe(socket, "SubscribeContractTrades", ES)
        await me.stage.price(100, 102)
        assert "lastPrice" in (await heard(socket, "GatewayQuote"))[1]
        await me.stage.price(100, 103)
        contract, part = await heard(socket, "GatewayQuote")
        assert contract == ES
        assert set(part) == {"symbol", "lastUpdated", "timestamp", "bestAsk"}
        await me.stage.price(101, 103)
        _, trades = await heard(socket, "GatewayTrade")
        assert [trade["price"] for trade in trades] == [25.25]


async def test_suspended_legs_are_in_the_query_and_not_among_the_open():
    async with client() as me:
        body = {"accountId": me.account, "contractId": ES, "type": 1, "side": 0, "size": 1}
        bracket = {"stopLossBracket": {"ticks": -8, "type": 4}}
        _, placed = await me.post(
            "/api/Order/place", limitPrice=24.0, customTag="T", **bracket, **body
        )
        assert placed["success"]
        _, found = await me.post("/api/Order/searchOpen", accountId=me.account)
        assert [row["status"] for row in found["orders"]] == [1]
        asked = {"filter": {"accountId": me.account, "statuses": [1, 8]}, "includeTotalCount": True}
        _, found = await me.post("/api/Order/v2/query", **asked)
        entry, leg = found["orders"]
        assert (leg["status"], leg["parentOrderId"], leg["customTag"]) == (8, entry["id"], "T-SL")
        assert leg["stopPrice"] is None
        assert found["totalCount"] == 2


@pytest.mark.parametrize(
    ("endpoint", "body", "code"),
    [
        ("Order/cancel", {"orderId": 999}, 2),
        ("Position/closeContract", {"contractId": ES}, 2),
        ("Position/partialCloseContract", {"contractId": ES, "size": 1}, 2),
        ("Position/closeContract", {"contractId": "CON.F.US.NO.Z26"}, 3),
        ("Order/place", {"contractId": "no", "type": 2, "side": 0, "size": 1}, 8),
        ("Order/place", {"contractId": ES, "type": 1, "side": 0, "size": 1}, 2),
        ("Order/place", {"contractId": ES, "type": 1, "side": 0, "size": 1, "limitPrice": 0.1}, 2),
        ("Order/searchById", {"orderId": 999}, 1),
        ("Position/searchOpen", {"accountId": 5}, 1),
    ],
)
async def test_a_failure_is_an_answer_with_the_code_of_its_endpoint(endpoint, body, code):
    async with client() as me:
        status, answer = await me.post(f"/api/{endpoint}", **{"accountId": me.account} | body)
        assert (status, answer["success"], answer["errorCode"]) == (200, False, code)


async def test_requests_that_cannot_be_read_are_problems_and_unknown_ones_are_not_found():
    async with client() as me:
        status, problem = await me.post("/api/Order/place", accountId="seven")
        assert (status, problem["title"]) == (400, "Bad Request")
        assert (await me.post("/api/Order/invent"))[0] == 404
        me.token = "somebody else's"
        assert (await me.post("/api/Account/search", onlyActiveAccounts=True))[0] == 401


async def test_one_request_too_many_is_429_and_counted():
    async with client(limit=8) as me:
        answers = [await me.post("/api/Account/search", onlyActiveAccounts=True) for _ in range(8)]
        assert answers[-1][0] == 429
        _, used = await me.stage.control("limits")
        assert used["refused"] > 0


async def test_the_control_api_needs_its_own_token_and_says_what_there_is():
    async with client() as me:
        assert (await me.post("/control/status"))[0] == 401
        status, problem = await me.stage.control("no_such_act")
        assert status == 400
        assert "end_tokens" in problem["detail"]


def test_a_token_ends_by_the_clock_and_cannot_be_forged():
    clock = ManualClock(1_787_320_800 * SECOND)
    tokens = Tokens(clock, HOUR)
    token = tokens.issue("me")
    assert tokens.user_of(token) == "me"
    head, claims, signature = token.split(".")
    assert tokens.user_of(f"{head}.{claims}A.{signature}") is None
    assert Tokens(clock, HOUR).user_of(token) is None
    clock.advance(HOUR)
    assert tokens.user_of(token) is None


@pytest.mark.parametrize(("kind", "late"), [("sliding", False), ("fixed", True)])
def test_windows_slide_or_are_fixed(kind, late):
    """Two at the end of one stretch, two at the beginning of the next."""
    limit = RateLimit(2, 10, kind)
    assert [limit.take(at) for at in (8, 9)] == [True, True]
    assert [limit.take(at) for at in (10, 11)] == [late, late]
