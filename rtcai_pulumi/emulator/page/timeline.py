"""Places a room's agents on its time line: lanes, gaps and overlaps.

All rooms share one scale. Bars are placed in seconds from a fixed moment, and the ``viewBox`` of the drawing selects
the visible window, so no bar is drawn again as time passes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Final

from rtcai_pulumi.emulator.state.model import Task

CONFIGURATIONS: Final = 6
"""How many configurations of one room are told apart by colour; then the colours begin anew."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, in milliseconds since 1970."""

    start_ms: int
    end_ms: float
    """Infinite where it goes on."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end_ms - self.start_ms) / 1000


@dataclass(frozen=True, slots=True)
class Bar:
    """One agent on the line."""

    task: Task
    span: Span
    lane: int
    """From 0; agents that overlap are in lanes of their own."""
    configuration: int
    """The same number for the same configuration."""


@dataclass(frozen=True, slots=True)
class Line:
    """The time line of one room."""

    bars: tuple[Bar, ...]
    gaps: tuple[Span, ...]
    """Between two agents, where there was none."""
    overlaps: tuple[Span, ...]
    """Where there was more than one."""

    @property
    def lanes(self) -> int:
        """How many lanes there are; at least one."""
        return max((bar.lane for bar in self.bars), default=0) + 1


def line_of(tasks: Sequence[Task]) -> Line:
    """The time line of the tasks of one room, whatever their order."""
    free: list[float] = []
    known: list[object] = []
    bars = []
    for task in sorted(tasks, key=lambda task: task.started_ms):
        span = Span(task.started_ms, inf if task.ended_ms is None else task.ended_ms)
        lane = next((lane for lane, end_ms in enumerate(free) if end_ms <= span.start_ms), len(free))
        free[lane : lane + 1] = [span.end_ms]
        if task.data not in known:
            known.append(task.data)
        bars.append(Bar(task, span, lane, known.index(task.data) % CONFIGURATIONS))
    counts = list(_counts([bar.span for bar in bars]))
    gaps = tuple(span for span, count in counts if count == 0)
    return Line(tuple(bars), gaps, _joined(span for span, count in counts if count > 1))


def _counts(spans: Sequence[Span]) -> Iterator[tuple[Span, int]]:
    """The stretches between any two starts or ends, and how many of the spans are there."""
    edges = sorted({edge for span in spans for edge in (span.start_ms, span.end_ms)})
    for start, end in pairwise(edges):
        count = sum(span.start_ms <= start and span.end_ms >= end for span in spans)
        yield Span(int(start), end), count


def _joined(spans: Iterator[Span]) -> tuple[Span, ...]:
    """The same stretches, those that follow each other without a break as one."""
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1].end_ms == span.start_ms:
            joined[-1] = Span(joined[-1].start_ms, span.end_ms)
        else:
            joined.append(span)
    return tuple(joined)


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
