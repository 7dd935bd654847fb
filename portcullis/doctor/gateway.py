"""The gateway: is it there, does it let us in, and what does it say of the accounts?"""

from __future__ import annotations

from collections.abc import Sequence
from email.utils import parsedate_to_datetime

import aiohttp

from portcullis.clock import Clock
from portcullis.config.settings import Settings
from portcullis.doctor.row import Row, asked, failed
from portcullis.domain.events import AccountReported
from portcullis.domain.model import SECOND
from portcullis.domain.money import money
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.rules import trailing_drawdown
from portcullis.errors import PortcullisError
from portcullis.venues.projectx import fence
from portcullis.venues.projectx.observed import ObservedGateway

ANSWER_SECONDS = 10
SKEW_WARN, SKEW_FAIL = 2, 10
BETWEEN = "something else answers: a proxy, a network that wants a login, or a wrong address"


async def examine(
    settings: Settings, venue: ObservedGateway, plan: Plan, clock: Clock
) -> list[Row]:
    """Every row, as far as the first that makes the next ones pointless."""
    found = await asked("gateway", lambda: _is_there(venue.gateway.wire.url, clock))
    if found[0].state == "fail":
        return [*found, Row("login", "skip", "the gateway cannot be asked")]
    try:
        try:
            await venue.connect()
        except PortcullisError as error:
            return [*found, failed("login and hubs", error)]
        found.append(Row("login and hubs", "ok", f"user {settings.projectx_user or 'trader'}"))
        found += await asked("accounts", lambda: _accounts(venue, plan))
        found += await asked("products", lambda: _products(venue, settings))
    finally:
        await venue.close()
    return found


async def _is_there(url: str, clock: Clock) -> list[Row]:
    """The gateway answers `pong`; its clock comes with it."""
    remedy = "check the network, PORTCULLIS_PROJECTX_URL, and the firm's status page"
    try:
        wait = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=wait) as session,
            session.get(f"{url}/api/Status/ping") as reply,
        ):
            text, status = (await reply.text()).strip(), reply.status
            told = reply.headers.get("Date", "")
    except (aiohttp.ClientError, TimeoutError) as error:
        why = str(error) or type(error).__name__
        return [Row("gateway", "fail", f"{url} cannot be reached: {why}", remedy)]
    if status != 200 or text != "pong":
        what = f"{url} answers HTTP {status} {text[:60]!r} where the gateway says 'pong'"
        return [Row("gateway", "fail", what, BETWEEN)]
    return [Row("gateway", "ok", url), _clock(told, clock)]


def _clock(told: str, clock: Clock) -> Row:
    """Our clock against the gateway's, which tells whole seconds."""
    if not told:
        return Row("clock", "skip", "the gateway does not say what time it is")
    there = parsedate_to_datetime(told).timestamp()
    off = clock.now() / SECOND - there - 0.5
    says = f"{abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} the gateway's"
    if abs(off) > SKEW_FAIL:
        return Row("clock", "fail", says, "set the machine's clock: switch on time synchronization")
    if abs(off) > SKEW_WARN:
        return Row("clock", "warn", says, "switch on time synchronization")
    return Row("clock", "ok", f"within {SKEW_WARN} s of the gateway's")


async def _accounts(venue: ObservedGateway, plan: Plan) -> list[Row]:
    listed = {told.account: told for told in await venue.accounts()}
    found = [_account(each, listed) for each in plan.accounts]
    watched = {each.account for each in plan.accounts}
    others = sorted(set(listed) - watched)
    if others:
        names = ", ".join(others)
        found.append(
            Row("accounts", "warn", f"not watched: {names}", "add them to accounts.yaml, or not")
        )
    return [*found, *(row for each in plan.accounts if (row := _fence(each)) is not None)]


def _account(planned: AccountPlan, listed: dict[str, AccountReported]) -> Row:
    name = f"account {planned.account}"
    told = listed.get(planned.account)
    if told is None:
        there = ", ".join(sorted(listed)) or "none"
        return Row(name, "fail", "the user has no such account", f"name one of these: {there}")
    says = f"balance {money(told.balance, told.currency)}, {len(planned.rules)} rules"
    start = next((r.start for r in planned.rules if isinstance(r, trailing_drawdown.Params)), None)
    if start is not None and not start // 2 < told.balance < 2 * start:
        what = f"{says}; trailing_drawdown starts at {money(start, told.currency)}"
        return Row(name, "fail", what, "give it the start of this account: the floor hangs on it")
    if told.can_trade is not True:
        return Row(name, "warn", f"{says}; it may not trade", "look at the platform why")
    return Row(name, "ok", says)


def _fence(planned: AccountPlan) -> Row | None:
    """The firm's own limits, which the gateway does not tell, by their published numbers."""
    name = f"fence {planned.account}"
    if fence.published(planned.account) is None:
        return Row(name, "skip", "the gateway tells no limits, and the name tells no size")
    looser = fence.looser(planned.account, planned.rules)
    if looser:
        return Row(name, "warn", "; ".join(looser), "tighten accounts.yaml, or know why not")
    return Row(name, "ok", "ours come no later than the firm's published limits")


async def _products(venue: ObservedGateway, settings: Settings) -> list[Row]:
    known: Sequence[str] = sorted({each.ticker for each in await venue.instruments()})
    unknown = [ticker for ticker in settings.product_list if ticker not in known]
    if unknown:
        return [
            Row(
                "products",
                "fail",
                f"unknown contract: {', '.join(unknown)}",
                f"PORTCULLIS_PRODUCTS takes tickers: {', '.join(known)}",
            )
        ]
    return [Row("products", "ok", f"{len(known)} contracts")]
