"""Every kind of alert has its page, and what the pages tell people to type is there."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from portcullis.alerts.kinds import BY_NAME
from portcullis.cli.main import app
from portcullis.domain.events import KINDS

FOLDER = Path(__file__).parent.parent / "docs" / "runbooks"
PAGES = sorted(path.stem for path in FOLDER.glob("*.md") if path.stem != "README")
SECTIONS = ["What it means", "First look", "Mend", "Verify"]
TYPED = re.compile(r"`(portcullis [^`]+)`|^\$ (portcullis .+)$", re.MULTILINE)
LINKED = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


def text_of(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text()


def commands_of(text: str) -> list[list[str]]:
    """What a page tells people to type, as words, without comments."""
    typed = [" ".join((inline or line).split()) for inline, line in TYPED.findall(text)]
    return [shlex.split(each, comments=True)[1:] for each in typed]


def fault(words: list[str]) -> str:
    """Why such a command cannot be; empty when it can."""
    command: Any = get_command(app)
    while words and hasattr(command, "commands"):
        if words[0] not in command.commands:
            return f"there is no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    known = {option for each in command.params for option in each.opts}
    for word in words:
        if word.startswith("-") and word not in known:
            return f"there is no option {word}"
    kinds = [after for word, after in pairwise(words) if word == "--kind"]
    return next((f"there is no event {kind!r}" for kind in kinds if kind not in KINDS), "")


def test_every_kind_has_a_page_and_every_page_a_kind():
    assert sorted(BY_NAME) == PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_its_parts_none_of_them_empty_and_says_when_it_is_false(name):
    text = text_of(name)
    title, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    assert title.startswith("# ")
    assert [part.partition("\n")[0] for part in parts] == SECTIONS
    assert all(part.partition("\n")[2].strip() for part in parts)
    assert "**False**" in parts[0]
    assert commands_of(parts[1]), "a first look is something to type"


@pytest.mark.parametrize("name", [*PAGES, "README"])
def test_what_a_page_tells_people_to_type_is_there(name):
    for words in commands_of(text_of(name)):
        assert fault(words) == "", f"portcullis {' '.join(words)}"


@pytest.mark.parametrize("name", [*PAGES, "README"])
def test_every_link_leads_to_a_file(name):
    for target in LINKED.findall(text_of(name)):
        assert (FOLDER / target).exists(), target


def test_the_index_names_every_page():
    assert {Path(target).stem for target in LINKED.findall(text_of("README"))} == set(PAGES)


def test_the_check_of_commands_finds_what_is_not_there():
    assert fault(["mode", "released"])
    assert fault(["mode", "release", "--why", "x"])
    assert fault(["event", "list", "--kind", "no_event"])
