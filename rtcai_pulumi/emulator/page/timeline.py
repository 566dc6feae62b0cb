"""Where the agents of one room stand on its time line: lanes, gaps and overlaps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Final

from rtcai_pulumi.emulator.state import Task

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
