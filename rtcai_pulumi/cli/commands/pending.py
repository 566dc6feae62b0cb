"""``rtcai pending``."""

import os
from pathlib import Path

import typer

from rtcai_pulumi.cli.options import (
    AsJson,
    BackendUrl,
    JournalFile,
    ProjectFolder,
    ProjectName,
    StackExportFile,
    StackName,
    StackOption,
)
from rtcai_pulumi.cli.output import exit_on_error, say, show_json, tell
from rtcai_pulumi.cli.session import open_for_reading
from rtcai_pulumi.maintenance.pending import ADVICE, UNKNOWN, find_unknown_creates, line_of
from rtcai_pulumi.maintenance.pending import as_json as begun_as_json
from rtcai_pulumi.maintenance.records import read_records
from rtcai_pulumi.stack.source import StateSource, state_of


def pending(
    *,
    stack: StackOption = None,
    cwd: ProjectFolder = Path(),
    stack_export: StackExportFile = None,
    journal: JournalFile = None,
    backend: BackendUrl = None,
    stack_name: StackName = None,
    project_name: ProjectName = None,
    as_json: AsJson = False,
) -> None:
    """Find agents that a killed run was starting and that are missing from the journal, because it is lost or older.

    For pipelines, before `pulumi up`. With its journal, `pulumi up` recovers what the killed run left unfinished.
    Without the journal, it would start a second agent although one may be in the room already. Nothing is sent to the
    service. A run with PULUMI_SKIP_CHECKPOINTS leaves no trace in the state, so its agents are not found.

    The journal knows a create if it has a record of the same configuration. If the configuration contains a secret,
    which the state keeps as ciphertext, one of these records is enough: a create that was never answered, or a create
    that is newer than everything in the state. One case cannot be detected: an older journal in which an agent with
    exactly the same configuration was closed.

    --json prints a list of objects with cname, resource and urn.

    Exit codes: 0 there are none; 1 there are some, or the journal or the state cannot be read; 2 wrong usage.
    """
    if (stack is None) == (stack_export is None):
        raise typer.BadParameter("give one of --stack and --stack-export")
    with exit_on_error("pending"):
        state = state_of(StateSource(stack, cwd, stack_export, stack_name, project_name, backend), os.environ)
        with open_for_reading(journal) as opened:
            found = find_unknown_creates(state, read_records(opened))
    if as_json:
        show_json([begun_as_json(each) for each in found])
    elif found:
        tell(f"{UNKNOWN}:")
        for each in found:
            say(line_of(each))
        tell(f"  to do: {ADVICE}")
    raise typer.Exit(int(bool(found)))
