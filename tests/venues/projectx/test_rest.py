"""Calls over real sockets against a scripted gateway: token, budgets, and every kind of failure."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web

from portcullis.clock import ManualClock
from portcullis.domain.model import HOUR, SECOND
from portcullis.errors import VenueRefused, VenueTimeout, VenueUnreachable
from portcullis.venues.projectx.rest import Envelope, Gateway, Login
from portcullis.venues.projectx.token import REFRESH_BEFORE, token_of
from portcullis.venues.projectx.wire import HttpWire

START = 1_787_320_800 * SECOND
Story = Callable[["Scripted", Gateway], Awaitable[None]]


def jwt(number: int, ends_at: int) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": ends_at // SECOND, "n": number}).encode())
    return f"h.{claims.decode().rstrip('=')}.s"


class Scripted:
    """A gateway that answers what it was told to, and knows which tokens it gave."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.calls: list[str] = []
        self.answers: dict[str, list[web.Response | float]] = {}
        self.good: set[str] = set()
        self.logins = 0
        self.life = 24 * HOUR
        self.ahead = 0
        """Microseconds by which its clock is ahead of the machine's."""

    def will(self, endpoint: str, *answers: web.Response | float) -> None:
        """The next answers of an endpoint; a number is seconds without one."""
        self.answers.setdefault(endpoint, []).extend(answers)

    async def handle(self, request: web.Request) -> web.Response:
        endpoint = request.path.removeprefix("/api/")
        self.calls.append(endpoint)
        if self.answers.get(endpoint):
            answer = self.answers[endpoint].pop(0)
            if isinstance(answer, web.Response):
                return answer
            await asyncio.sleep(answer)
        if endpoint == "Auth/loginKey":
            body = await request.json()
            if body != {"userName": "me", "apiKey": "secret"}:
                return said(False, 3, "no such key")
            return self.issue("token")
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.good:
            return web.Response(status=401)
        return self.issue("newToken") if endpoint == "Auth/validate" else said(True)

    async def name_the_time(self, _: web.Request, answer: web.StreamResponse) -> None:
        told = self.clock.now() + self.ahead
        answer.headers["Date"] = formatdate(told / SECOND, usegmt=True)

    def issue(self, name: str) -> web.Response:
        self.logins += 1
        token = jwt(self.logins, self.clock.now() + self.ahead + self.life)
        self.good.add(token)
        return web.json_response({name: token, "success": True, "errorCode": 0})


def said(success: bool, code: int = 0, text: str | None = None) -> web.Response:
    return web.json_response({"success": success, "errorCode": code, "errorMessage": text})


def play(story: Story, *, key: str = "secret", timeout: int = SECOND) -> None:
    async def main() -> None:
        clock = ManualClock(START)
        scripted = Scripted(clock)
        app = web.Application()
        app.router.add_post("/api/{rest:.*}", scripted.handle)
        app.on_response_prepare.append(scripted.name_the_time)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        url = f"http://127.0.0.1:{port}"
        gateway = Gateway(HttpWire(url, url, patience=timeout), Login("me", key), clock)
        try:
            await story(scripted, gateway)
        finally:
            await gateway.close()
            await runner.cleanup()

    asyncio.run(main())


async def cancel(gateway: Gateway) -> Envelope:
    return await gateway.call("Order/cancel", {"accountId": 7, "orderId": 1}, Envelope)


async def positions(gateway: Gateway) -> Envelope:
    return await gateway.call("Position/searchOpen", {"accountId": 7}, Envelope)


def test_one_login_serves_many_calls():
    async def story(scripted, gateway):
        await gateway.open()
        await asyncio.gather(positions(gateway), positions(gateway))
        assert scripted.calls == ["Auth/loginKey", *["Position/searchOpen"] * 2]

    play(story)


def test_a_login_that_is_unauthorized_is_tried_again_later():
    async def story(scripted, gateway):
        scripted.will("Auth/loginKey", web.Response(status=401))
        with pytest.raises(VenueUnreachable, match="401"):
            await gateway.open()
        await gateway.open()
        scripted.will("Position/searchOpen", web.Response(status=401))
        scripted.will("Auth/loginKey", web.Response(status=401))
        with pytest.raises(VenueUnreachable, match="401"):
            await positions(gateway)
        assert (await positions(gateway)).success

    play(story)


