"""`portcullis init` as a person and as a script use it, against a gateway over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
from pathlib import Path

import pytest

from portcullis.config.files import read_configuration
from portcullis.config.settings import read_settings
from portcullis.domain.model import MICRO
from portcullis.domain.rules import daily_realized_loss, max_contracts
from portcullis.errors import ConfigError, UsageError
from portcullis.wiring import defaults_folder
from portcullis.wizard.choices import Choice, accounts_file, proposed
from portcullis.wizard.files import write_configuration, write_settings
from tests.venues.gateway.stage import ACCOUNT, KEY, USER, GatewayStage, on_stage


def surroundings(home: Path, stage: GatewayStage | None, **more: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PORTCULLIS_")}
    url = stage.url if stage else "http://127.0.0.1:9"
    return clean | {
        "PORTCULLIS_HOME": str(home),
        "PORTCULLIS_PROJECTX_URL": url,
        "PORTCULLIS_PROJECTX_HUBS": url,
        **more,
    }


async def run(env: dict[str, str], *options: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "portcullis", "init", *options),
        env=env,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


SCRIPT = ("--venue", "projectx", "--non-interactive", "--user", USER)


async def test_a_script_gets_a_configuration_that_was_judged_and_tried(tmp_path):
    home = tmp_path / "home"
    async with on_stage() as stage:
        stage.exchange.open_account("50KTC-V2-DLL-1-1", balance=50_000 * MICRO)
        code, said = await run(
            surroundings(home, stage, PORTCULLIS_PROJECTX_KEY=KEY),
            *(*SCRIPT, "--account", "50KTC-V2-DLL-1-1", "--products", "MES"),
        )
    assert code == 0, said
    assert "no later than the firm" in said
    assert KEY not in said
    (account,) = read_configuration(home / "config").plan.accounts
    limits = {type(rule): rule for rule in account.rules}
    assert account.account == "50KTC-V2-DLL-1-1"
    assert limits[daily_realized_loss.Params].limit == 1_000 * MICRO
    assert limits[max_contracts.Params].limit == 5
    key = home / "projectx.key"
    assert key.read_text().strip() == KEY
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert KEY not in (home / "settings.env").read_text()
    settings = read_settings({"PORTCULLIS_HOME": str(home)})
    assert (settings.venue, settings.projectx_user, settings.product_list) == (
        "projectx",
        USER,
        ("MES",),
    )


@pytest.mark.parametrize(
    ("options", "key", "code", "says"),
    [
        ((*SCRIPT, "--account", "NOBODY"), KEY, 2, "the user has: PRAC-V2-1-1"),
        (SCRIPT, "wrong", 1, "check user name and API key"),
        (SCRIPT, "", 2, "the API key is missing"),
        (("--venue", "kraken", "--non-interactive"), KEY, 2, "--venue projectx or simulated"),
        (("--venue", "projectx"), KEY, 2, "nobody can answer here"),
        (SCRIPT, "two\nlines", 2, "the API key has more than one line"),
        ((*SCRIPT, "--products", "MES, NONSENSE"), KEY, 2, "no contract of NONSENSE"),
    ],
)
async def test_what_cannot_be_leaves_nothing_behind(tmp_path, options, key, code, says):
    home = tmp_path / "home"
    async with on_stage() as stage:
        found, said = await run(surroundings(home, stage, PORTCULLIS_PROJECTX_KEY=key), *options)
    assert found == code, said
    assert says in " ".join(said.split())
    assert not (home / "config").exists()
    assert not (home / "projectx.key").exists()


async def test_without_a_network_nothing_is_written(tmp_path):
    env = surroundings(tmp_path / "home", None, PORTCULLIS_PROJECTX_KEY=KEY)
    code, said = await run(env, *SCRIPT)
    assert code == 1
    assert "cannot be reached" in said
    assert "PORTCULLIS_PROJECTX_URL" in " ".join(said.split())
    assert not (tmp_path / "home" / "config").exists()


async def test_a_person_is_asked_and_the_key_is_not_shown(tmp_path):
    home = tmp_path / "home"
    answers = ["projectx", USER, KEY, ACCOUNT, "-750", "750", "3", "MES"]
    async with on_stage() as stage:
        mine, theirs = os.openpty()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "portcullis", "init"),
            env=surroundings(home, stage) | {"COLUMNS": "140"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        os.set_blocking(mine, False)
        shown = b""
        prompts = (
            *(b"simulated", b"e-mail)", b"not shown", b"between"),
            *(b"loss of", b"loss of", b"most", b"MES]"),
        )
        async with asyncio.timeout(60):
            for prompt, answer in zip(prompts, answers, strict=True):
                answered = len(shown)
                while prompt not in shown[answered:]:
                    shown += await _read(mine)
                os.write(mine, f"{answer}\n".encode())
            while process.returncode is None:
                shown += await _read(mine)
            shown += await _read(mine)
        os.close(mine)
    said = shown.decode()
    assert process.returncode == 0, said
    assert KEY not in said
    (account,) = read_configuration(home / "config").plan.accounts
    limits = {type(rule): rule for rule in account.rules}
    assert limits[daily_realized_loss.Params].limit == 750 * MICRO
    assert limits[max_contracts.Params].limit == 3
    assert "changed by you" in (home / "config" / "accounts.yaml").read_text()


async def _read(terminal: int) -> bytes:
    """What the terminal shows next; nothing when it shows nothing for a moment."""
    await asyncio.sleep(0.02)
    with contextlib.suppress(BlockingIOError, OSError):
        return os.read(terminal, 65_536)
    return b""


async def test_what_is_there_is_not_touched_and_nothing_is_asked(tmp_path):
    home = tmp_path / "home"
    (home / "config").mkdir(parents=True)
    code, said = await run(surroundings(home, None), *SCRIPT)
    assert code == 2
    assert "is there already" in said


async def test_an_address_that_is_none_names_its_setting(tmp_path):
    env = surroundings(tmp_path / "home", None, PORTCULLIS_PROJECTX_KEY=KEY)
    code, said = await run(env | {"PORTCULLIS_PROJECTX_URL": "api.topstepx.com"}, *SCRIPT)
    assert code == 2
    assert "PORTCULLIS_PROJECTX_URL: no address" in " ".join(said.split())


# --- files ----------------------------------------------------------------------------------------


def test_what_was_there_is_put_aside_and_a_faulty_one_changes_nothing(tmp_path):
    folder = tmp_path / "config"
    first = accounts_file([Choice("100KTC-1", proposed("100KTC-1", 100_000 * MICRO))])
    assert write_configuration(folder, defaults_folder(), first, replace=False) is None
    aside = write_configuration(folder, defaults_folder(), first, replace=True)
    assert aside == tmp_path / "config.1"
    faulty = first.replace("limit: 10", "limit: -1")
    with pytest.raises(ConfigError, match="max_contracts"):
        write_configuration(folder, defaults_folder(), faulty, replace=True)
    assert (folder / "accounts.yaml").read_text() == first
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config", "config.1"]


@pytest.mark.parametrize(
    ("account", "balance", "profile", "daily"),
    [
        ("50KTC-V2-1-1", 48_100, "topstep-50k", 1_000),
        ("COMBINE-100K-7", 101_500, "topstep-100k", 2_000),
        ("150ktc", 150_000, "topstep-150k", 3_000),
        ("PRAC-V2-1-1", 50_000, "topstep-50k", 1_000),
        ("PRAC-V2-1-1", 149_000, "topstep-150k", 3_000),
    ],
)
def test_limits_are_the_firms_for_the_size_that_name_or_balance_tell(
    account, balance, profile, daily
):
    limits = proposed(account, balance * MICRO)
    assert (limits.profile, limits.daily_loss) == (profile, daily)
    assert limits.why


@pytest.mark.parametrize(
    ("account", "balance"), [("EXPRESS-50K-1", 300), ("PRAC-1", 300), ("50KTC", 150_000)]
)
def test_a_start_that_nobody_told_is_not_guessed(account, balance):
    with pytest.raises(UsageError, match="balance of"):
        proposed(account, balance * MICRO)


def test_settings_that_somebody_else_wrote_stay(tmp_path):
    (tmp_path / "settings.env").write_text(
        "# mine\nPORTCULLIS_ROLE=observe\nPORTCULLIS_VENUE=simulated\n"
    )
    write_settings(tmp_path, {"venue": "projectx"})
    text = (tmp_path / "settings.env").read_text()
    assert text == "# mine\nPORTCULLIS_ROLE=observe\nPORTCULLIS_VENUE=projectx\n"


def test_a_name_is_written_as_text_whatever_is_in_it(tmp_path):
    odd = 'x: "y" # z'
    text = accounts_file([Choice(odd, proposed(odd, 50_000 * MICRO))])
    write_configuration(tmp_path / "config", defaults_folder(), text, replace=False)
    (account,) = read_configuration(tmp_path / "config").plan.accounts
    assert account.account == odd
