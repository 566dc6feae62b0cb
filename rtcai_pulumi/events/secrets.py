"""References to secrets: an event file says where a secret is, never its value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, cast

from rtcai_pulumi.config.block import nearest
from rtcai_pulumi.config.conversation import AgentSettings, Data
from rtcai_pulumi.events.document import Location

Kind = Literal["$config", "$env"]

KINDS: Final[Mapping[Kind, str]] = {
    "$config": r"^[^\s:]+(:[^\s:]+)?$",
    "$env": r"^[A-Za-z_][A-Za-z0-9_]*$",
}
"""Where a secret may be, and what its name there looks like: a key of the stack's config (``key`` of the project, or
``namespace:key``), or an environment variable."""

NOT_HERE: Final = "takes no reference: only the blocks of an agent have secrets"


@dataclass(frozen=True, slots=True)
class Reference:
    """A text that is a secret, kept elsewhere."""

    kind: Kind
    name: str
    place: str
    """Where it is stated, as messages name it."""


def looks_like_reference(value: Mapping[Any, Any]) -> bool:
    """Whether an object is meant as a reference."""
    return any(key in KINDS for key in value)


def reference_problem(value: Mapping[Any, Any]) -> str | None:
    """What is wrong with a reference itself."""
    if len(value) != 1:
        return "a reference has one key: $config or $env"
    ((kind, name),) = value.items()
    if kind not in KINDS:
        near = nearest(str(kind), KINDS)
        return f"unknown reference; did you mean {near}?" if near else "unknown reference: there are $config and $env"
    if not isinstance(name, str) or re.fullmatch(KINDS[cast("Kind", kind)], name) is None:
        what = "a key of the stack's config" if kind == "$config" else "the name of an environment variable"
        return f"{kind} takes {what}"
    return None


def misplaced(location: Location) -> str | None:
    """Why a reference cannot stand at a place of an agent; a place that an agent lacks is no matter of this."""
    if location[0] not in {*Data.wire_names(), "extra"}:
        return NOT_HERE
    return "takes no reference: a reference stands for a text" if takes_text(location) is False else None


def takes_text(location: Location) -> bool | None:
    """Whether an agent has a text at a place; None for a place that it lacks."""
    node: Any = _agent_schema()
    for part in location:
        node = _inner(node, part)
        if node is True:  # inside of `extra` everything goes
            return True
        if node is None:
            return None
    return _resolved(node).get("type") == "string"


def _inner(node: Any, part: str | int) -> Any:
    node = _resolved(node)
    if isinstance(part, int):
        return node.get("items")
    return node.get("properties", {}).get(part) or node.get("additionalProperties") or None


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        found: dict[str, Any] = _agent_schema()["$defs"][node["$ref"].rpartition("/")[2]]
        return found
    return node


@cache
def _agent_schema() -> dict[str, Any]:
    return AgentSettings.model_json_schema()
