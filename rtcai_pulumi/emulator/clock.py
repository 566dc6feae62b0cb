"""The emulator's clock: whatever depends on the time of day asks here, so that a test can set it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Annotated, Final

from pydantic import Field

from rtcai_pulumi.emulator.strict_model import Statement

MAX_OFFSET: Final = 1e9
"""Seconds: some thirty years, within which every time has a date."""


@dataclass(slots=True)
class Clock:
    """Seconds since 1970, UTC, off by a number of seconds that may change while the emulator runs."""

    source: Callable[[], float] = time.time
    """What tells the time: a function of no arguments that returns seconds."""
    offset: float = 0.0
    """Seconds added to it."""

    def now(self) -> float:
        """The time in seconds."""
        return self.source() + self.offset

    def now_ms(self) -> int:
        """The time in whole milliseconds."""
        return int(self.now() * 1000)

    def http_date(self) -> str:
        """The time as the ``Date`` header has it."""
        return formatdate(self.now(), usegmt=True)


class ClockOffset(Statement):
    """How far the emulator's clock is to be off."""

    offset: Annotated[float, Field(ge=-MAX_OFFSET, le=MAX_OFFSET)]
    """Seconds; below 0 it is behind."""


def iso(seconds: float) -> str:
    """A time in ISO 8601, UTC, with microseconds, as in ``2025-10-13T11:35:43.000250Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
