"""Places a room's agents on its time line: lanes, gaps and overlaps.

All rooms share one scale. Bars are placed in seconds from a fixed moment, and the ``viewBox`` of the drawing selects
the visible window, so no bar has to be drawn again as time passes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Final

from rtcai_pulumi.emulator.state.model import EmulatedTask

CONFIGURATIONS: Final = 6
"""How many configurations of one room have a colour of their own; then the colours repeat."""


@dataclass(frozen=True, slots=True)
class Span:
    """A period of time, in milliseconds since 1970."""

    start_ms: int
    end_ms: float
    """Infinite if it has not ended."""

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.end_ms - self.start_ms) / 1000


@dataclass(frozen=True, slots=True)
class Bar:
    """One agent on the line."""

    task: EmulatedTask
    span: Span
    lane: int
    """From 0; agents that overlap have different lanes."""
    configuration: int
    """Equal configurations have equal numbers."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """The time line of one room."""

    bars: tuple[Bar, ...]
    gaps: tuple[Span, ...]
    """Periods between two agents in which there was none."""
    overlaps: tuple[Span, ...]
    """Periods in which there was more than one agent."""

    @property
    def lanes(self) -> int:
        """Number of lanes; at least one."""
        return max((bar.lane for bar in self.bars), default=0) + 1


def make_timeline(tasks: Sequence[EmulatedTask]) -> Timeline:
    """Return the time line of the tasks of one room, given in any order."""
    lane_ends: list[float] = []
    configurations: list[object] = []
    bars = []
    for task in sorted(tasks, key=lambda task: task.started_ms):
        span = Span(task.started_ms, inf if task.ended_ms is None else task.ended_ms)
        lane = next((lane for lane, end_ms in enumerate(lane_ends) if end_ms <= span.start_ms), len(lane_ends))
        lane_ends[lane : lane + 1] = [span.end_ms]
        if task.data not in configurations:
            configurations.append(task.data)
        bars.append(Bar(task, span, lane, configurations.index(task.data) % CONFIGURATIONS))
    counts = list(_count_agents([bar.span for bar in bars]))
    gaps = tuple(span for span, count in counts if count == 0)
    return Timeline(tuple(bars), gaps, _join(span for span, count in counts if count > 1))


def _count_agents(spans: Sequence[Span]) -> Iterator[tuple[Span, int]]:
    """Return the periods between any two starts or ends, with the number of spans in each."""
    edges = sorted({edge for span in spans for edge in (span.start_ms, span.end_ms)})
    for start, end in pairwise(edges):
        count = sum(span.start_ms <= start and span.end_ms >= end for span in spans)
        yield Span(int(start), end), count


def _join(spans: Iterator[Span]) -> tuple[Span, ...]:
    """Join periods that follow each other without a gap."""
    joined: list[Span] = []
    for span in spans:
        if joined and joined[-1].end_ms == span.start_ms:
            joined[-1] = Span(joined[-1].start_ms, span.end_ms)
        else:
            joined.append(span)
    return tuple(joined)


WINDOWS: Final = (60, 4 * 60, 20 * 60, 3600, 4 * 3600, 86400, 8 * 86400, 32 * 86400)
"""Lengths in seconds that the time lines can show; a quarter of each is a round number."""
ENDLESS: Final = 1e7
"""The width in seconds of a bar that has not ended: it extends beyond every window."""
HEIGHT: Final = 24
_MARKS: Final = 4


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale of the time lines."""

    base_ms: int
    """The moment from which positions are counted, milliseconds since 1970."""
    now_ms: int
    seconds: int
    """Seconds of the past that are shown."""

    @property
    def view_box(self) -> str:
        """The ``viewBox`` of the window."""
        return f"{self.x(self.now_ms) - self.seconds:.3f} 0 {self.seconds} {HEIGHT}"

    @property
    def marks(self) -> list[str]:
        """The labels above the lines, evenly spaced from the left end to now."""
        return [_format_ago(self.seconds * (_MARKS - mark) / _MARKS) for mark in range(_MARKS)] + ["now"]

    def x(self, at_ms: float) -> float:
        """Return the position of a moment, in seconds."""
        return round((at_ms - self.base_ms) / 1000, 3)


def fit_scale(base_ms: int, now_ms: int, firsts_ms: Iterable[int | None]) -> Scale:
    """Return the smallest window that contains everything shown."""
    first_ms = min((first for first in firsts_ms if first is not None), default=now_ms)
    seconds = next((window for window in WINDOWS if window * 1000 >= now_ms - first_ms), WINDOWS[-1])
    return Scale(base_ms, now_ms, seconds)


def _format_ago(seconds: float) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"−{seconds / size:.4g} {unit}"
    return f"−{seconds:.4g} s"
