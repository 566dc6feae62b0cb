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
    require_one_stack,
)
from rtcai_pulumi.cli.output import exit_on_error, print_json, print_line, print_message
from rtcai_pulumi.cli.session import open_for_reading
from rtcai_pulumi.maintenance.pending import (
    ADVICE,
    UNKNOWN_CREATES,
    create_to_json,
    find_unknown_creates,
    format_create,
)
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
    """Find creates that the journal does not have.

    Run this in pipelines before `pulumi up`. If a run was killed while it was starting an agent, the next `pulumi up`
    recovers that agent from the journal. If the journal is lost, or is an older copy, `pulumi up` would start a second
    agent in a room that may have one already. This command finds such agents by the pending creates in the state.
    Nothing is sent to the service. A run with PULUMI_SKIP_CHECKPOINTS leaves no pending creates in the state, so its
    agents are not found.

    A create counts as known if the journal has a record with the same configuration. If the configuration contains a
    secret, which the state keeps as ciphertext, one of these records is enough: a request that got no response, or a
    record that is newer than everything in the state. One case cannot be detected: an older journal in which an agent
    with exactly the same configuration was closed.

    --json prints a list of objects with cname, resource and urn.

    Exit codes:

    - 0: there are none
    - 1: there are some, or the journal or the state cannot be read
    - 2: wrong usage
    """
    source = require_one_stack(StateSource(stack, cwd, stack_export, stack_name, project_name, backend))
    with exit_on_error("pending"):
        state = state_of(source, os.environ)
        with open_for_reading(journal) as opened:
            creates = find_unknown_creates(state, read_records(opened))
    if as_json:
        print_json([create_to_json(create) for create in creates])
    elif creates:
        print_message(f"{UNKNOWN_CREATES}:")
        for create in creates:
            print_line(format_create(create))
        print_message(f"  to do: {ADVICE}")
    raise typer.Exit(int(bool(creates)))
