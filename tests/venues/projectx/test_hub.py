"""A connection to a hub, over real sockets, against a server that misbehaves in every way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from portcullis.domain.model import SECOND
from portcullis.errors import VenueRefused, VenueTimeout, VenueUnreachable
from portcullis.venues.projectx.hub import Hub
from portcullis.venues.projectx.signalr import END, Invocation, Records
from portcullis.venues.projectx.wire import HttpWire

Talk = Callable[[web.WebSocketResponse, Records], Awaitable[None]]
Story = Callable[[Hub], Awaitable[None]]

EVENT = b'{"type":1,"target":"GatewayUserTrade","arguments":[{"n":%d}]}' + END


async def shaken(socket: web.WebSocketResponse, more: bytes = b"") -> None:
    await socket.receive()
    await socket.send_str((b"{}" + END + more).decode())


async def until_gone(socket: web.WebSocketResponse) -> None:
    async for _ in socket:
        pass


def play(talk: Talk, story: Story, *, token: str = "good", **terms: int) -> None:
    async def handle(request: web.Request) -> web.StreamResponse:
        if request.query.get("access_token") != "good":
            return web.Response(status=401)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await talk(socket, Records())
        return socket

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/hubs/user", handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        wire = HttpWire(url, url)
        hub = Hub(
            wire, "/hubs/user", **{"answer_within": SECOND, "server_timeout": 5 * SECOND} | terms
        )
        await wire.open()
        try:
            await hub.open(token)
            await story(hub)
        finally:
            await hub.close()
            await wire.close()
            await runner.cleanup()

    asyncio.run(asyncio.wait_for(main(), 20))


async def numbers(hub: Hub, count: int) -> list[bytes]:
    found: list[bytes] = []
    async for event in hub.events():
        assert isinstance(event, Invocation)
        found.append(bytes(event.arguments[0]))
        if len(found) == count:
            break
    return found


def test_what_comes_with_the_handshake_is_not_lost_and_frames_do_not_matter():
    async def talk(socket, _):
        await shaken(socket, EVENT % 1)
        two = EVENT % 2 + EVENT % 3
        await socket.send_str(two[:20].decode())
        await socket.send_bytes(two[20:])
        await until_gone(socket)

    async def story(hub):
        assert await numbers(hub, 3) == [b'{"n":1}', b'{"n":2}', b'{"n":3}']

    play(talk, story)


def test_a_call_is_done_when_the_hub_says_so():
    async def talk(socket, records):
        await shaken(socket)
        async for message in socket:
            for record in records.feed(message.data):
                answer = b',"error":"no such method"' if b"Wrong" in record else b""
                number = record.split(b'"invocationId":"')[1].split(b'"')[0]
                completion = b'{"type":3,"invocationId":"%s"%s}' % (number, answer)
                await socket.send_str((completion + END).decode())

    async def story(hub):
        await asyncio.gather(hub.call("SubscribeAccounts"), hub.call("SubscribeOrders", 7))
        many = [hub.call("SubscribeTrades", number) for number in range(40)]
        await asyncio.gather(*many)
        with pytest.raises(VenueRefused, match="no such method"):
            await hub.call("WrongCase", 7)

    play(talk, story)


def test_a_call_without_an_answer_does_not_wait_for_ever():
    async def talk(socket, _):
        await shaken(socket)
        await until_gone(socket)

    async def story(hub):
        with pytest.raises(VenueTimeout, match="SubscribeOrders"):
            await hub.call("SubscribeOrders", 7)

    play(talk, story, answer_within=SECOND // 5)


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (b'{"type":7,"error":"maintenance"}' + END, "closed by the server: maintenance"),
        (b"<html>" + END, "no message of its protocol"),
        (b"", "the socket ended"),
    ],
)
def test_how_a_connection_ends_is_said_after_what_came_before(last, says):
    async def talk(socket, _):
        await shaken(socket, EVENT % 1)
        if last:
            await socket.send_str(last.decode())
            await until_gone(socket)

    async def story(hub):
        assert await numbers(hub, 1) == [b'{"n":1}']
        with pytest.raises(VenueUnreachable, match=says):
            await numbers(hub, 1)

    play(talk, story)


def test_a_socket_that_is_half_open_is_noticed():
    async def talk(socket, _):
        await shaken(socket)
        await until_gone(socket)

    async def story(hub):
        with pytest.raises(VenueUnreachable, match="silent for"):
            await numbers(hub, 1)

    play(talk, story, server_timeout=SECOND // 5)


def test_pings_of_the_server_keep_the_connection_and_ours_go_out():
    heard = asyncio.Event()

    async def talk(socket, records):
        await shaken(socket)
        async for message in socket:
            assert records.feed(message.data) == [b'{"type":6}']
            await socket.send_str('{"type":6}\x1e')
            heard.set()

    async def story(hub):
        waiting = asyncio.create_task(numbers(hub, 1))
        await asyncio.wait([waiting], timeout=0.8)
        assert heard.is_set()
        assert not waiting.done(), "four server time-outs later it is still there"
        waiting.cancel()

    play(talk, story, keep_alive=SECOND // 20, server_timeout=SECOND // 5)


def test_a_connection_that_ends_ends_the_calls_that_wait():
    async def talk(socket, _):
        await shaken(socket)
        await socket.receive()

    async def story(hub):
        with pytest.raises(VenueUnreachable, match="the socket ended"):
            await hub.call("SubscribeOrders", 7)

    play(talk, story)


def test_a_token_that_is_no_good_is_refused_and_not_shown():
    async def story(hub):
        raise AssertionError("it must not open")

    with pytest.raises(VenueRefused) as refused:
        play(until_gone, story, token="spoilt-secret")  # type: ignore[arg-type]
    assert "spoilt-secret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_a_reader_that_does_not_keep_up_loses_the_connection_and_not_the_memory():
    async def talk(socket, _):
        await shaken(socket)
        await socket.send_str(b"".join(EVENT % n for n in range(20)).decode())
        await until_gone(socket)

    async def story(hub):
        with pytest.raises(VenueUnreachable, match="5 events wait"):
            await numbers(hub, 6)

    play(talk, story, waiting_max=5)


@pytest.mark.parametrize("answer", ['{"error":"version"}\x1e', "<html>\x1e"])
def test_a_handshake_that_fails_is_no_connection(answer):
    async def talk(socket, _):
        await socket.receive()
        await socket.send_str(answer)
        await until_gone(socket)

    async def story(_hub):
        raise AssertionError("it must not open")

    with pytest.raises(VenueUnreachable):
        play(talk, story)
