"""The fields of the small bodies: close a task, create a room."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rtcai_pulumi.config.conversation import CNAME_MAX_BYTES
from rtcai_pulumi.emulator.answers import INVALID
from rtcai_pulumi.emulator.errors import Refused


class Field(NamedTuple):
    """One required field."""

    name: str
    good: Callable[[Any], bool]
    reason: str
    """What is wrong where it is not good; holds no value of a request."""


def require_fields(body: Any, fields: Sequence[Field], *, allow_unknown: bool) -> None:
    """Make sure that a body is an object of just these fields, each of them good.

    Raises:
        Refused: 400; the text names every field that is wrong.
    """
    if not isinstance(body, dict):
        raise Refused(INVALID, "(root): must be an object")
    problems = [f"{field.name}: required" for field in fields if field.name not in body]
    problems += [
        f"{field.name}: {field.reason}" for field in fields if field.name in body and not field.good(body[field.name])
    ]
    if not allow_unknown:
        problems += [f"{name}: unknown field" for name in body if name not in {field.name for field in fields}]
    if problems:
        raise Refused(INVALID, "; ".join(problems))


def is_cid(value: Any) -> bool:
    """Whether this can be a room's number: a whole number of 64 bits, not a float that has lost digits."""
    return type(value) is int and 1 <= value < 2**63


def is_uid(value: Any) -> bool:
    """Whether this can be a user's number: unsigned, 64 bits."""
    return type(value) is int and 0 <= value < 2**64


def is_text(value: Any) -> bool:
    """Whether this is a string that is not empty."""
    return isinstance(value, str) and value != ""


def is_room_name(value: Any) -> bool:
    """Whether this can be a room's name: 1 to 64 bytes of UTF-8."""
    return isinstance(value, str) and 1 <= len(value.encode()) <= CNAME_MAX_BYTES
