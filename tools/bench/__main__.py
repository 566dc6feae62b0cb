"""Run the benchmarks and print the results. They come from one run on one machine: compare them with each other
only. With all rooms and rounds it takes about 20 minutes on two cores.
"""

import argparse
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from tools.bench import journals, live_page, one_create, rooms
from tools.bench.report import IMPORTS, Results, RoomResults, collect_series, draw_chart, write_page, write_text
from tools.dev.stack import dev
from tools.programs import CHROMIUM
from tools.setup import ROOT

CONSOLE = Console(width=None if sys.stdout.isatty() else 160)
DOCS: Final = ROOT / "docs"
WRITE: Final = "write the results and the chart to this folder (docs); parts that are not measured stay as they are"
PAGE: Final = "operations.md"
PARTS: Final = ("rooms", "imports", "create", "journals", "page")


def main() -> None:
    """Measure the chosen parts, print them, and write them if asked to."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS, help="(all); none writes stored results")
    parser.add_argument("--rooms", nargs="+", type=int, default=[10, 100, 300, 1000], help="(10 100 300 1000)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of all rooms and ways (3)")
    parser.add_argument("--ways", nargs="+", choices=rooms.WAYS, default=rooms.available_ways(), help="(all on PATH)")
    parser.add_argument("--service-seconds", type=float, default=0, help="what the service takes for a request (0)")
    parser.add_argument("--quick", action="store_true", help="only 10 and 100 rooms, and one round")
    parser.add_argument("--write", type=Path, nargs="?", const=DOCS, metavar="FOLDER", help=WRITE)
    options = parser.parse_args()
    if options.write and not (options.write / PAGE).exists():
        parser.error(f"there is no {PAGE} in {options.write}; name a copy of docs/")
    if options.quick:
        options.rooms, options.rounds = [10, 100], 1
    # As a job in the background of a shell, this process ignores SIGINT, and so would the engine: it stops its plugins
    # with SIGINT, and waits five seconds for each of them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    results = measure(options)
    CONSOLE.print(Markdown(write_text(results)))
    if options.write:
        write_docs(options.write, results)


def measure(options: argparse.Namespace) -> Results:
    """Measure the chosen parts; the long one is the last."""
    measured = Results()
    if "imports" in options.parts:
        measured.imports = compare_imports()
    if "create" in options.parts:
        with tempfile.TemporaryDirectory() as folder:
            measured.create = one_create.compare(Path(folder), rounds=200)
    if "journals" in options.parts:
        measured.journals = journals.compare(rooms=200, rounds=max(options.rounds, 3))
    if "page" in options.parts:
        page = live_page.measure(rooms=200, requests=5000, runs=7)
        if page is None:
            CONSOLE.print(f"The live page is not measured: {CHROMIUM.how}")
        measured.page = page
    if "rooms" in options.parts:
        series = collect_series(measure_rooms(options))
        machine, seconds = describe_machine(options.rounds), options.service_seconds
        measured.rooms = RoomResults(machine=machine, service_seconds=seconds, series=series)
    return measured


def measure_rooms(options: argparse.Namespace) -> Iterator[rooms.Step]:
    """Measure many rooms, and print a line for each step."""
    with Progress(console=CONSOLE) as progress:
        total = rooms.count_steps(options.ways, options.rooms, options.rounds)
        task = progress.add_task("many rooms", total=total)
        for step in rooms.measure(options.ways, options.rooms, options.rounds, options.service_seconds):
            checkpoints = ", with checkpoints" if step.checkpoints else ""
            progress.console.print(
                f"{step.seconds:8.2f} s  {step.rooms} rooms, {step.command}, {step.way}{checkpoints}"
            )
            progress.advance(task)
            yield step


def compare_imports() -> dict[str, float]:
    """Return the median milliseconds of a process with each import, measured in turns."""
    times: dict[str, list[float]] = {statement: [] for statement in IMPORTS}
    for _ in range(9):
        for statement, taken in times.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", statement], check=True)
            taken.append((time.perf_counter() - began) * 1000)
    return {statement: statistics.median(taken) for statement, taken in times.items()}


def describe_machine(rounds: int) -> str:
    """Return the versions and the number of cores on which the results depend."""
    command, environment = ["pulumi", "version"], dict(dev(os.environ).environment)
    engine = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()
    return (
        f"{rounds} round{'s' * (rounds != 1)}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"Pulumi {engine}, SDK {version('pulumi')}"
    )


def write_docs(folder: Path, results: Results) -> None:
    """Write the results, the chart, and the part of operations.md that is made from them."""
    file = folder / "bench.json"
    stored = Results.model_validate_json(file.read_text()) if file.exists() else Results()
    results = stored.model_copy(update={name: value for name, value in results if value is not None})
    file.write_text(results.model_dump_json() + "\n")
    if results.rooms:
        draw_chart(results.rooms, [folder / "images" / f"bench.{kind}" for kind in ("svg", "png")])
    write_page(folder / PAGE, results, "images/bench.svg")


if __name__ == "__main__":
    main()
