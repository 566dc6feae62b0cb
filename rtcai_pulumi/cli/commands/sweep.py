"""``rtcai sweep``."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

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
    Yes,
)
from rtcai_pulumi.cli.output import (
    NOT_CONFIRMED,
    confirm,
    exit_on_error,
    for_the_environment,
    say,
    show_json,
    tell,
)
from rtcai_pulumi.cli.session import open_for_reading, open_service
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.maintenance import CommandError
from rtcai_pulumi.maintenance.pending import ADVICE, UNKNOWN, find_unknown_creates, line_of
from rtcai_pulumi.maintenance.pending import as_json as begun_as_json
from rtcai_pulumi.maintenance.records import read_records
from rtcai_pulumi.maintenance.sweep import SweepItem, SweepOutcome, carry_out, count_elsewhere, find_neighbours, plan
from rtcai_pulumi.stack.export import STDIN, PendingCreate, tasks_of
from rtcai_pulumi.stack.source import ExportedState, StateSource, state_of, why_locked

_EndRoom = Annotated[
    bool,
    typer.Option(
        "--end-room",
        help="End the current room of each lost create's room name. This removes every user and every agent from it, "
        "even if the room was opened again since.",
    ),
]

_FAILED: Final = 1
_SOME_REMAIN: Final = 3
_LOST_ADVICE: Final = (
    "run `pulumi up` again, which asks for it again under the same trace id; where the resource is not declared any "
    "more, look into the room, and add --end-room if an agent is there (this throws out everybody)"
)
_HEADINGS: Final = {
    SweepOutcome.TO_CLOSE: "To close, because the state lacks it",
    SweepOutcome.CLOSED: "Closed",
    SweepOutcome.FAILED: "Not closed",
    SweepOutcome.LIVES: "Left alone, because a run that still lives works on it",
    SweepOutcome.NEWER: "Left alone, because it changed after the export was made (export the stack again)",
    SweepOutcome.LOST: f"Lost: its create was never answered, and there is no task to close ({_LOST_ADVICE})",
    SweepOutcome.TO_END_ROOM: "Lost, and its room would be ended, which throws out everybody",
    SweepOutcome.ROOM_ENDED: "Lost, and its room is ended",
}


def sweep(
    *,
    stack: StackOption = None,
    cwd: ProjectFolder = Path(),
    stack_export: StackExportFile = None,
    yes: Yes = False,
    end_room: _EndRoom = False,
    journal: JournalFile = None,
    other_export: OtherExports = None,
    backend: BackendUrl = None,
    stack_name: StackName = None,
    project_name: ProjectName = None,
    as_json: AsJson = False,
) -> None:
    """Close the agents that were started for a stack and that are missing from its state.

    If the program still declares an agent that a killed run left behind, the next `pulumi up` recovers it; sweep is for
    agents that are not declared any more. Stack, project and backend must all match. Sweep does not close an agent that
    is in the state, that was owned by a process running when the sweep began, or that has changed since then. It does
    nothing if the stack is locked.

    Sweep first lists what it would do, and asks. Without a terminal (or with --stack-export -) it needs --yes. It also
    needs --yes if the state has pending operations: a run was killed, or is still in progress.

    Prefer --stack to --stack-export. For a file, the time of its last change counts, so a copy of an old export appears
    new. With --stack-export, the hosted backend is not asked for its lock, and the lock of an object store is never
    checked: make sure that no run has been in progress since before the export was made.

    A create that the state has and the journal does not know (rtcai pending) is listed, and nothing is closed for it.

    Credentials come from the environment (RTCAI_APP_KEY, RTCAI_APP_SECRET). The command can be interrupted and run
    again.

    --json prints an object: stack, project, backend (source, url, digest), pendingOperations (URNs), agents (a list as
    in rtcai ls, without mark, each with outcome (to close, closed, failed, process lives, newer than the export, lost,
    to end its room, room ended) and error), unknownCreates (a list as in rtcai pending), and inAnotherBackend (the
    number of agents of a stack with this name in another backend).

    Exit codes: 0 nothing is left to close; 1 an agent could not be closed, or the journal, the state or the credentials
    cannot be used, or the stack is locked; 2 nothing was closed because the command was not confirmed, or wrong usage;
    3 everything is closed except lost creates, creates that the journal does not know, or agents that were skipped,
    including those of a stack with this name in another backend.
    """
    if (stack is None) == (stack_export is None):
        raise typer.BadParameter("give one of --stack and --stack-export")
    source = StateSource(stack, cwd, stack_export, stack_name, project_name, backend)
    began = datetime.now(UTC)
    with exit_on_error("sweep"), open_for_reading(journal) as opened:
        # Read before the state: a run that ends while the state is read may have stored something that this state
        # lacks.
        lived = _find_running(opened)
        state = state_of(source, os.environ, began)
        others = tasks_of(other_export or [])
        records = read_records(opened)
        lives = partial(_is_running, opened, lived)
        planned = plan(records, state.export, state.backend, others=others, lives=lives, end_room=end_room)
        unknown = find_unknown_creates(state, records)
        strangers = count_elsewhere(records, state.export, state.backend)
        _print_intro(state, strangers)
        if holder := why_locked(state, source, os.environ):
            advice = "wait for it; if it was killed, `pulumi cancel` unlocks the stack"
            raise CommandError(f"The stack is locked: {holder}. Nothing was closed.", advice)
        _show(planned, quiet=as_json)
        _show_unknown(unknown, quiet=as_json)
        for each in find_neighbours(planned, records, state.export):
            tell(f"warning: this would be ended with its room: {each}")
        agreed = _confirm(planned, state, yes=yes, can_ask=stack_export != STDIN)
        done = _carry_out(planned, opened, quiet=as_json) if opened and agreed else planned
    if as_json:
        show_json(_as_json(done, state, unknown, strangers))
    raise typer.Exit(_exit_code(done, some_remain=bool(unknown or strangers)))


def _find_running(journal: Journal | None) -> frozenset[int]:
    """Return the running processes that have unfinished records."""
    if journal is None:
        return frozenset()
    return frozenset(
        {each.process for each in read_records(journal) if each.is_unfinished and journal.is_running(each.process)}
    )


def _is_running(journal: Journal | None, lived: frozenset[int], process: int) -> bool:
    return process in lived or (journal is not None and journal.is_running(process))


def _print_intro(state: ExportedState, strangers: int) -> None:
    export, backend = state.export, state.backend
    tell(f"Stack {export.id}, backend: {backend}.")
    if strangers:
        tell(f"{strangers} of a stack of this name in another backend: left alone; --backend URL names another one.")
    if export.pending_operations:
        tell(
            "warning: the export has pending operations: a run was killed, or is not over yet. What a living process "
            "works on is left alone; make sure that no other machine runs `pulumi up` on this stack:"
        )
        for urn in export.pending_operations:
            tell(f"  {urn}")


def _confirm(planned: list[SweepItem], state: ExportedState, *, yes: bool, can_ask: bool) -> bool:
    if not any(each.to_do for each in planned):
        tell("The journal has nothing to close.")
        return False
    if state.export.pending_operations and not yes:
        tell("Nothing was closed: the state has pending operations; add --yes.")
        return False
    return confirm("Close them?", yes=yes, can_ask=can_ask, undone="Nothing was closed")


def _carry_out(planned: list[SweepItem], journal: Journal, *, quiet: bool) -> list[SweepItem]:
    """Carry out the plan. Each outcome is printed immediately, so an interrupted run has reported what it did."""
    done: dict[str, SweepItem] = {}
    with open_service(journal) as run, _progress(sum(each.to_do for each in planned)) as advance:
        try:
            for carried_out in carry_out(planned, run, tell):
                error = carried_out.error
                each = replace(carried_out, error=for_the_environment(error) if error else None)
                done[each.record.trace_id] = each
                _show([each], quiet=quiet)
                advance()
        except KeyboardInterrupt:
            left = sum(each.to_do for each in planned) - len(done)
            raise CommandError(f"Interrupted; {left} were not dealt with.", advice="run it again") from None
    return [done.get(each.record.trace_id, each) for each in planned]


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """Return a progress bar on the standard error, if that is a terminal."""
    from rich.console import Console  # noqa: PLC0415  what a command needs is imported when it runs
    from rich.progress import Progress  # noqa: PLC0415  as above

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Closing", total=total)
        yield lambda: progress.advance(task)


def _show(swept: Iterable[SweepItem], *, quiet: bool) -> None:
    """Print what happens to the records, with a heading for each kind; on stderr if the output is JSON."""
    by_outcome: dict[SweepOutcome, list[SweepItem]] = {}
    for each in swept:
        by_outcome.setdefault(each.outcome, []).append(each)
    for outcome, those in by_outcome.items():
        say(f"{_HEADINGS[outcome]}:", err=quiet)
        for each in those:
            say(f"  {each}", err=quiet)
            for line in (each.error or "").splitlines():
                say(f"    {line}", err=quiet)


def _show_unknown(unknown: list[PendingCreate], *, quiet: bool) -> None:
    """Print the creates without a record: there is nothing to close, but there may be an agent."""
    if unknown:
        say(f"{UNKNOWN} ({ADVICE}):", err=quiet)
        for each in unknown:
            say(f"  {line_of(each)}", err=quiet)


def _as_json(
    swept: list[SweepItem], state: ExportedState, unknown: list[PendingCreate], strangers: int
) -> dict[str, Any]:
    export, backend = state.export, state.backend
    now = datetime.now(UTC)
    return {
        "stack": export.id.stack,
        "project": export.id.project,
        "backend": {"source": backend.source, "url": backend.url, "digest": backend.digest},
        "pendingOperations": list(export.pending_operations),
        "agents": [each.as_json(now) for each in swept],
        "unknownCreates": [begun_as_json(each) for each in unknown],
        "inAnotherBackend": strangers,
    }


def _exit_code(swept: list[SweepItem], *, some_remain: bool) -> int:
    outcomes = {each.outcome for each in swept}
    if SweepOutcome.FAILED in outcomes:
        return _FAILED
    if {SweepOutcome.TO_CLOSE, SweepOutcome.TO_END_ROOM} & outcomes:
        return NOT_CONFIRMED
    left = some_remain or {SweepOutcome.LOST, SweepOutcome.LIVES, SweepOutcome.NEWER} & outcomes
    return _SOME_REMAIN if left else 0
