"""Run the benchmarks and print the results. They come from one run on one machine: compare them with each other
only.
"""

import argparse
import statistics
import tempfile
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
    if options.page_only:
        _print_live_page(options.page_rooms, options.page_requests)
        return
    with tempfile.TemporaryDirectory() as folder:
        _print_one_create(one_create.compare(Path(folder), options.rounds))
        times = many_rooms.compare(Path(folder), options.rooms, options.service_seconds, options.runs)
    _print_many_rooms(times, options.rooms, options.service_seconds)
    _print_live_page(options.page_rooms, options.page_requests)


def _print_one_create(medians: dict[str, float]) -> None:
    table = Table(title="One create, median in ms", title_justify="left")
    table.add_column("way")
    table.add_column("ms", justify="right")
    for name, taken in medians.items():
        table.add_row(name, f"{taken:.2f}")
    above = medians["provider's create"] - medians["bare HTTP call"]
    table.add_row("provider above the bare call", f"{above:.2f}")
    CONSOLE.print(table)


def _print_many_rooms(times: dict[str, list[float]], rooms: int, seconds: float) -> None:
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    table = Table(
        title=f"{rooms} rooms, {seconds * 1000:.0f} ms each, `up -p 64` without checkpoints", title_justify="left"
    )
    for column in ("way", "median s", "min–max s"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for name, taken in times.items():
        table.add_row(name, f"{medians[name]:.2f}", f"{min(taken):.2f}–{max(taken):.2f}")
    for pace in many_rooms.PACES:  # the script's time is the time that the service itself takes
        ratio = medians[f"ours, {pace}"] / (medians["provider that does nothing"] + medians[f"raw asyncio, {pace}"])
        table.add_row(f"ours / (does nothing + raw asyncio), {pace}", f"{ratio:.2f}", "")
    CONSOLE.print(table)


def _print_live_page(rooms: int, requests: int) -> None:
    medians = live_page.measure(rooms, requests, runs=7)
    if medians is None:
        CONSOLE.print(f"The live page is not measured: {chromium.HOW}")
        return
    table = Table(title=f"The live page: {rooms} rooms, {requests} requests", title_justify="left")
    table.add_column("what, median in ms unless named")
    table.add_column("", justify="right")
    for name, value in medians.items():
        table.add_row(name, f"{value:.1f}")
    CONSOLE.print(table)


if __name__ == "__main__":
    main()
