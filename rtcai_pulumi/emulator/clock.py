"""The emulator's clock. Everything that depends on the time of day reads it, so a test can set the time."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Annotated, Final

from pydantic import Field

from rtcai_pulumi.emulator.strict_model import StrictModel

MAX_OFFSET: Final = 1e9
"""Seconds: about thirty years, so that every time within the offset is a valid date."""


@dataclass(slots=True)
class Clock:
    """Seconds since 1970, UTC, plus an offset that can change while the emulator runs."""

    source: Callable[[], float] = time.time
    """Returns the real time in seconds."""
    offset: float = 0.0
    """Seconds added to the source."""

    def now(self) -> float:
        """Return the time in seconds."""
        return self.source() + self.offset

    def now_ms(self) -> int:
        """Return the time in whole milliseconds."""
        return int(self.now() * 1000)

    def http_date(self) -> str:
        """Return the time in the format of the ``Date`` header."""
        return formatdate(self.now(), usegmt=True)


class ClockOffset(StrictModel):
    """The offset to give the emulator's clock."""

    offset: Annotated[float, Field(ge=-MAX_OFFSET, le=MAX_OFFSET)]
    """Seconds; a negative value sets the clock back."""


def iso(seconds: float) -> str:
    """Return a time in ISO 8601, UTC, with microseconds, as in ``2025-10-13T11:35:43.000250Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