def test_a_redirected_login_is_not_followed():
    """It would carry the key on to whoever answers there."""

    async def story(scripted, gateway):
        there = {"Location": "/api/elsewhere"}
        scripted.will("Auth/loginKey", web.Response(status=307, headers=there))
        with pytest.raises(VenueUnreachable, match="307"):
            await gateway.open()
        assert scripted.calls == ["Auth/loginKey"]

    play(story)


def test_a_wrong_key_is_refused_and_never_shown():
    async def story(_scripted, gateway):
        with pytest.raises(VenueRefused) as refused:
            await gateway.open()
        assert "InvalidCredentials" in str(refused.value)
        assert "API key" in refused.value.remedy
        assert "wrong-key" not in f"{refused.value!r} {refused.value.remedy} {gateway.__dict__}"

    play(story, key="wrong-key")


def test_a_token_is_exchanged_before_it_ends():
    async def story(scripted, gateway):
        await gateway.open()
        scripted.clock.advance(24 * HOUR - REFRESH_BEFORE)
        await asyncio.gather(*(positions(gateway) for _ in range(3)))
        assert scripted.calls.count("Auth/validate") == 1
        assert scripted.calls.count("Auth/loginKey") == 1

    play(story)


@pytest.mark.parametrize("ahead", [-30 * HOUR, -HOUR, HOUR, 30 * HOUR])
def test_a_machine_clock_that_is_wrong_ends_no_token(ahead):
    async def story(scripted, gateway):
        scripted.ahead = ahead
        await gateway.open()
        for _ in range(3):
            scripted.clock.advance(HOUR)
            await positions(gateway)
        scripted.clock.step(-5 * HOUR)
        await positions(gateway)
        assert scripted.calls == ["Auth/loginKey", *["Position/searchOpen"] * 4]
        scripted.clock.advance(21 * HOUR - REFRESH_BEFORE)
        await positions(gateway)
        assert scripted.calls.count("Auth/validate") == 1

    play(story)


def test_a_machine_that_slept_through_the_tokens_end_logs_in_again():
    """The monotonic clock stands still meanwhile; the other does not."""

    async def story(scripted, gateway):
        await gateway.open()
        scripted.clock.advance(13 * HOUR)
        scripted.clock.step(12 * HOUR)
        scripted.good.clear()
        await positions(gateway)
        assert scripted.calls == ["Auth/loginKey", "Auth/loginKey", "Position/searchOpen"]

    play(story)


def test_a_token_of_short_life_is_not_renewed_with_every_call():
    async def story(scripted, gateway):
        scripted.life = 300 * SECOND
        await gateway.open()
        for _ in range(15):
            scripted.clock.advance(20 * SECOND)
            await positions(gateway)
        assert scripted.calls.count("Auth/validate") == 1
        assert scripted.calls.count("Auth/loginKey") == 1

    play(story)


def test_after_its_end_only_a_login_helps():
    async def story(scripted, gateway):
        await gateway.open()
        scripted.clock.advance(25 * HOUR)
        await positions(gateway)
        assert scripted.calls.count("Auth/loginKey") == 2
        assert "Auth/validate" not in scripted.calls

    play(story)


def test_a_token_that_is_refused_in_the_middle_is_replaced_once():
    async def story(scripted, gateway):
        await gateway.open()
        scripted.good.clear()
        await cancel(gateway)
        assert scripted.calls == ["Auth/loginKey", "Order/cancel", "Auth/loginKey", "Order/cancel"]

    play(story)


def test_a_fresh_token_that_is_refused_too_is_not_tried_for_ever():
    async def story(scripted, gateway):
        await gateway.open()
        scripted.will("Order/cancel", *(web.Response(status=401) for _ in range(9)))
        with pytest.raises(VenueRefused, match="Unauthorized"):
            await cancel(gateway)
        assert scripted.calls.count("Order/cancel") == 2

    play(story)


