"""Values as a program writes them: blocks, outputs whose value is not known yet, and nulls."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from rtcai_pulumi.config.block import Block
from rtcai_pulumi.config.wire import sort_set


class Unknown(Enum):
    """The type of `UNKNOWN`. It is an enum because type checkers can narrow an enum with one member."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN


def contains_unknown(value: Any) -> bool:
    """Whether a value is an unknown, or contains one at any depth."""
    if isinstance(value, dict):
        return any(map(contains_unknown, value.values()))
    if isinstance(value, list):
        return any(map(contains_unknown, value))
    return value is UNKNOWN


def as_data(value: Any) -> Any:
    """Blocks, mappings and lists as plain data; None is kept, because in a room of an event it removes a setting."""
    if isinstance(value, Block):
        names = {python: wire for wire, python in type(value).wire_names().items()} | {"extra": "extra"}
        return {names[field]: as_data(getattr(value, field)) for field in value.model_fields_set}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: as_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_data(item) for item in sort_set(value)]
    return value


def drop_nulls(value: Any) -> Any:
    """Objects without values that are None, at any depth: in a program, None is the same as left out."""
    if isinstance(value, dict):
        return {key: drop_nulls(item) for key, item in value.items() if item is not None}
    return value
