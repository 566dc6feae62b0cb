"""``rtcai pending``."""

import os
from pathlib import Path
from typing import Annotated

import typer

from rtcai_pulumi.cli.errors import failing
from rtcai_pulumi.cli.journal_file import existing, path_of, records_in
from rtcai_pulumi.cli.listing import belongs
from rtcai_pulumi.cli.options import AsJson, BackendUrl, JournalFile, ProjectFolder, ProjectName, StackName, StackOption
from rtcai_pulumi.cli.shown import printable, show_json, tell
from rtcai_pulumi.cli.stack_export import Stored, name_of
from rtcai_pulumi.cli.stack_source import Source, StackState, state_of
from rtcai_pulumi.lifecycle.owner import urn_of
from rtcai_pulumi.lifecycle.record import Record

_StackExportFile = Annotated[
    str | None,
    typer.Option(
        "--stack-export",
        metavar="FILE",
        help="In place of --stack: the JSON of `pulumi stack export`, or - for the standard input.",
    ),
]
_ADVICE = (
    "put the journal of the killed run back, or look into these rooms and end the agents there; then "
    "`pulumi refresh --clear-pending-creates`, and run again"
)


def pending(
    *,
    stack: StackOption = None,
    cwd: ProjectFolder = Path(),
    stack_export: _StackExportFile = None,
    journal: JournalFile = None,
    backend: BackendUrl = None,
    stack_name: StackName = None,
    project_name: ProjectName = None,
    as_json: AsJson = False,
) -> None:
    """Find agents that a killed run was starting, and of which the journal knows nothing: it was lost.

    For pipelines, before `pulumi up`: with its journal an up settles what the killed run left; without it, it would
    start a second agent beside one that may be in the room. Sends nothing to the service. A run with
    PULUMI_SKIP_CHECKPOINTS leaves no trace in the state that could be found here.

    --json prints a list of objects with cname, resource and urn.

    Exit codes: 0 there is none; 1 there are some, or the journal or the state cannot be read; 2 wrong usage.
    """
    if (stack is None) == (stack_export is None):
        raise typer.BadParameter("give one of --stack and --stack-export")
    with failing("pending"):
        state = state_of(Source(stack, cwd, stack_export, stack_name, project_name, backend), os.environ)
        with existing(path_of(os.environ, journal)) as opened:
            found = unknown_creates(state, records_in(opened) if opened else [])
    if as_json:
        show_json([{"cname": each.cname, "resource": name_of(each.urn), "urn": each.urn} for each in found])
    elif found:
        tell("A killed run was starting these agents, and the journal does not know whether it did:")
        for each in found:
            typer.echo(printable(f"room {each.cname if each.cname is not None else '(secret)'} ({name_of(each.urn)})"))
        tell(f"  to do: {_ADVICE}")
    raise typer.Exit(int(bool(found)))


def unknown_creates(state: StackState, records: list[Record]) -> list[Stored]:
    """The creates that were under way, and of which no record speaks."""
    known = {urn_of(record.owner) for record in records if belongs(record, state.export, state.backend)}
    return [each for each in state.export.pending_creates if each.urn not in known]
