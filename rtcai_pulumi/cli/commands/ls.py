"""``rtcai ls``."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from rtcai_pulumi.cli.options import (
    AsJson,
    BackendUrl,
    JournalFile,
    OtherExports,
    ProjectFolder,
    ProjectName,
    StackExportFile,
    StackName,
    StackOption,
)
from rtcai_pulumi.cli.output import exit_on_error, show_json, show_table, tell
from rtcai_pulumi.cli.session import open_for_reading
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.maintenance.agents import AgentLine, duration, lines_of_records, lines_of_state, mark_of
from rtcai_pulumi.maintenance.records import read_records
from rtcai_pulumi.stack.export import name_of, stack_of, tasks_of
from rtcai_pulumi.stack.source import ExportedState, StateSource, state_of

_All = Annotated[bool, typer.Option("--all", help="List closed ones, too.")]
_HEAD: Final = ("room", "task", "state", "resource", "stack", "since", "uptime", "process", "mark")


def ls(
    *,
    journal: JournalFile = None,
    stack: StackOption = None,
    cwd: ProjectFolder = Path(),
    stack_export: StackExportFile = None,
    other_export: OtherExports = None,
    backend: BackendUrl = None,
    stack_name: StackName = None,
    project_name: ProjectName = None,
    all_: _All = False,
    as_json: AsJson = False,
) -> None:
    """List the agents that the journal knows, and the creates that were never answered.

    States: asked (the create is in progress), lost (there was no answer, and no process waits for it any more), open,
    closing, closed. Since is the time of the last change of state; uptime counts from the create. Process shows whether
    the run that owns the record is still running. A create without an answer has no task; it is listed by its trace id.

    Marks: retained (retain_on_delete: no run and no sweep closes it, but rtcai close does), refused (a run on another
    machine has replaced it, and the service refuses to close it). With --stack also: in state, unclaimed (started for
    that stack but missing from its state: rtcai sweep closes it), only in state (the journal does not know it).

    --json prints a list of objects with cname, cid, taskId, state, mark, urn, resource, stack, project, owner, began,
    since, uptime (seconds), processLives, requestId, traceId, appKey and endpoint; unknown values are null.

    Exit codes: 0 listed, also if there is nothing to list, or there is no journal and --journal is not given; 1 the
    journal or a state cannot be read; 2 wrong usage.
    """
    if stack and stack_export:
        raise typer.BadParameter("give --stack or --stack-export, not both")
    source = StateSource(stack, cwd, stack_export, stack_name, project_name, backend)
    with exit_on_error("ls"):
        state = state_of(source, os.environ) if source.is_selected else None
        others = tasks_of(other_export or [])
        with open_for_reading(journal) as opened:
            lines = _find_lines(opened, state, others, closed=all_)
    _show(lines, as_json=as_json)


def _find_lines(
    journal: Journal | None, state: ExportedState | None, others: frozenset[str], *, closed: bool
) -> list[AgentLine]:
    records = read_records(journal)
    lines = lines_of_records(
        records,
        lives=journal.is_running if journal else lambda _: False,
        now=datetime.now(UTC),
        closed=closed,
        mark=lambda record: mark_of(record, state.export if state else None, state.backend if state else None, others),
    )
    return lines + (lines_of_state(state.export, records) if state else [])


def _show(lines: list[AgentLine], *, as_json: bool) -> None:
    if as_json:
        show_json([line.as_json() for line in lines])
    elif lines:
        show_table(_HEAD, map(_row, lines))
    else:
        tell("No agents.")


def _row(line: AgentLine) -> tuple[str, ...]:
    return (
        line.cname if line.cname is not None else "(secret)",
        _name_of(line),
        line.state or "-",
        name_of(line.urn),
        str(stack_of(line.urn) or "-"),
        line.record.changed_at if line.record else "-",
        duration(line.uptime) if line.uptime is not None else "-",
        {True: "lives", False: "ended", None: "-"}[line.lives],
        line.mark or "",
    )


def _name_of(line: AgentLine) -> str:
    """Return the name that other commands accept: the task, or the trace id of a create without one."""
    return line.task or (f"trace {line.record.trace_id}" if line.record else "-")
