"""Finds all problems of the inputs together, and never shows a value.

A value may be a secret, and the reader of a message has the value in the program anyway. A message does show the path,
the limits, and the nearest valid value.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final, get_args

from annotated_types import Ge, Gt, Le, Lt
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from rtcai_pulumi.config.block import Block, find_nearest
from rtcai_pulumi.config.conversation import Conversation
from rtcai_pulumi.config.output_text import REASON, find_output_texts
from rtcai_pulumi.config.values import UNKNOWN
from rtcai_pulumi.config.wire import nested_blocks
from rtcai_pulumi.module_loading import pause_garbage_collection

NULL: Final = "must not be null; leave it out"
TWO_AGENTS: Final = "Two agents in one room talk to each other."
"""The reason of every warning about a room that several agents share."""
LONE_SURROGATE: Final = "contains an incomplete Unicode character (unpaired surrogate)"

_SENTENCES: Final = {
    "string_type": "must be a string",
    "string_unicode": LONE_SURROGATE,
    "bool_type": "must be true or false",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "finite_number": "must be a finite number",
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "mapping_type": "must be an object",
    "is_instance_of": "must be a list",
    "sequence_str": "must be a list",
    "missing": "required",
    "string_pattern_mismatch": "must be cid/taskId, as in 1144707127429101/2a784467d647bb87b60b719f6fa56333",
    "string_too_short": "must not be empty",
    "string_too_long": "must be 1 to 64 bytes of UTF-8; shorten it",
}
_BOUNDS: Final = {"greater_than_equal": "ge", "less_than_equal": "le", "greater_than": "gt", "less_than": "lt"}


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of the inputs."""

    path: str
    """The location, from the root of the inputs, as in ``tts.ignoreBracketTextSet[0]``."""
    reason: str
    """What is wrong, with the limits and the nearest valid value."""
    unlisted: bool = False
    """Whether it is a field that the API page does not list."""

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


_building: Final = Lock()


def check_fields(inputs: Mapping[str, Any], root: type[Block] = Conversation) -> list[Problem]:
    """The problems of single fields: names, types and ranges. Unknown values are left alone at any depth."""
    problems = [Problem(path_of(location), REASON) for location in find_output_texts(inputs)]
    if not root.__pydantic_complete__:
        # Not every release of pydantic lets two threads build at the same time.
        with _building, pause_garbage_collection():
            root.model_rebuild()
    try:
        root.model_validate(dict(inputs))
    except ValidationError as error:
        known = {problem.path for problem in problems}
        others = [
            _problem(details, root)
            for details in error.errors(include_url=False)
            if (details["input"] is not UNKNOWN or details["type"] == "extra_forbidden")
            and "[key]" not in details["loc"]  # a key that is not a string is reported at the location of its object
        ]
        problems += [problem for problem in others if problem.path not in known]
    return list(dict.fromkeys(problems))


def path_of(location: Iterable[str | int]) -> str:
    """A path as people write it: ``llm.customPromptKeyWord.age``, ``pipeline.interruptWords[1]``."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path or "(root)"


def unlisted_field_problem(path: str, name: str, owner: type[Block]) -> Problem:
    """The problem of a field that its block does not have."""
    near = find_nearest(name, owner.wire_names())
    hint = f"did you mean {near}?" if near else f"the fields here are {', '.join(owner.wire_names())}"
    listed = "a field that the service's API documentation does not list belongs in extra"
    return Problem(path, f"unknown field; {hint} ({listed})", True)


def _problem(details: ErrorDetails, root: type[Block]) -> Problem:
    location = details["loc"]
    owner, field = _field(location, root)
    path = path_of(location)
    if details["type"] == "extra_forbidden":
        return unlisted_field_problem(path, str(location[-1]), owner)
    if details["input"] is None:
        return Problem(path, NULL)
    return Problem(path, _reason(details, field))


def _field(location: tuple[int | str, ...], root: type[Block]) -> tuple[type[Block], FieldInfo | None]:
    """The block at a location, and the field of that block."""
    owner = root
    field = None
    for part in location:
        inner = nested_blocks(owner)
        field = next((known for name, known in owner.model_fields.items() if part == (known.alias or name)), None)
        if part not in inner or part == location[-1]:
            break
        owner = inner[str(part)]
    return owner, field


def _reason(details: ErrorDetails, field: FieldInfo | None) -> str:
    kind, value = details["type"], details["input"]
    limits = f" ({text})" if field and (text := limits_of(field)) else ""
    if kind == "int_type" and isinstance(value, float) and math.isfinite(value):
        return f"must be a whole number{limits}; the nearest is {_nearest_whole(value, field)}"
    if kind == "literal_error" and field:
        return _choice(value, [str(option) for option in get_args(field.annotation)])
    if kind in _BOUNDS:
        bound, closed = details["ctx"][_BOUNDS[kind]], kind.endswith("_equal")
        hint = (
            f"nearest valid value is {_number(bound)}"
            if closed
            else f"default is {_number(field.default if field else bound)}"
        )
        return f"out of range{limits}; the {hint}"
    return _SENTENCES[kind] + limits if kind in _SENTENCES else details["msg"]


def _choice(value: object, options: list[str]) -> str:
    near = find_nearest(value, options) if isinstance(value, str) else None
    return f"must be {' or '.join(options)}" + (f"; the nearest is {near}" if near else "")


def limits_of(field: FieldInfo) -> str:
    """The range of a field in words, as in ``0.8 to 2``; empty if it has no range."""
    match {name: _number(bound) for name, bound in _bounds(field).items()}:
        case {"ge": low, "le": high}:
            return f"{low} to {high}"
        case {"gt": low, "lt": high}:
            return f"more than {low} and less than {high}"
        case {"ge": low}:
            return f"{low} or more"
        case _:
            return ""


def _bounds(field: FieldInfo) -> dict[str, float]:
    return {
        name: getattr(item, name)
        for item in field.metadata
        for name, kind in (("ge", Ge), ("le", Le), ("gt", Gt), ("lt", Lt))
        if isinstance(item, kind)
    }


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.15g}"


def _nearest_whole(value: float, field: FieldInfo | None) -> str:
    """The whole number nearest to a fraction, within the field's range."""
    bounds = _bounds(field) if field else {}
    whole = min(max(round(value), bounds.get("ge", -math.inf)), bounds.get("le", math.inf))
    return _number(whole)
