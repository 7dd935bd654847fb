"""From YAML nodes to domain values: every key known, every value in its bounds, all faults kept.

The domain's own types say what is allowed (`portcullis.domain.units`), so that a setting is
declared once and what the ledger keeps is what was read.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from portcullis.config import scalars
from portcullis.config.scalars import Unreadable
from portcullis.config.source import Faults, given, nearest

MISSING: Any = object()


class Reader:
    """Reads one file's nodes; faults name the file, the line and the dotted key."""

    def __init__(self, file: str, faults: Faults) -> None:
        self.file = file
        self.faults = faults

    def fault(self, node: Node | None, key: str, problem: str, **more: str) -> Any:
        self.faults.add(self.file, node, key, problem, **more)
        return MISSING

    def items(self, node: Node, key: str) -> list[tuple[str, Node, Node]]:
        """Key, key node and value node of a mapping; repeated keys are faults."""
        if not isinstance(node, MappingNode):
            self.fault(node, key, "not a mapping", given=given(node), allowed="key: value")
            return []
        rows: dict[str, tuple[str, Node, Node]] = {}
        for name, value in node.value:
            text = str(name.value)
            if text in rows:
                first = rows[text][1].start_mark.line + 1
                self.fault(name, _join(key, text), f"given twice, first on line {first}")
            rows[text] = (text, name, value)
        return list(rows.values())

    def unknown(self, node: Node, key: str, word: str, known: Iterable[str], what: str) -> None:
        names = tuple(known)
        self.fault(
            node,
            _join(key, word),
            f"unknown {what}",
            given=word,
            allowed=", ".join(names),
            nearest=nearest(word, names),
        )

    def struct(self, kind: type[msgspec.Struct], node: Node, key: str) -> Any:
        """A struct from a mapping; MISSING when any part of it has a fault."""
        fields = _fields(kind)
        before = len(self.faults.found)
        values: dict[str, Any] = {}
        for name, name_node, value in self.items(node, key):
            if name not in fields:
                self.unknown(name_node, key, name, fields, "key")
            else:
                values[name] = self.value(fields[name], value, _join(key, name))
        for field in msgspec.structs.fields(kind):
            if field.required and field.name not in values:
                self.fault(
                    node,
                    _join(key, field.name),
                    "required and missing",
                    allowed=describe(fields[field.name]),
                )
        if len(self.faults.found) > before:
            return MISSING
        made = kind(**values)
        for name, problem in getattr(kind, "impossible", lambda _: ())(made):
            self.fault(node, _join(key, name), problem)
        return made

    def value(self, kind: Any, node: Node, key: str) -> Any:
        """A value of a type; MISSING with a fault when it is not one."""
        origin = get_origin(kind)
        if origin in (Union, types.UnionType):
            return self._union(get_args(kind), node, key)
        if origin is tuple:
            return self._sequence(get_args(kind)[0], node, key)
        if origin is dict:
            return self._mapping(get_args(kind), node, key)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self.struct(kind, node, key)
        if not isinstance(node, ScalarNode):
            return self.fault(
                node, key, "not a single value", given=given(node), allowed=describe(kind)
            )
        return self._scalar(kind, node, key)

    def _scalar(self, kind: Any, node: ScalarNode, key: str) -> Any:
        try:
            return parse(kind, node.value)
        except Unreadable as error:
            close = nearest(node.value, error.known) if error.known else ""
            problem = str(error)
            if key.endswith(".on_breach"):
                problem = "a limit without an action protects nothing"
            return self.fault(
                node, key, problem, given=given(node), allowed=error.allowed, nearest=close
            )

    def _union(self, kinds: tuple[Any, ...], node: Node, key: str) -> Any:
        if isinstance(node, ScalarNode):
            if type(None) in kinds and node.value.lower() in ("none", "null", "~", ""):
                return None
            scalars_only = [k for k in kinds if k is not type(None) and not _is_struct(k)]
            for kind in scalars_only:
                try:
                    return parse(kind, node.value)
                except Unreadable:
                    continue
            allowed = " or ".join(describe(kind) for kind in kinds)
            return self.fault(node, key, "not allowed here", given=given(node), allowed=allowed)
        for kind in kinds:
            if _is_struct(kind) or get_origin(kind) in (tuple, dict):
                return self.value(kind, node, key)
        return self.fault(node, key, "not a single value", given=given(node))

    def _sequence(self, kind: Any, node: Node, key: str) -> Any:
        if not isinstance(node, SequenceNode):
            return self.fault(
                node, key, "not a list", given=given(node), allowed=f"a list of {describe(kind)}"
            )
        values = [self.value(kind, each, f"{key}[{n}]") for n, each in enumerate(node.value)]
        return MISSING if any(v is MISSING for v in values) else tuple(values)

    def _mapping(self, kinds: tuple[Any, ...], node: Node, key: str) -> Any:
        values: dict[Any, Any] = {}
        for _, name_node, value_node in self.items(node, key):
            name = self.value(kinds[0], name_node, _join(key, str(name_node.value)))
            value = self.value(kinds[1], value_node, _join(key, str(name_node.value)))
            if name is not MISSING and value is not MISSING:
                values[name] = value
        return values


