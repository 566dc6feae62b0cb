"""The scale of the time lines: one for all rooms, so that rows can be compared.

Bars are placed in seconds from a moment that stays the same while the emulator runs, and a window of time is looked at
through the ``viewBox`` of the drawing. So time goes on without a bar being drawn anew: only the window moves.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

WINDOWS: Final = (60, 4 * 60, 20 * 60, 3600, 4 * 3600, 86400, 8 * 86400, 32 * 86400)
"""Seconds that the time lines can show; a quarter of each is a number that people count in."""
ENDLESS: Final = 1e7
"""The width of a bar that goes on, in seconds: it ends outside of every window."""
HEIGHT: Final = 24
_MARKS: Final = 4


@dataclass(frozen=True, slots=True)
class Scale:
    """What the time lines show."""

    base_ms: int
    """The moment that places are counted from, milliseconds since 1970."""
    now_ms: int
    seconds: int
    """How much of the past is shown."""

    @property
    def view_box(self) -> str:
        """The window, as the drawings have it."""
        return f"{self.x(self.now_ms) - self.seconds:.3f} 0 {self.seconds} {HEIGHT}"

    @property
    def marks(self) -> list[str]:
        """What stands above the lines, evenly from the left end to now."""
        return [_ago(self.seconds * (_MARKS - mark) / _MARKS) for mark in range(_MARKS)] + ["now"]

    def x(self, at_ms: float) -> float:
        """The place of a moment, in seconds."""
        return round((at_ms - self.base_ms) / 1000, 3)


def fitting(base_ms: int, now_ms: int, firsts_ms: Iterable[int | None]) -> Scale:
    """The smallest window in which all that is shown has room."""
    first_ms = min((first for first in firsts_ms if first is not None), default=now_ms)
    seconds = next((window for window in WINDOWS if window * 1000 >= now_ms - first_ms), WINDOWS[-1])
    return Scale(base_ms, now_ms, seconds)


def _ago(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"−{seconds / size:.4g} {unit}"
    return f"−{seconds:.4g} s"
