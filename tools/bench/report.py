"""The results of the benchmarks: how they are stored, and the text and the chart of docs/operations.md."""

import re
import statistics
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import BaseModel

from rtcai_pulumi.service.settings import DEFAULT_MAX_RPS
from tools.bench.rooms import COMMANDS, WAYS, Step

IMPORTS: Final = (
    "import pulumi",
    "from rtcai_pulumi import Asr, Llm, Pipeline, RealtimeConversation, Role, Tts",
)
MARKED: Final = re.compile(r"(?<=<!-- bench: written by `make bench` -->\n).*?(?=<!-- end of bench -->)", re.DOTALL)
WORST_MISS: Final = 0.25
"""The relative distance of a median from the fitted line from which the points are not called a line."""


class Line(NamedTuple):
    """Seconds for a number of rooms: `fixed`, and `per_room` for each of them."""

    fixed: float
    per_room: float


class Series(BaseModel):
    """The seconds of one command with one way: those of all rounds, by the number of rooms."""

    way: str
    checkpoints: bool
    command: str
    seconds: dict[int, list[float]] = {}

    @property
    def medians(self) -> dict[int, float]:
        """The median of all rounds, by the number of rooms."""
        return {rooms: statistics.median(seconds) for rooms, seconds in self.seconds.items()}

    def fit_line(self) -> Line | None:
        """Return the line through the medians by least squares of relative errors, because long runs vary more.

        None if there are fewer than two sizes, or if a median is far from the line: with checkpoints, the cost grows
        with the square of the rooms.
        """
        if len(self.seconds) < 2:
            return None
        rooms, seconds = np.array(list(self.medians.keys())), np.array(list(self.medians.values()))
        per_room, fixed = np.polyfit(rooms, seconds, 1, w=1 / seconds)
        misses = abs(fixed + per_room * rooms - seconds) / seconds
        return Line(float(fixed), float(per_room)) if max(misses) <= WORST_MISS else None


class RoomResults(BaseModel):
    """The times of many rooms, all of one run."""

    machine: str
    service_seconds: float
    series: list[Series]

    def find_series(self, way: str, checkpoints: bool, command: str) -> Series | None:
        """Return the times of one command with one way, if it was measured."""
        key = (way, checkpoints, command)
        return next((each for each in self.series if (each.way, each.checkpoints, each.command) == key), None)


class Results(BaseModel):
    """All results; None for a part that was not measured. `imports`, `create` and `page` are in ms."""

    rooms: RoomResults | None = None
    imports: dict[str, float] | None = None
    create: dict[str, float] | None = None
    journals: dict[str, float] | None = None
    page: dict[str, float] | None = None


def collect_series(steps: Iterable[Step]) -> list[Series]:
    """Group the steps of all rounds."""
    groups: dict[tuple[str, bool, str], Series] = {}
    for step in steps:
        key = (step.way, step.checkpoints, step.command)
        series = groups.setdefault(key, Series(way=key[0], checkpoints=key[1], command=key[2]))
        series.seconds.setdefault(step.rooms, []).append(round(step.seconds, 3))
    return list(groups.values())


def write_text(results: Results) -> str:
    """Return the results in Markdown."""
    paragraphs = []
    if rooms := results.rooms:
        service = f"service {rooms.service_seconds * 1000:.0f} ms"
        for checkpoints in (False, True):
            if rows := list(_list_rows(rooms, checkpoints)):
                title = f"With{'' if checkpoints else 'out'} checkpoints, median (minimum–maximum) in seconds"
                paragraphs += [f"{title}; {rooms.machine}, {service}:", _table(rows)]
        paragraphs.append(
            f"`RTCAI_MAX_RPS` was lifted. At its default, {DEFAULT_MAX_RPS:.0f} requests a second, an `up` or a "
            "`destroy` takes at least the seconds in the row *pace*."
        )
    if results.imports:
        pulumi, names = (results.imports[statement] for statement in IMPORTS)
        paragraphs.append(
            f"`{IMPORTS[1]}` takes {names - pulumi:.0f} ms more than `import pulumi` ({pulumi:.0f} ms). "
            "`import rtcai_pulumi` alone loads nothing yet."
        )
    if create := results.create:
        paragraphs.append(
            f"A create through the provider takes {create['provider'] - create['call']:.2f} ms more than the bare HTTP "
            f"call ({create['call']:.2f} ms), of which the journal takes {create['journal']:.2f} ms."
        )
    if journals := results.journals:
        added = [
            (journals[f"{command}, database"] - journals[f"{command}, file"]) / journals["rooms"] * 1000
            for command in ("up", "destroy")
        ]
        paragraphs.append(
            f"With the journal in a database on the same machine, {journals['rooms']:.0f} rooms take "
            f"{journals['up, database']:.2f} s instead of {journals['up, file']:.2f} s for an `up`, and "
            f"{journals['destroy, database']:.2f} s instead of {journals['destroy, file']:.2f} s for a `destroy`: "
            f"{added[0]:+.2f} ms for each create, {added[1]:+.2f} ms for each close."
        )
    if results.page:
        values = "; ".join(f"{name}: {value:.1f}" for name, value in results.page.items())
        paragraphs.append(f"The live page, in ms if no unit is named: {values}.")
    return "\n\n".join(paragraphs) + "\n"


