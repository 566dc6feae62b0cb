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
from rtcai_pulumi.cli.output import exit_on_error, print_json, print_message, print_table
from rtcai_pulumi.cli.session import open_for_reading
from rtcai_pulumi.maintenance.agents import AgentLine, format_duration, list_agents
from rtcai_pulumi.stack.export import name_of, stack_of, tasks_of
from rtcai_pulumi.stack.source import StateSource, state_of

_All = Annotated[bool, typer.Option("--all", help="List closed agents, too.")]
_Over = Annotated[bool, typer.Option("--over", help="List only agents whose time is over and that are not closed.")]
_HEADER: Final = ("room", "task", "state", "resource", "stack", "since", "uptime", "process", "origin", "mark")
_WITH_END: Final = (*_HEADER[:7], "end", *_HEADER[7:])
"""The columns if an agent has an end."""


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
    over: _Over = False,
    as_json: AsJson = False,
) -> None:
    """List agents and lost creates.

    The list comes from the journal; with --stack, also from the state of the stack.

    State:

    - asked: a run is sending the request to start the agent, or waits for its response
    - lost: the request to start the agent got no response, and no process waits for it any more; the agent is listed
      by the trace id of the request
    - open, closing, closed: the state of the task

    Mark:

    - retained: the resource has retain_on_delete; neither a run nor rtcai sweep stops the agent, only rtcai close does
    - refused: a run on another machine has replaced the agent, and the service refuses to close it
    - in state (with --stack): the agent is in the state of the stack
    - unclaimed (with --stack): started for this stack but missing from its state; rtcai sweep closes it
    - only in state (with --stack): the journal does not have the agent

    Other columns:

    - since: when the journal's record of the agent last changed
    - uptime: the time since the start of the agent was requested
    - end (if an agent has one): when it is to end (ends_at), or for how long it has been over; rtcai sweep --over
      stops it
    - process: whether the run that started the agent, or last worked on it, is still running
    - origin: the user and the machine of the run that started the agent, and its CI job

    --json prints a list of objects with cname, cid, taskId, state, mark, urn, resource, stack, project, owner, began,
    since, uptime (seconds), endsAt, processLives, requestId, traceId, appKey, endpoint and origin; unknown values are
    null.

    Exit codes:

    - 0: listed, also if there is nothing to list, or if the journal does not exist and --journal is not given
    - 1: the journal or a state cannot be read
    - 2: wrong usage
    """
    if stack and stack_export:
        raise typer.BadParameter("give --stack or --stack-export, not both")
    source = StateSource(stack, cwd, stack_export, stack_name, project_name, backend)
    with exit_on_error("ls"):
        state = state_of(source, os.environ) if source.is_selected else None
        other_tasks = tasks_of(other_export or [])
        with open_for_reading(journal) as opened:
            now = datetime.now(UTC)
            lines = list_agents(opened, state, other_tasks, include_closed=all_, now=now)
    if over:
        lines = [line for line in lines if line.has_ended(now)]
    if as_json:
        print_json([line.as_json() for line in lines])
    elif lines:
        _print_agents(lines, now)
    else:
        print_message("No agent is over." if over else "No agents.")


def _print_agents(lines: list[AgentLine], now: datetime) -> None:
    """Print the table of the agents; it has a column for the end if any agent has one."""
    has_ends = any(line.describe_end(now) for line in lines)
    print_table(_WITH_END if has_ends else _HEADER, (_row(line, now if has_ends else None) for line in lines))


def _row(line: AgentLine, now: datetime | None) -> tuple[str, ...]:
    """Return the cells of a line; with its end, as it is seen from now, unless `now` is None."""
    end = () if now is None else (line.describe_end(now) or "-",)
    return (
        line.cname if line.cname is not None else "(secret)",
        _name_of(line),
        line.state or "-",
        name_of(line.urn),
        str(stack_of(line.urn) or "-"),
        line.record.changed_at if line.record else "-",
        format_duration(line.uptime) if line.uptime is not None else "-",
        *end,
        {True: "running", False: "ended", None: "-"}[line.is_running],
        (line.record.origin if line.record else "") or "-",
        line.mark or "",
    )


def _name_of(line: AgentLine) -> str:
    """Return the name that other commands accept: the task, or the trace id of a create without one."""
    return line.task or (f"trace {line.record.trace_id}" if line.record else "-")
