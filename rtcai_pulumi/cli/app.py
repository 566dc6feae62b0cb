"""The commands of ``rtcai``. A command imports what it needs only when it runs."""

from importlib.metadata import version
from typing import Annotated

import typer

from rtcai_pulumi.cli.commands.close import close
from rtcai_pulumi.cli.commands.doctor import doctor
from rtcai_pulumi.cli.commands.emulator import emulator
from rtcai_pulumi.cli.commands.end_room import end_room
from rtcai_pulumi.cli.commands.forget import forget, release
from rtcai_pulumi.cli.commands.journal import app as journal
from rtcai_pulumi.cli.commands.ls import ls
from rtcai_pulumi.cli.commands.pending import pending
from rtcai_pulumi.cli.commands.show import show
from rtcai_pulumi.cli.commands.sweep import sweep
from rtcai_pulumi.cli.commands.token import token
from rtcai_pulumi.cli.commands.validate import schema, validate

app = typer.Typer(
    name="rtcai",
    no_args_is_help=True,
    rich_markup_mode="markdown",  # otherwise the line breaks of the docstrings stay in a terminal of any width
    # Tracebacks must not print the values of variables: one of them could be an AppSecret.
    pretty_exceptions_enable=False,
)
for command in (ls, show, close, end_room, sweep, pending, release, forget, token, validate, schema, doctor, emulator):
    app.command()(command)
app.add_typer(journal)


def _print_version(is_requested: bool) -> None:
    if is_requested:
        typer.echo(f"rtcai {version('rtcai-pulumi')}")
        raise typer.Exit


@app.callback()
def _rtcai(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Inspect and clean up AI agents in RTC rooms.

    Terms: a task is a running agent in a room. A create is a request to start an agent. A lost create is a create that
    got no response, so it is unknown whether it started an agent.
    """
