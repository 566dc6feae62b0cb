"""``rtcai sweep``."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from rtcai_pulumi.cli.commands.sweep_over import parse_duration, sweep_over
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
    require_one_stack,
)
from rtcai_pulumi.cli.output import (
    NOT_CONFIRMED,
    confirm,
    exit_on_error,
    print_json,
    print_line,
    print_message,
)
from rtcai_pulumi.cli.session import open_for_reading, open_service
from rtcai_pulumi.journal.journal import Journal
from rtcai_pulumi.maintenance import CommandError
from rtcai_pulumi.maintenance.over import Selection
from rtcai_pulumi.maintenance.pending import ADVICE, UNKNOWN_CREATES, format_create
from rtcai_pulumi.maintenance.sweep import SweepItem, SweepOutcome, SweepPlan, carry_out, plan_sweep, require_unlocked
from rtcai_pulumi.stack.export import STDIN
from rtcai_pulumi.stack.source import StateSource

_EndRoom = Annotated[
    bool,
    typer.Option(
        "--end-room",
        help="For each lost create, end the room that has its name now. This removes everybody from the room, even if "
        "it was ended and opened again after the create.",
    ),
]

_Over = Annotated[
    bool,
    typer.Option(
        "--over",
        help="Stop the agents whose time (ends_at) is over. This reads only the journal; it needs --stack or --all.",
    ),
]
_All = Annotated[bool, typer.Option("--all", help="With --over: the agents of all stacks in the journal.")]
_Grace = Annotated[
    str,
    typer.Option(
        "--grace",
        metavar="DURATION",
        help="With --over: how long an agent may run after its end, as in 90s, 5m or 1h30m.",
    ),
]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="With --over: only list what would be stopped; nothing is sent.")
]

_FAILED: Final = 1
_SOME_REMAIN: Final = 3
_LOST_ADVICE: Final = (
    "run `pulumi up` again, which repeats the request with the same trace id. If the program no longer declares the "
    "agent, check the room; if an agent is in it, add --end-room, which ends the room and removes everybody from it"
)
_HEADINGS: Final = {
    SweepOutcome.TO_CLOSE: "To close, not in the state",
    SweepOutcome.CLOSED: "Closed",
    SweepOutcome.FAILED: "Not closed",
    SweepOutcome.LIVES: "Skipped, in use by a running process",
    SweepOutcome.NEWER: "Skipped, changed after the state was exported (run the command again with the current state)",
    SweepOutcome.LOST: "Lost: the request to start the agent got no response, so its task is unknown",
    SweepOutcome.TO_END_ROOM: "Lost, and its room would be ended, which removes everybody from the room",
    SweepOutcome.ROOM_ENDED: "Lost, and its room has been ended",
}


def sweep(
    *,
    stack: StackOption = None,
    cwd: ProjectFolder = Path(),
    stack_export: StackExportFile = None,
    yes: Yes = False,
    end_room: _EndRoom = False,
    over: _Over = False,
    all_: _All = False,
    grace: _Grace = "0s",
    dry_run: _DryRun = False,
    journal: JournalFile = None,
    other_export: OtherExports = None,
    backend: BackendUrl = None,
    stack_name: StackName = None,
    project_name: ProjectName = None,
    as_json: AsJson = False,
) -> None:
    """Close agents that are not in a stack's state, or (--over) agents whose time is over.

    Without --over, this closes the agents that were started for the stack and that are missing from its state. If the
    program still declares such an agent, the next `pulumi up` recovers it; use sweep for agents that are not declared
    any more. Stack, project and backend must all match. Sweep does not close an agent that is in the state, that
    belongs to a process that was running when the sweep began, or that has changed since then. It does nothing if the
    stack is locked.

    Sweep first lists what it would do, and asks for confirmation. Without a terminal, or with --stack-export -, it
    needs --yes. It also needs --yes if the state has pending operations: a run was killed, or is still in progress.

    Prefer --stack to --stack-export. The time of an export is the time of the last change of its file, so a copy of an
    old export appears new. With --stack-export, rtcai does not ask the hosted backend whether the stack is locked. It
    never checks the lock in an object store. In these cases, make sure that no run was in progress when the export was
    made, and that none has started since.

    Creates that are in the state and not in the journal (rtcai pending) are listed, but nothing is closed for them.

    Credentials come from the environment (RTCAI_APP_KEY, RTCAI_APP_SECRET). The command can be interrupted and run
    again.

    With --over, this stops every agent whose ends_at has passed, in one stack (--stack) or in all stacks of the
    journal (--all). A room that an event has opened for such an agent (createRooms) is ended too, if no one is in it.
    This reads only the journal: it needs no state and no Pulumi CLI, and does not ask for confirmation. It is meant for
    a schedule. It may run at any time, also during a run or another sweep: it skips agents that a running process works
    on. --stack names the stack as in rtcai ls, NAME or PROJECT/NAME; if the journal knows several stacks of that name,
    add --project-name or --backend.

    --json prints an object:

    - stack, project, and backend (source, url, digest)
    - pendingOperations: a list of URNs
    - agents: a list as in rtcai ls, without mark, and with outcome (to close, closed, failed, process lives, newer than
      the export, lost, to end its room, room ended) and error
    - unknownCreates: a list as in rtcai pending
    - inAnotherBackend: the number of agents of a stack with this name in another backend

    With --over, the object has:

    - now, and grace (seconds)
    - agents: a list as in rtcai ls, without mark, and with outcome (to stop, stopped, failed, in use, lost) and error
    - rooms: a list with cname, cid, resource, stack, project, outcome (to end, ended, left open, failed) and reason
    - stackKnown: whether the journal has any record of the selected stack

    Exit codes:

    - 0: nothing is left to close
    - 1: an agent could not be closed, or the journal, the state or the credentials cannot be used, or the stack is
      locked
    - 2: nothing was closed because the command was not confirmed, or wrong usage
    - 3: everything is closed except lost creates, creates that are not in the journal, or agents that were skipped,
      including those of a stack with this name in another backend

    Exit codes with --over:

    - 0: nothing to do: no agent is over, or a running process works on those that are over
    - 1: an agent could not be stopped or a room not ended, a lost create is over, the journal does not exist, or the
      journal or the credentials cannot be used
    - 2: wrong usage
    - 4: agents were stopped or rooms were ended (with --dry-run: would be), and nothing failed
    """
    if over or all_ or dry_run or grace != "0s":
        _require_over_options(over=over, all_=all_, stack=stack, others=bool(stack_export or other_export or end_room))
        selection = Selection(stack=stack, project=project_name, backend=backend, folder=cwd)
        raise typer.Exit(sweep_over(selection, journal, parse_duration(grace), dry_run=dry_run, as_json=as_json))
    source = require_one_stack(StateSource(stack, cwd, stack_export, stack_name, project_name, backend))
    others = other_export or []
    raise typer.Exit(_sweep_stack(source, others, journal, yes=yes, end_room=end_room, as_json=as_json))


def _sweep_stack(
    source: StateSource, other_exports: list[str], journal: str | None, *, yes: bool, end_room: bool, as_json: bool
) -> int:
    """Close the agents of a stack that are not in its state; returns the exit code of the command."""
    began = datetime.now(UTC)
    with exit_on_error("sweep"), open_for_reading(journal) as opened:
        plan = plan_sweep(opened, source, os.environ, began, other_exports=other_exports, end_room=end_room)
        _print_stack(plan)
        require_unlocked(plan, source, os.environ)
        _print_plan(plan, to_stderr=as_json)
        is_confirmed = _confirm(plan, yes=yes, can_ask=source.export != STDIN)
        items = _carry_out(plan, opened, to_stderr=as_json) if opened and is_confirmed else plan.items
    if as_json:
        print_json(plan.as_json(items, datetime.now(UTC)))
    return _exit_code(items, plan)


def _require_over_options(*, over: bool, all_: bool, stack: str | None, others: bool) -> None:
    """Refuse options that do not belong together.

    Raises:
        BadParameter: an option needs --over, or does not go with it.
    """
    if not over:
        raise typer.BadParameter("--all, --grace and --dry-run need --over")
    if all_ == (stack is not None):
        raise typer.BadParameter("--over needs one of --stack and --all")
    if others:
        raise typer.BadParameter("--over does not read a state: omit --stack-export, --other-export and --end-room")


def _print_stack(plan: SweepPlan) -> None:
    export = plan.state.export
    print_message(f"Stack {export.id}, backend: {plan.state.backend}.")
    if plan.elsewhere:
        agents, are = (
            ("1 agent belongs", "it is") if plan.elsewhere == 1 else (f"{plan.elsewhere} agents belong", "they are")
        )
        print_message(
            f"{agents} to a stack of the same name in another backend; {are} not closed. Select that backend with "
            "--backend URL."
        )
    if export.pending_operations:
        print_message(
            "warning: a run was killed or is still in progress. Agents in use are skipped. Make sure that no other "
            "machine runs `pulumi up` on this stack. Pending operations:"
        )
        for urn in export.pending_operations:
            print_message(f"  {urn}")


def _print_plan(plan: SweepPlan, *, to_stderr: bool) -> None:
    _print_items(plan.items, to_stderr=to_stderr)
    if plan.unknown_creates:
        print_line(f"{UNKNOWN_CREATES}:", err=to_stderr)
        for create in plan.unknown_creates:
            print_line(f"  {format_create(create)}", err=to_stderr)
        print_line(f"  to do: {ADVICE}", err=to_stderr)
    for neighbour in plan.neighbours:
        print_message(f"warning: {neighbour}")


def _print_items(items: Iterable[SweepItem], *, to_stderr: bool) -> None:
    """Print what happens to the records, with a heading for each outcome; on stderr if the output is JSON."""
    by_outcome: dict[SweepOutcome, list[SweepItem]] = {}
    for item in items:
        by_outcome.setdefault(item.outcome, []).append(item)
    for outcome, group in by_outcome.items():
        print_line(f"{_HEADINGS[outcome]}:", err=to_stderr)
        for item in group:
            print_line(f"  {item}", err=to_stderr)
            for line in (item.error or "").splitlines():
                print_line(f"    {line}", err=to_stderr)
        if outcome is SweepOutcome.LOST:
            print_line(f"  to do: {_LOST_ADVICE}", err=to_stderr)


def _confirm(plan: SweepPlan, *, yes: bool, can_ask: bool) -> bool:
    if not plan.to_do:
        print_message("The journal has nothing to close.")
        return False
    if plan.state.export.pending_operations and not yes:
        print_message("Nothing was closed: the state has pending operations; add --yes.")
        return False
    return confirm("Close them?", yes=yes, can_ask=can_ask, refusal="Nothing was closed")


def _carry_out(plan: SweepPlan, journal: Journal, *, to_stderr: bool) -> list[SweepItem]:
    """Carry out the plan. Each outcome is printed immediately, so an interrupted run has reported what it did."""
    results: dict[str, SweepItem] = {}
    with open_service(journal) as run, _progress(plan.to_do) as advance:
        try:
            for item in carry_out(plan.items, run, print_message):
                results[item.record.trace_id] = item
                _print_items([item], to_stderr=to_stderr)
                advance()
        except KeyboardInterrupt:
            left = plan.to_do - len(results)
            raise CommandError(
                f"Interrupted; {left} records were not processed.", advice="run the command again"
            ) from None
    return [results.get(item.record.trace_id, item) for item in plan.items]


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """Return a progress bar on the standard error, if that is a terminal."""
    from rich.console import Console  # noqa: PLC0415  what a command needs is imported when it runs
    from rich.progress import Progress  # noqa: PLC0415  as above

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Closing", total=total)
        yield lambda: progress.advance(task)


def _exit_code(items: list[SweepItem], plan: SweepPlan) -> int:
    outcomes = {item.outcome for item in items}
    if SweepOutcome.FAILED in outcomes:
        return _FAILED
    if {SweepOutcome.TO_CLOSE, SweepOutcome.TO_END_ROOM} & outcomes:
        return NOT_CONFIRMED
    remaining = {SweepOutcome.LOST, SweepOutcome.LIVES, SweepOutcome.NEWER} & outcomes
    return _SOME_REMAIN if remaining or plan.unknown_creates or plan.elsewhere else 0