def parse(kind: Any, text: str) -> Any:
    """A single value of a type from text; raises Unreadable."""
    meta = None
    if get_origin(kind) is Annotated:
        kind, meta = get_args(kind)[0], get_args(kind)[1]
    unit = (meta.extra or {}).get("unit") if meta is not None else None
    if unit is not None:
        value = scalars.UNITS[unit].read(text)
    elif get_origin(kind) is Literal:
        return _literal(get_args(kind), text)
    elif kind is bool:
        value = scalars.boolean(text)
    elif kind is int:
        value = scalars.whole(text)
    else:
        value = text
    if meta is not None and isinstance(value, int):
        _bounded(value, meta)
    return value


def _literal(words: tuple[Any, ...], text: str) -> Any:
    for word in words:
        if str(word) == text:
            return word
    names = tuple(str(word) for word in words)
    raise Unreadable("not one of the choices", ", ".join(names), names)


def _bounded(value: int, meta: msgspec.Meta) -> None:
    low = meta.ge if meta.ge is not None else (None if meta.gt is None else meta.gt + 1)
    high = meta.le if meta.le is not None else (None if meta.lt is None else meta.lt - 1)
    if (low is not None and value < low) or (high is not None and value > high):
        is_span = (meta.extra or {}).get("unit") == "span"
        least, most = (
            scalars.span(int(bound)) if is_span and bound is not None else str(bound)
            for bound in (low, high)
        )
        raise Unreadable("out of bounds", f">= {least}" if high is None else f"{least} to {most}")


def describe(kind: Any) -> str:
    """A type in words for a person who must write a value of it."""
    if kind is type(None):
        return "none"
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(describe(each) for each in get_args(kind))
    if get_origin(kind) is Annotated:
        base, meta = get_args(kind)[0], get_args(kind)[1]
        unit = (meta.extra or {}).get("unit")
        return scalars.UNITS[unit].hint if unit else describe(base)
    if get_origin(kind) is Literal:
        return ", ".join(str(word) for word in get_args(kind))
    if get_origin(kind) is tuple:
        return f"a list of {describe(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        return f"a mapping of {describe(get_args(kind)[0])} to {describe(get_args(kind)[1])}"
    if _is_struct(kind):
        return f"a mapping with {', '.join(_fields(kind))}"
    return {int: "a whole number", bool: "true or false", str: "a text"}.get(kind, str(kind))


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


@cache
def _fields(kind: type[msgspec.Struct]) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    hidden = getattr(kind, "__hidden__", ())
    return {
        field.name: hints[field.name]
        for field in msgspec.structs.fields(kind)
        if field.name not in hidden
    }


def _join(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
