"""Paths of properties in Pulumi's options, as in ``ignore_changes=["llm.custom_prompt"]``.

Pulumi's grammar: names joined by dots, ``["any text"]``, ``[number]``, and ``*`` for all.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from rtcai_pulumi.config.block import Block, find_nearest
from rtcai_pulumi.config.wire import nested_blocks

_PART: Final = re.compile(r'\.?([^.\[\]"]+)|\["((?:[^"\\]|\\.)*)"\]|\[(\d+|\*)\]')
ALL: Final = "*"


def split_path(path: str) -> list[str | int] | None:
    """The parts of a path; None if it is not a valid path."""
    parts: list[str | int] = []
    at = 0
    while at < len(path):
        match = _PART.match(path, at)
        if match is None or (at == 0 and path.startswith(".")):
            return None
        name, quoted, index = match.groups()
        if name is not None:
            parts.append(name)
        elif quoted is not None:
            parts.append(re.sub(r"\\(.)", r"\1", quoted))
        else:
            parts.append(ALL if index == ALL else int(index))
        at = match.end()
    return parts or None


def to_wire_path(path: str, root: type[Block], outputs: Mapping[str, str]) -> str:
    """A path with the names in the request; names that have this form already, and keys chosen by the user, stay.

    Args:
        path: a path from a program, with the program's names or those in the request.
        root: the model of the inputs.
        outputs: the properties that the resource has in addition to its inputs: the names in the request, each with its
            name in Python.

    Raises:
        ValueError: unknown property; the message names the nearest one.
    """
    parts = split_path(path)
    if parts is None:
        message = f"{path!r} is not a valid property path; a valid one is 'llm.custom_prompt'"
        raise ValueError(message)
    return _join_parts(_rename_parts(parts, root, outputs, path))


def find_values(inputs: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The values at a path, by their top-level property; missing values are left out."""
    parts = split_path(path) or []
    by_property: dict[str, Any] = {}
    for name in inputs if parts[:1] == [ALL] else map(str, parts[:1]):
        if name in inputs and name not in _NEVER_COMPARED:
            values = list(_values(inputs[name], parts[1:]))
            if values:
                by_property[name] = values
    return by_property


_NEVER_COMPARED: Final = ("owner", "options")


def _values(value: Any, parts: list[str | int]) -> Iterator[Any]:
    if not parts:
        if value is not None:
            yield value
        return
    first, rest = parts[0], parts[1:]
    items: Iterable[Any] = ()
    if isinstance(value, Mapping):
        items = value.values() if first == ALL else [value[first]] if first in value else ()
    elif isinstance(value, list):
        items = value if first == ALL else value[first : first + 1] if isinstance(first, int) else ()
    for item in items:
        yield from _values(item, rest)


def _rename_parts(
    parts: list[str | int], root: type[Block], outputs: Mapping[str, str], path: str
) -> Iterator[str | int]:
    model: type[Block] | None = root
    for depth, part in enumerate(parts):
        if model is None or not isinstance(part, str) or part == ALL:
            yield part
            continue
        names = {**model.wire_names(), "extra": "extra", **({} if depth else outputs)}
        names = {wire: python for wire, python in names.items() if depth or wire not in _NEVER_COMPARED}
        wire = next((wire for wire, python in names.items() if part in {wire, python}), None)
        if wire is None:
            near = find_nearest(part, [python for python in names.values() if python not in _NEVER_COMPARED])
            hint = f"; did you mean {near!r}?" if near else ""
            message = f"unknown property {part!r} in the path {path!r}{hint}"
            raise ValueError(message)
        yield wire
        model = nested_blocks(model).get(wire)


def _join_parts(parts: Iterable[str | int]) -> str:
    path = ""
    for part in parts:
        if isinstance(part, int) or (part == ALL and path):
            path += f"[{part}]"
        elif re.fullmatch(r'[^.\[\]"]+', part):
            path += f".{part}" if path else part
        else:
            quoted = part.replace("\\", "\\\\").replace('"', '\\"')
            path += f'["{quoted}"]'
    return path
