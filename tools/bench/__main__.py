"""Run the benchmarks and print the results. They come from one run on one machine: compare them with each other
only.
"""

import argparse
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools import chromium
from tools.bench import live_page, many_rooms, one_create

CONSOLE = Console()


def main() -> None:
    """Compare one create, then many rooms; then measure the live page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="creates of each way (200)")
    parser.add_argument("--runs", type=int, default=3, help="runs of the engine of each way (3)")
    parser.add_argument("--rooms", type=int, default=100, help="rooms (100)")
    parser.add_argument("--page-rooms", type=int, default=200, help="rooms on the live page (200)")
    parser.add_argument("--page-requests", type=int, default=5000, help="requests on the live page (5000)")
    parser.add_argument("--page-only", action="store_true", help="measure the live page alone")
    parser.add_argument("--service-seconds", type=float, default=0.3, help="what the service takes for a create (0.3)")
    options = parser.parse_args()
    if not options.page_only:
        with tempfile.TemporaryDirectory() as folder:
            medians = one_create.compare(Path(folder), options.rounds)
            medians["provider above the bare call"] = medians["provider's create"] - medians["bare HTTP call"]
            _print_table("One create, median in ms", {name: (f"{ms:.2f}",) for name, ms in medians.items()})
            times = many_rooms.compare(Path(folder), options.rooms, options.service_seconds, options.runs)
        _print_many_rooms(times, options.rooms, options.service_seconds)
    values = live_page.measure(options.page_rooms, options.page_requests, runs=7)
    if values is None:
        CONSOLE.print(f"The live page is not measured: {chromium.HOW}")
        return
    title = f"The live page: {options.page_rooms} rooms, {options.page_requests} requests; median, ms if not named"
    _print_table(title, {name: (f"{value:.1f}",) for name, value in values.items()})


def _print_many_rooms(times: dict[str, list[float]], rooms: int, seconds: float) -> None:
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    rows = {name: (f"{medians[name]:.2f}", f"{min(each):.2f}–{max(each):.2f}") for name, each in times.items()}
    for pace in many_rooms.PACES:  # the script's time is the time that the service itself takes
        ratio = medians[f"ours, {pace}"] / (medians["provider that does nothing"] + medians[f"raw asyncio, {pace}"])
        rows[f"ours / (does nothing + raw asyncio), {pace}"] = (f"{ratio:.2f}", "")
    title = f"{rooms} rooms, {seconds * 1000:.0f} ms each, `up -p 64` without checkpoints; median s, min–max s"
    _print_table(title, rows)


def _print_table(title: str, rows: Mapping[str, Sequence[str]]) -> None:
    table = Table(title=title, title_justify="left", show_header=False)
    for name, values in rows.items():
        table.add_row(name, *values)
    CONSOLE.print(table)


if __name__ == "__main__":
    main()
