"""YAML files as nodes that remember their line, and the faults found in them."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode


class Fault(NamedTuple):
    """One fault: where it is, what was given, and what is allowed."""

    file: str
    line: int
    key: str
    problem: str
    given: str = ""
    allowed: str = ""
    nearest: str = ""

    def __str__(self) -> str:
        text = f"  {self.file}:{self.line}: {self.key or 'file'}: {self.problem}"
        if self.given:
            text += f"; given: {self.given}"
        if self.allowed:
            text += f"; allowed: {self.allowed}"
        if self.nearest:
            text += f"; did you mean {self.nearest}?"
        return text


class Faults:
    """Every fault of one pass over the configuration."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(
        self,
        file: str,
        node: Node | None,
        key: str,
        problem: str,
        *,
        given: str = "",
        allowed: str = "",
        nearest: str = "",
    ) -> None:
        line = node.start_mark.line + 1 if node is not None else 1
        self.found.append(Fault(file, line, key, problem, given, allowed, nearest))

    def texts(self) -> tuple[str, ...]:
        return tuple(str(fault) for fault in sorted(self.found))


def load(path: Path, faults: Faults) -> MappingNode | None:
    """The mapping at the top of a file; None with a fault when there is none."""
    name = path.name
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        faults.add(
            name,
            None,
            "",
            f"the file is missing: {path}",
            allowed="copy the example of the same name from `config/`",
        )
        return None
    except (OSError, UnicodeDecodeError) as error:
        faults.add(name, None, "", f"the file cannot be read: {error}")
        return None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = f"not YAML: {error.problem}"
        faults.found.append(Fault(name, line, "", problem, allowed="spaces, no tabs; key: value"))
        return None
    except (yaml.YAMLError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        faults.add(name, None, "", f"not YAML: {' '.join(why.split())}")
        return None
    if isinstance(node, MappingNode):
        return node
    kind = {SequenceNode: "a list", ScalarNode: "a single value"}.get(type(node), "empty")
    faults.add(name, node, "", f"the file is {kind}", allowed="a mapping of keys to values")
    return None


def given(node: Node) -> str:
    """What a person wrote, shortened."""
    if isinstance(node, ScalarNode):
        return repr(node.value) if node.style else (node.value or "nothing")
    return "a mapping" if isinstance(node, MappingNode) else "a list"


def nearest(word: str, known: tuple[str, ...]) -> str:
    """The known word most like this one, or nothing."""
    by_lower = {each.lower(): each for each in known}
    matches = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[matches[0]] if matches else ""
