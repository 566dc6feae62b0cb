"""Shows text that others have written: names of rooms and resources, answers of the service."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Final

import typer

from rtcai_pulumi.service.printable import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_PIPE_WIDTH: Final = 240
"""Columns where nobody looks at a screen: the ids stay in one piece."""


def say(line: str, *, err: bool = False) -> None:
    """A line of the output."""
    typer.echo(one_line(line), err=err)


def tell(line: str) -> None:
    """A line for the user, beside the output."""
    say(line, err=True)


def tell_error(text: str) -> None:
    """An error with its facts, a line each, beside the output."""
    typer.echo(printable(text), err=True)


def show_json(value: Any) -> None:
    """The output of ``--json``; in ASCII, so that it is the same everywhere."""
    typer.echo(json.dumps(value, indent=2))


def show_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on the standard output."""
    from rich.console import Console  # noqa: PLC0415  what a command needs is imported when it runs
    from rich.table import Table  # noqa: PLC0415  as above
    from rich.text import Text  # noqa: PLC0415  as above

    table = Table(*head, box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)


def show_facts(facts: Mapping[str, Any]) -> None:
    """What is known, a line each; what is not known has none."""
    known = {name: value for name, value in facts.items() if value is not None}
    width = max(map(len, known)) + 1
    for name, value in known.items():
        say(f"{name + ':':{width}} {value}")