def test_a_renewal_that_fails_leaves_the_token_that_still_holds():
    async def story(scripted, gateway):
        await gateway.open()
        scripted.clock.advance(24 * HOUR - REFRESH_BEFORE)
        scripted.will("Auth/validate", web.Response(status=502))
        await positions(gateway)
        assert scripted.calls.count("Auth/loginKey") == 1

    play(story)


@pytest.mark.parametrize(
    ("answer", "of_a_change", "of_a_read"),
    [
        ({"status": 502}, VenueTimeout, VenueUnreachable),
        ({"status": 500, "text": "oops"}, VenueTimeout, VenueUnreachable),
        ({"status": 200, "text": "<html>sign in</html>"}, VenueTimeout, VenueUnreachable),
        ({"status": 200, "text": ""}, VenueTimeout, VenueUnreachable),
        ({"status": 200, "text": "[]"}, VenueTimeout, VenueUnreachable),
        ({"status": 429}, VenueUnreachable, VenueUnreachable),
        ({"status": 400, "text": '{"title":"bad"}'}, VenueRefused, VenueRefused),
    ],
)
def test_what_is_no_answer(answer: dict[str, Any], of_a_change, of_a_read):
    async def story(scripted, gateway):
        await gateway.open()
        scripted.will("Order/cancel", web.Response(**answer))
        with pytest.raises(of_a_change) as changed:
            await cancel(gateway)
        assert changed.value.remedy
        scripted.clock.advance(120 * SECOND)
        scripted.will("Position/searchOpen", web.Response(**answer))
        with pytest.raises(of_a_read):
            await positions(gateway)

    play(story)


def test_silence_is_unknown_for_a_change_and_nothing_for_a_read():
    async def story(scripted, gateway):
        await gateway.open()
        scripted.will("Order/cancel", 5.0)
        with pytest.raises(VenueTimeout):
            await cancel(gateway)
        scripted.will("Position/searchOpen", 5.0)
        with pytest.raises(VenueUnreachable):
            await positions(gateway)

    play(story, timeout=SECOND // 5)


def test_no_network_says_where_it_wanted_to_go():
    async def story(_scripted, gateway):
        nowhere = Gateway(
            HttpWire("http://127.0.0.1:9", "http://127.0.0.1:9"),
            Login("me", "secret"),
            ManualClock(START),
        )
        with pytest.raises(VenueUnreachable, match=r"127\.0\.0\.1:9 cannot be reached"):
            await nowhere.open()

    play(story)


def test_failures_are_read_by_their_endpoint():
    async def story(scripted, gateway):
        await gateway.open()
        scripted.will("Order/cancel", said(False, 2), said(False, 6))
        assert (await cancel(gateway)).success, "an order that is gone is cancelled"
        with pytest.raises(VenueRefused, match="AccountRejected") as refused:
            await cancel(gateway)
        assert "by hand" in refused.value.remedy

    play(story)


def test_a_spent_budget_is_the_readers_and_not_protections():
    async def story(scripted, gateway):
        await gateway.open()
        for _ in range(139):
            await positions(gateway)
        with pytest.raises(VenueUnreachable, match="no room in the rate budget"):
            await positions(gateway)
        await gateway.call("Order/cancel", {}, Envelope, protective=True)
        assert len(scripted.calls) == 141

    play(story)


def test_after_429_nothing_is_sent_until_the_window_is_over():
    async def story(scripted, gateway):
        await gateway.open()
        scripted.will("Position/searchOpen", web.Response(status=429))
        for _ in range(2):
            with pytest.raises(VenueUnreachable):
                await positions(gateway)
        assert scripted.calls.count("Position/searchOpen") == 1
        scripted.clock.advance(61 * SECOND)
        await positions(gateway)

    play(story)


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "a.e30.c", "a.bm90anNvbg.c"])
def test_a_token_that_tells_no_end_holds_a_day(text):
    assert token_of(text, START).life == 24 * HOUR


def test_neither_token_nor_key_is_ever_printed():
    assert "h.secret.s" not in repr(token_of("h.secret.s", START))
    assert "secret" not in repr(Login("me", "secret"))
