"""Configuration that nobody means: refused in words, whatever a file holds."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from portcullis.config.files import read_configuration
from portcullis.errors import ConfigError
from portcullis.wiring import defaults_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(defaults_folder(), tmp_path / "config")
    return tmp_path / "config"


@pytest.mark.parametrize(
    "line",
    [
        f"keep_online: {'9' * 400} d",
        f"start_allowance: {'9' * 400}",
        "keep_online: ٣ d",
        f"commands_per_minute: {'9' * 5_000}",
    ],
)
def test_a_number_of_any_length_is_a_fault_of_its_line(folder, line):
    (folder / "monitoring.yaml").write_text(f"required: {{}}\n{line}\n")
    with pytest.raises(ConfigError, match=r"monitoring\.yaml:2"):
        read_configuration(folder)


@pytest.mark.parametrize("amount", ["1e13", "1e400", "1e99999999", "9" * 30])
def test_more_money_than_can_be_stored_is_refused(folder, amount):
    text = f"pools:\n  desk: {{currency: USD, capital: {amount}, accounts: {{DEMO-SIZE: 1}}}}\n"
    (folder / "capital.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"capital\.yaml:2"):
        read_configuration(folder)


@pytest.mark.parametrize("data", [b"a: \0\n", b"[" * 5_000, b"\x1b: 1\n"])
@pytest.mark.parametrize("file", ["monitoring.yaml", "capital.yaml", "rules.yaml"])
def test_a_file_that_is_no_yaml_at_all_is_named(folder, file, data):
    (folder / file).write_bytes(data)
    with pytest.raises(ConfigError, match=rf"{file}:1: file: not YAML"):
        read_configuration(folder)


@pytest.mark.parametrize("name", ['"\\0"', '"\\e[31mX"', "[]", '""', "x" * 65])
@pytest.mark.parametrize(
    "text",
    [
        "pools:\n  ? {}\n  : {{currency: USD, capital: 9, accounts: {{DEMO-SIZE: 1}}}}\n",
        "strategies:\n  ? {}\n  : {{accounts: [DEMO-SIZE]}}\n",
    ],
)
def test_a_name_that_no_terminal_shows_is_none(folder, text, name):
    (folder / "capital.yaml").write_text(text.format(name))
    with pytest.raises(ConfigError, match="no name"):
        read_configuration(folder)


def test_the_bounds_of_a_duration_are_told_as_durations(folder):
    (folder / "monitoring.yaml").write_text("required: {}\nkeep_online: 900 d\n")
    with pytest.raises(ConfigError, match="allowed: 1 us to 366 d"):
        read_configuration(folder)
