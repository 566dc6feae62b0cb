"""The value that is not known yet: an output of a resource that a preview has not created."""

from enum import Enum
from typing import Any, Final


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
