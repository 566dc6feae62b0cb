"""``rtcai journal``: commands about the journal itself."""

from typing import Annotated

import typer

from rtcai_pulumi.cli.options import AsJson
from rtcai_pulumi.cli.output import exit_on_error, print_json, print_line
from rtcai_pulumi.cli.session import WAITS, get_journal_location
from rtcai_pulumi.journal.location import parse_location
from rtcai_pulumi.maintenance.copy import copy_journal

app = typer.Typer(name="journal", no_args_is_help=True, rich_markup_mode="markdown", help="Work on the journal itself.")

_Source = Annotated[str, typer.Argument(metavar="FROM", help="The journal to copy: a file, or the URL of a database.")]
_Target = Annotated[
    str | None,
    typer.Argument(
        metavar="TO",
        help="The target: a file, or the URL of a database. Default: the value of RTCAI_JOURNAL. Prefer that for a URL "
        "with a password: other users can see arguments in the list of processes.",
        show_default=False,
    ),
]


@app.callback()
def _journal() -> None:
    """Work on the journal itself."""


@app.command()
def copy(source: _Source, target: _Target = None, *, as_json: AsJson = False) -> None:
    """Copy a journal: a file into a database, or back.

    FROM is not changed. A record that TO already has is replaced only if FROM has changed it since. So the command may
    be repeated, and the files of several machines may be copied into one database. No run may use either journal while
    it is copied.

    --json prints an object with from, to, and the numbers of copied records: agents (which may be running), closed,
    rooms; and present (records that were not copied, because the target has them).

    Exit codes:

    - 0: copied, also if there was nothing to copy
    - 1: a journal cannot be used, or a run uses it; nothing was copied, unless the message says so
    - 2: wrong usage
    """
    with exit_on_error("journal copy"):
        report = copy_journal(parse_location(source), get_journal_location(target), WAITS)
    if as_json:
        print_json(report.as_json())
        return
    print_line(f"Copied {report.source} to {report.target}:")
    print_line(f"  {report.agents} agents and lost creates, {report.closed} closed tasks, {report.rooms} rooms")
    if report.present:
        print_line(f"  {report.present} records were not copied: the target already has them")
