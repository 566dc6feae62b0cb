"""``rtcai ls``."""

import os
from datetime import UTC, datetime
from typing import Annotated

import typer

from rtcai_pulumi.cli.backend import Backend, backend_of
from rtcai_pulumi.cli.journal_file import existing, path_of, records_in
from rtcai_pulumi.cli.listing import Line, duration, lines_of_records, lines_of_state, mark_of
from rtcai_pulumi.cli.options import AsJson, BackendUrl, JournalFile, OtherExports, ProjectName, StackName
from rtcai_pulumi.cli.shown import show_json, show_table, tell
from rtcai_pulumi.cli.stack_export import CannotReadExport, StackExport, name_of, read_export, stack_of, tasks_of
from rtcai_pulumi.lifecycle.journal import Journal
from rtcai_pulumi.service.errors import RtcAiError

_StackExportFile = Annotated[
    str | None,
    typer.Option(
        "--stack-export",
        metavar="FILE",
        help="The JSON of `pulumi stack export`, or - for the standard input: marks what that state has, what it lacks "
        "although it was started for it, and lists what only it knows.",
    ),
]
_All = Annotated[bool, typer.Option("--all", help="Closed ones too.")]
_HEAD = ("room", "task", "state", "resource", "stack", "since", "uptime", "process", "mark")


def ls(
    *,
    journal: JournalFile = None,
    stack_export: _StackExportFile = None,
    other_export: OtherExports = None,
    backend: BackendUrl = None,
    stack_name: StackName = None,
    project_name: ProjectName = None,
    all_: _All = False,
    as_json: AsJson = False,
) -> None:
    """List the agents that the journal knows, and the creates that were never answered.

    States: asked (its create is under way), lost (no answer ever came, and nobody waits for it any more), open,
    closing, closed. Since is when that changed last. Process tells whether the run that answers for it still lives.

    Marks, with --stack-export: in state, unclaimed (started for that stack, whose state lacks it: rtcai sweep ends
    it), only in state (the journal does not know it).

    --json prints a list of objects with cname, cid, taskId, state, mark, urn, resource, stack, project, owner, since,
    uptime (seconds), processLives, requestId, traceId, appKey and endpoint; what is not known is null.

    Exit codes: 0 listed, also where there is nothing or no journal; 1 the journal or an export cannot be read; 2 wrong
    usage.
    """
    path = path_of(os.environ, journal)
    try:
        export = read_export(stack_export, stack=stack_name, project=project_name) if stack_export else None
        others = tasks_of(other_export or [])
        with existing(path) as opened:
            if opened is None:
                tell(f"There is no journal {path}: nothing was started from here.")
            lines = _lines(opened, export, backend_of(os.environ, backend), others, closed=all_)
    except (CannotReadExport, RtcAiError) as error:
        tell(f"rtcai ls: {error}")
        raise typer.Exit(1) from None
    _show(lines, as_json=as_json)


def _lines(
    journal: Journal | None, export: StackExport | None, backend: Backend, others: frozenset[str], *, closed: bool
) -> list[Line]:

    records = records_in(journal) if journal else []
    lines = lines_of_records(
        records,
        lives=journal.lives if journal else lambda _: False,
        now=datetime.now(UTC),
        closed=closed,
        mark=lambda record: mark_of(record, export, backend, others) if export else None,
    )
    return lines + (lines_of_state(export, records) if export else [])


def _show(lines: list[Line], *, as_json: bool) -> None:

    if as_json:
        show_json([line.as_json() for line in lines])
    elif lines:
        show_table(_HEAD, map(_row, lines))
    else:
        tell("No agents.")


def _row(line: Line) -> tuple[str, ...]:

    return (
        line.cname if line.cname is not None else "(secret)",
        line.task or "-",
        line.state or "-",
        name_of(line.urn),
        str(stack_of(line.urn) or "-"),
        line.record.changed_at if line.record else "-",
        duration(line.uptime) if line.uptime is not None else "-",
        {True: "lives", False: "ended", None: "-"}[line.lives],
        line.mark or "",
    )
