"""References to secrets: an event file names the place of a secret, never its value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, cast

from rtcai_pulumi.config.block import find_nearest
from rtcai_pulumi.config.conversation import AgentSettings, Data
from rtcai_pulumi.events.document import Location

Kind = Literal["$config", "$env"]

KINDS: Final[Mapping[Kind, str]] = {
    "$config": r"^[^\s:]+(:[^\s:]+)?$",
    "$env": r"^[A-Za-z_][A-Za-z0-9_]*$",
}
"""The kinds of places, each with the pattern of a name there: a key of the stack's config (``key`` of the project, or
``namespace:key``), or an environment variable.
"""

NOT_HERE: Final = "$config and $env are allowed only in the blocks of an agent and in its extra"


@dataclass(frozen=True, slots=True)
class Reference:
    """A text that is a secret and is stored outside the event."""

    kind: Kind
    name: str
    place: str
    """Its location in the event, as messages name it."""


def looks_like_reference(value: Mapping[Any, Any]) -> bool:
    """Whether an object is meant as a reference."""
    return any(key in KINDS for key in value)


def check_reference(value: Mapping[Any, Any]) -> str | None:
    """Return what is wrong with a reference itself."""
    if len(value) != 1:
        return "a reference must have exactly one key: $config or $env"
    ((kind, name),) = value.items()
    if kind not in KINDS:
        near = find_nearest(str(kind), KINDS)
        return f"unknown reference; did you mean {near}?" if near else "unknown reference; use $config or $env"
    if not isinstance(name, str) or re.fullmatch(KINDS[cast("Kind", kind)], name) is None:
        what = "a key of the stack's config" if kind == "$config" else "the name of an environment variable"
        return f"{kind} must be {what}"
    return None


def check_location(location: Location) -> str | None:
    """Return why a reference is not allowed at a location of an agent; locations that an agent does not have are
    checked elsewhere.
    """
    if location[0] not in {*Data.wire_names(), "extra"}:
        return NOT_HERE
    if takes_text(location) is False:
        return "$config and $env are not allowed here, because this field is not a string"
    return None


def takes_text(location: Location) -> bool | None:
    """Whether an agent has a text at a location; None if it does not have that location."""
    node: Any = _agent_schema()
    for part in location:
        node = _inner(node, part)
        if node is True:  # inside `extra`, everything is allowed
            return True
        if node is None:
            return None
    return _resolve(node).get("type") == "string"


def _inner(node: Any, part: str | int) -> Any:
    node = _resolve(node)
    if isinstance(part, int):
        return node.get("items")
    return node.get("properties", {}).get(part) or node.get("additionalProperties") or None


def _resolve(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        definition: dict[str, Any] = _agent_schema()["$defs"][node["$ref"].rpartition("/")[2]]
        return definition
    return node


@cache
def _agent_schema() -> dict[str, Any]:
    return AgentSettings.model_json_schema()
