"""Run the comparisons and print them; figures of one run on one machine, to be compared and not to be trusted alone."""

import argparse
import statistics
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools.bench import many_rooms, one_create

CONSOLE = Console()


def main() -> None:
    """Compare one create, then many rooms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="creates of each way (200)")
    parser.add_argument("--runs", type=int, default=3, help="runs of the engine of each way (3)")
    parser.add_argument("--rooms", type=int, default=100, help="rooms (100)")
    parser.add_argument("--service-seconds", type=float, default=0.3, help="what the service takes for a create (0.3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _print_one_create(one_create.compare(Path(folder), options.rounds))
        times = many_rooms.compare(Path(folder), options.rooms, options.service_seconds, options.runs)
    _print_many_rooms(times, options.rooms, options.service_seconds)


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
    for own in ("raw asyncio", many_rooms.RAW_AT_OUR_PACE):  # what the service itself takes
        ratio = medians["ours"] / (medians["provider that does nothing"] + medians[own])
        table.add_row(f"ours / (does nothing + {own})", f"{ratio:.2f}", "")
    CONSOLE.print(table)


if __name__ == "__main__":
    main()
