"""The end of an agent or a room, ``ends_at``: how it is written, and its form in state and journal.

A program passes a text in ISO 8601 or a ``datetime``. State and journal have it as a text in UTC.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from rtcai_pulumi.config.values import UNKNOWN

ENDS_AT: Final = "endsAt"
"""The property's name in state and in event files."""
_EXAMPLE: Final = "2026-10-13T18:00:00+08:00"
_NOT_A_TIME: Final = f"must be a date and a time in ISO 8601 with an offset, as in {_EXAMPLE}"
_NO_OFFSET: Final = f"has no offset from UTC; add one, as in {_EXAMPLE}, or Z for UTC"
_PATTERN: Final = r"(Z|z|[+-]\d{2}(:?\d{2})?)$"
"""For editors: a time ends with an offset. The whole form is checked when the file is read."""


def _check_end_time(value: object) -> str:
    time = _read(value) if isinstance(value, str) else None
    if time is not None and time.tzinfo is None:
        raise PydanticCustomError("end_time", _NO_OFFSET)
    if parse_end_time(value) is None:  # also in the year 1 or 9999, if the offset moves it out of the calendar
        raise PydanticCustomError("end_time", _NOT_A_TIME)
    return str(value)


if TYPE_CHECKING:
    EndTime = str | datetime
else:
    EndTime = Annotated[
        str,
        BeforeValidator(_check_end_time),
        Field(json_schema_extra={"pattern": _PATTERN, "examples": [_EXAMPLE]}),
    ]
"""A point in time: a text in ISO 8601 with an offset, or in a program a ``datetime`` with a time zone.

A ``datetime`` becomes a text when the program declares its resource, because the engine carries no other form.
"""


def parse_end_time(value: object) -> datetime | None:
    """Return a point in time in UTC; None if the value is not one, for example because it is still unknown."""
    time = _read(value)
    if time is None or time.tzinfo is None:
        return None
    try:
        return time.astimezone(UTC)
    except OverflowError:
        return None


def normalize_end_time(value: Any) -> Any:
    """Return a point in time as the text that state and journal have; any other value is returned for `check`.

    A ``datetime`` without a time zone becomes a text without an offset, which `check` reports.
    """
    time = parse_end_time(value)
    if time is None:
        return value.isoformat() if isinstance(value, datetime) else value
    precision = "milliseconds" if time.microsecond else "seconds"
    return time.isoformat(timespec=precision).replace("+00:00", "Z")


def ends_at_of(inputs: Mapping[str, Any]) -> str:
    """Return the end among inputs or outputs, as the journal stores it; empty if there is none, or if it is unknown."""
    value = inputs.get(ENDS_AT)
    return normalize_end_time(value) if parse_end_time(value) is not None else ""


def next_end_of(olds: Mapping[str, Any], news: Mapping[str, Any]) -> str:
    """Return the end that a resource will have, as the journal stores it; the stored one as long as the new one is
    unknown, because no end would mean that it was removed.
    """
    return ends_at_of(olds if news.get(ENDS_AT) is UNKNOWN else news)


def _read(value: object) -> datetime | None:
    """Read a time with or without an offset; None if it is not a time, or a date alone."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or len(value) <= len("2026-10-13"):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None
