"""Prints the output of the commands: lines, tables, JSON, errors and questions.

Names and texts from other sources are escaped, so they cannot control the terminal.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import typer

from rtcai_pulumi.maintenance import CommandError
from rtcai_pulumi.service.errors import RtcAiError, SettingsError
from rtcai_pulumi.service.printable import one_line, printable
from rtcai_pulumi.stack import UnreadableExport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_PIPE_WIDTH: Final = 240
"""Columns if the output is not a terminal: the ids are not wrapped."""


def print_line(line: str, *, err: bool = False) -> None:
    """Print a line on the standard output."""
    typer.echo(one_line(line), err=err)


def print_message(line: str) -> None:
    """Print a message for the user on the standard error; the standard output is left to the result."""
    print_line(line, err=True)


def print_error(text: str) -> None:
    """Print an error with its facts on the standard error, each on a line."""
    typer.echo(printable(text), err=True)


def print_json(value: Any) -> None:
    """Print the result as ``--json`` does; in ASCII, to be the same in every locale."""
    typer.echo(json.dumps(value, indent=2))


def print_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on the standard output."""
    from rich.console import Console  # noqa: PLC0415  what a command needs is imported when it runs
    from rich.table import Table  # noqa: PLC0415  as above
    from rich.text import Text  # noqa: PLC0415  as above

    table = Table(*head, box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.overflow = "fold"
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH).print(table)


def print_fields(fields: Mapping[str, Any]) -> None:
    """Print fields, each on a line; fields that are None are left out."""
    known = {name: value for name, value in fields.items() if value is not None}
    width = max(map(len, known)) + 1
    for name, value in known.items():
        print_line(f"{name + ':':{width}} {value}")


NOT_CONFIRMED: Final = 2
"""Exit code: nothing was done, because the command was not confirmed."""


def confirm(question: str, *, yes: bool, can_ask: bool = True, refusal: str = "Nothing was done") -> bool:
    """Ask the user to confirm; without a terminal, ``--yes`` is required.

    Args:
        question: the question to print.
        yes: whether the user has confirmed in advance.
        can_ask: whether an answer can be read from the standard input.
        refusal: the beginning of the message that is printed if the user does not confirm.

    Returns:
        Whether the user has confirmed.
    """
    if yes:
        return True
    if not (can_ask and sys.stdin.isatty()):
        reason = "standard input is not a terminal" if can_ask else "standard input contains the export"
        print_message(f"{refusal}: confirmation is not possible, because {reason}; add --yes.")
        return False
    try:
        is_confirmed = typer.confirm(question, default=False, err=True)
    except typer.Abort:
        is_confirmed = False
    if not is_confirmed:
        print_message(f"{refusal}.")
    return is_confirmed


@contextmanager
def exit_on_error(command: str) -> Iterator[None]:
    """Print any error that users may get, and exit with code 1."""
    try:
        yield
    except (CommandError, UnreadableExport, RtcAiError) as error:
        text = error.describe(names_config=False) if isinstance(error, RtcAiError) else str(error)
        if isinstance(error, SettingsError) and error.settings:
            text += "\n  note: rtcai reads these settings only from the environment"
        print_error(f"rtcai {command}: {text}")
        raise typer.Exit(1) from None
