"""What a program states, as data: blocks become objects with camelCase names."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from rtcai_pulumi.config.block import Block
from rtcai_pulumi.config.wire import in_order


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
