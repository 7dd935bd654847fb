"""What the doctor says of machines and of gateways that are not as they must be."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from aiohttp import web

from portcullis.clock import ManualClock, SystemClock
from portcullis.config.settings import Settings
from portcullis.doctor import gateway, machine
from portcullis.doctor.row import Row, checked
from portcullis.domain.events import HostStated
from portcullis.domain.model import MICRO, MINUTE
from portcullis.domain.plan import AccountPlan, Plan
from portcullis.domain.rules import daily_realized_loss, max_contracts, trailing_drawdown
from portcullis.errors import UsageError
from portcullis.venues.projectx import fence, host
from portcullis.wiring import host_stated
from tests.venues.gateway.stage import ACCOUNT, KEY, USER, GatewayStage, on_stage

REAL = Settings(venue="projectx", projectx_user=USER, projectx_key=KEY)


async def examine(
    stage: GatewayStage, *accounts: str, key: str = KEY, products: str = "", late: int = 0
) -> dict[str, Row]:
    plan = Plan(tuple(AccountPlan(name, ()) for name in accounts or (ACCOUNT,)))
    settings = Settings(venue="projectx", products=products)
    clock = ManualClock(SystemClock().now() - late)
    rows = await gateway.examine(settings, stage.adapter(key=key), plan, clock)
    return {row.name: row for row in rows}


async def test_a_gateway_as_it_should_be_has_nothing_to_mend():
    async with on_stage() as stage:
        rows = await examine(stage, products="MES, es")
        assert {row.state for row in rows.values()} <= {"ok", "skip"}
        assert "50,000.00 USD" in rows[f"account {ACCOUNT}"].says


async def test_a_wrong_key_and_no_subscription():
    async with on_stage() as stage:
        wrong = await examine(stage, key="wrong-key")
        assert (wrong["login and hubs"].state, "API key" in wrong["login and hubs"].remedy) == (
            "fail",
            True,
        )
        assert "wrong-key" not in str(wrong)
        await stage.control("expire", user=USER)
        expired = await examine(stage)
        assert "subscription" in expired["login and hubs"].remedy


async def test_a_locked_account_one_that_is_not_there_and_one_nobody_watches():
    async with on_stage() as stage:
        stage.exchange.set_can_trade(ACCOUNT, False)
        rows = await examine(stage, ACCOUNT, "PRAC-9")
        assert rows[f"account {ACCOUNT}"].state == "warn"
        assert rows["account PRAC-9"].state == "fail"
        assert ACCOUNT in rows["account PRAC-9"].remedy
        assert "not watched" in (await examine(stage, "PRAC-9"))["accounts"].says


async def test_an_unknown_contract_names_those_there_are():
    async with on_stage() as stage:
        row = (await examine(stage, products="MES, BTC"))["products"]
        assert (row.state, "BTC" in row.says, "ES" in row.remedy) == ("fail", True, True)


@pytest.mark.parametrize(("late", "state"), [(0, "ok"), (5 * MINUTE, "fail"), (-5 * MICRO, "warn")])
async def test_a_clock_that_is_off(late, state):
    async with on_stage() as stage:
        row = (await examine(stage, late=late))["clock"]
        assert row.state == state
        assert bool(row.remedy) is (state != "ok")


async def test_no_network_says_where_it_wanted_to_go():
    stage = GatewayStage()
    stage.url = "http://127.0.0.1:9"
    rows = await examine(stage)
    assert rows["gateway"].state == "fail"
    assert "127.0.0.1:9" in rows["gateway"].says
    assert rows["login"].state == "skip"


async def test_a_proxy_that_answers_html_is_called_one():
    async def sign_in(_: web.Request) -> web.Response:
        return web.Response(text="<html>Sign in</html>", content_type="text/html")

    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", sign_in)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stage = GatewayStage()
    stage.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        row = (await examine(stage))["gateway"]
    finally:
        await runner.cleanup()
    assert (row.state, "proxy" in row.remedy) == ("fail", True)


async def test_secrets_are_in_no_log_not_even_at_debug(caplog):
    with caplog.at_level(logging.DEBUG):
        async with on_stage() as stage:
            await examine(stage)
            token = await stage.venue.gateway.token()
    said = caplog.text
    assert said, "something was logged"
    assert KEY not in said
    assert token not in said


# --- the machine ----------------------------------------------------------------------------------


def test_a_check_that_breaks_is_a_row_too():
    def broken() -> Row:
        raise ZeroDivisionError("oops")

    row = checked("anything", broken)
    assert (row.state, "ZeroDivisionError" in row.says) == ("fail", True)


def test_a_home_and_secrets_that_others_can_read(tmp_path: Path):
    settings = Settings(home=str(tmp_path))
    (tmp_path / "venue.token").write_text("secret")
    tmp_path.chmod(0o755)
    (tmp_path / "venue.token").chmod(0o644)
    rows = {row.name: row for row in machine.examine(settings)}
    assert (rows["home"].state, rows["secrets"].state) == ("warn", "fail")
    assert "chmod 600" in rows["secrets"].remedy
    (tmp_path / "venue.token").chmod(0o600)
    rows = {row.name: row for row in machine.examine(settings)}
    assert rows["secrets"].state == "ok"


def test_a_fault_of_the_configuration_is_its_row(tmp_path: Path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "accounts.yaml").write_text("accounts: [")
    rows = {row.name: row for row in machine.examine(Settings(home=str(tmp_path)))}
    assert rows["configuration"].state == "fail"
    assert "accounts.yaml" in rows["configuration"].says


def test_the_demonstrations_accounts_are_nobodys_at_a_real_venue(tmp_path: Path):
    home = str(tmp_path)
    for settings, state in (
        (Settings(home=home), "ok"),
        (Settings(home=home, venue="projectx"), "fail"),
        (Settings(home=home, venue="projectx", simulate=True), "ok"),
    ):
        rows = {row.name: row for row in machine.examine(settings)}
        assert rows["configuration"].state == state


FIRMWARE = {
    "Amazon EC2": ("rented", "Amazon EC2"),
    "DigitalOcean Droplet": ("rented", "DigitalOcean"),
    "QEMU": ("rented", "a rented virtual machine (QEMU)"),
    "VMware, Inc.": ("virtual", "VMware, Inc."),
    "LENOVO": ("own", "LENOVO"),
    "": ("unknown", "the system does not say"),
}


@pytest.mark.parametrize("vendor", FIRMWARE)
def test_what_a_machine_looks_like(vendor, tmp_path):
    if vendor:
        (tmp_path / "sys_vendor").write_text(vendor + "\n")
    assert host.host(lambda: host.read_firmware(tmp_path)) == FIRMWARE[vendor]


def test_a_rented_machine_may_not_enforce_unless_a_person_says_so(monkeypatch):
    monkeypatch.setattr(host, "host", lambda: host.Host("rented", "Amazon EC2"))
    with pytest.raises(UsageError, match="Amazon EC2") as refused:
        host_stated(REAL)
    assert "PORTCULLIS_OWN_DEVICE" in refused.value.remedy
    stated = Settings(venue="projectx", own_device=True)
    assert host_stated(stated) == HostStated("Amazon EC2", "PORTCULLIS_OWN_DEVICE=true")
    assert host_stated(Settings(venue="projectx", simulate=True)) is None
    assert host_stated(Settings()) is None


# --- the fence ------------------------------------------------------------------------------------


def test_where_ours_is_looser_than_the_firms():
    usd = MICRO
    tight = (
        trailing_drawdown.Params(start=50_000 * usd, allowance=2_000 * usd),
        max_contracts.Params(limit=5),
        daily_realized_loss.Params(limit=1_000 * usd),
    )
    assert fence.looser("50KTC-V2-DLL-1-1", tight) == []
    loose = (
        trailing_drawdown.Params(start=50_000 * usd, allowance=2_001 * usd),
        max_contracts.Params(limit=6),
    )
    found = fence.looser("50KTC-V2-DLL-1-1", loose)
    assert [line.split()[0] for line in found] == [
        "trailing_drawdown",
        "max_contracts",
        "daily_realized_loss",
    ]
    assert len(fence.looser("50KTC-V2-1-1", loose)) == 2, "without a daily loss limit of the firm's"
    assert len(fence.looser("EXPRESS-100K-7", ())) == 2
    assert fence.looser("PRAC-V2-1-1", ()) == []
