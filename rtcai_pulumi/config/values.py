"""Values as a program writes them: blocks, outputs that are not known yet, and nulls."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from rtcai_pulumi.config.block import Block
from rtcai_pulumi.config.wire import in_order


class Unknown(Enum):
    """The type of `UNKNOWN`; an enum, because a singleton of one can be narrowed by type checkers."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


def contains_unknown(value: Any) -> bool:
    """Whether a value is, or holds at any depth, an unknown."""
    if isinstance(value, dict):
        return any(map(contains_unknown, value.values()))
    if isinstance(value, list):
        return any(map(contains_unknown, value))
    return value is UNKNOWN


def as_data(value: Any) -> Any:
    """Blocks, mappings and lists as plain data; a None stays, because in a room it takes something away."""
    if isinstance(value, Block):
        names = {python: wire for wire, python in type(value).wire_names().items()} | {"extra": "extra"}
        return {names[field]: as_data(getattr(value, field)) for field in value.model_fields_set}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: as_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_data(item) for item in in_order(value)]
    return value


def without_nulls(value: Any) -> Any:
    """Objects without what is None, at any depth: in a program that is the same as left out."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value