def write_page(page: Path, results: Results, chart: str) -> None:
    """Write the results, with the picture `chart`, between the markers of a page."""
    picture = f"![Seconds by number of rooms, for each command and each way]({chart})\n\n" if results.rooms else ""
    text = picture + write_text(results)
    page.write_text(MARKED.sub(lambda _: text, page.read_text(encoding="utf-8")), encoding="utf-8")


def draw_chart(results: RoomResults, files: Sequence[Path]) -> None:
    """Draw the medians with their spread and the fitted lines, in a row without checkpoints and one with them."""
    figure = Figure(figsize=(16, 7), layout="constrained")
    for row, axes in enumerate(figure.subplots(2, len(COMMANDS))):
        for command, plot in zip(COMMANDS, axes, strict=True):
            plot.set_title(f"{command}, with{'' if row else 'out'} checkpoints", fontsize=10)
            plot.set(xlabel="rooms", ylabel="seconds")
            for color, way in enumerate(WAYS):
                if series := results.find_series(way, bool(row), command):
                    _draw_series(plot, series, f"C{color}")
            if plot.has_data():
                plot.set(xlim=(0, None), ylim=(0, None))
                plot.legend(fontsize=8)
            else:
                plot.set_visible(False)
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": "bench"}):  # small, and the same for the same results
            figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def _draw_series(plot: Axes, series: Series, color: str) -> None:
    rooms, medians, line = list(series.medians), list(series.medians.values()), series.fit_line()
    below = [median - min(series.seconds[size]) for size, median in series.medians.items()]
    above = [max(series.seconds[size]) - median for size, median in series.medians.items()]
    plot.errorbar(rooms, medians, yerr=[below, above], fmt="o", color=color, capsize=3, label=series.way)
    fitted = [line.fixed + line.per_room * size for size in rooms] if line else medians
    plot.plot(rooms, fitted, color=color, linestyle="-" if line else ":")


def _list_rows(results: RoomResults, checkpoints: bool) -> Iterator[list[str]]:
    """The head of the table without or with checkpoints, and its rows; nothing if none was measured."""
    sizes = sorted({size for each in results.series if each.checkpoints == checkpoints for size in each.seconds})
    if not sizes:
        return
    yield ["command", "way", *(f"{size} rooms" for size in sizes), "fixed", "ms a room", "fixed − floor's", "× floor's"]
    for command in COMMANDS:
        floor = results.find_series("floor", checkpoints, command)
        for way in WAYS:
            if series := results.find_series(way, checkpoints, command):
                cells = [_spread(series.seconds.get(size, [])) for size in sizes]
                yield [command, way, *cells, *_line_cells(series, floor)]
        if command in {"up", "destroy"} and not checkpoints:
            paces = [f"{size / DEFAULT_MAX_RPS:.1f}" for size in sizes]
            yield [command, "*pace*", *paces, "0.00", f"{1000 / DEFAULT_MAX_RPS:.1f}", "", ""]
    if not checkpoints and not any(each.way == "OpenTofu" for each in results.series):
        yield ["all", "OpenTofu: not measured; needs `tofu` on PATH", *("–" for _ in sizes), "", "", "", ""]


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "–"
    spread = f" ({min(seconds):.2f}–{max(seconds):.2f})" if len(seconds) > 1 else ""
    return f"{statistics.median(seconds):.2f}{spread}"


def _line_cells(series: Series, floor: Series | None) -> list[str]:
    """The cells about the line, compared with the floor's; without a line, the largest number of rooms is compared."""
    line, size = series.fit_line(), max(series.seconds)
    other = floor.fit_line() if floor else None
    if line is None:
        least = floor.medians.get(size) if floor else None
        return ["no line", "", "", f"{series.medians[size] / least:.2f} at {size}" if least else ""]
    fixed = f"{line.fixed - other.fixed:.2f}" if other else ""
    # A step of which the floor has no measurable cost for a room has no ratio.
    ratio = f"{line.per_room / other.per_room:.2f}" if other and other.per_room > 0 else ""
    return [f"{line.fixed:.2f}", f"{line.per_room * 1000:.2f}", fixed, ratio]


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])
